/**
 * Binary arithmetic decoder (SPEC.md 5.6).
 *
 * The state lies in a typed array: numbers of 32 bits in object fields would be boxed. `low` is never kept: low + code is
 * always, modulo 2^32, the last four bytes read, and the check at the end needs no more than that.
 */

import type { Stream } from "./stream.js";

const RANGE = 0;
const CODE = 1;
const POS = 2;

export class Decoder {
  private readonly state = new Int32Array(3);
  private readonly bytes: Uint8Array;

  constructor(private readonly stream: Stream) {
    this.bytes = stream.bytes;
    this.state[RANGE] = -1;
    this.state[CODE] = this.lastFour(4);
    this.state[POS] = 4;
    if (this.state[CODE] === -1) stream.fail("CODER_STATE", "the arithmetic coder cannot begin with FF FF FF FF", 0);
  }

  /** The four bytes before `pos`, most significant first, zeros for those that are not there. */
  private lastFour(pos: number): number {
    let value = 0;
    for (let i = pos - 4; i < pos; i++) value = (value << 8) | (i < this.bytes.length ? this.bytes[i] : 0);
    return value;
  }

  /** One decision; p / 65536 is the probability of a one. */
  bit(p: number): number {
    const { state } = this;
    let range = state[RANGE];
    let code = state[CODE];
    const bound = Math.imul(range >>> 16, p);
    let result: number;
    if (code >>> 0 < bound >>> 0) {
      range = bound;
      result = 1;
    } else {
      code = (code - bound) | 0;
      range = (range - bound) | 0;
      result = 0;
    }
    if (range >>> 24 === 0) {
      const { bytes } = this;
      let pos = state[POS];
      do {
        code = (code << 8) | (pos < bytes.length ? bytes[pos] : 0);
        pos++;
        range <<= 8;
      } while (range >>> 24 === 0);
      state[POS] = pos;
    }
    state[RANGE] = range;
    state[CODE] = code;
    return result;
  }

  /** One of n numbers that are all alike, 1 <= n <= 65536. */
  number(n: number): number {
    const { state, bytes } = this;
    let range = state[RANGE] >>> 0;
    let code = state[CODE] >>> 0;
    const part = Math.floor(range / n);
    const v = Math.min(n - 1, Math.floor(code / part));
    code -= v * part;
    range = v === n - 1 ? range - v * part : part;
    let pos = state[POS];
    while (range < 0x1000000) {
      code = code * 256 + (pos < bytes.length ? bytes[pos] : 0);
      pos++;
      range *= 256;
    }
    state[RANGE] = range;
    state[CODE] = code;
    state[POS] = pos;
    return v;
  }

  /** A field of w bits, 0 <= w <= 32. */
  raw(w: number): number {
    let value = 0;
    for (; w > 8; w -= 8) value = value * 256 + this.number(256);
    return w === 0 ? value : value * 2 ** w + this.number(2 ** w);
  }

  /** The checks after the last decision. */
  end(): void {
    const { stream, bytes, state } = this;
    const n = bytes.length;
    if (n > 0 && bytes[n - 1] === 0) stream.fail("NON_CANONICAL", "the arithmetic coder's stream ends with a zero byte", n - 1);
    if (state[POS] < n) stream.fail("STREAM_OVERLONG", `${n - state[POS]} bytes are left over in the stream`, state[POS]);
    const tail = this.lastFour(state[POS]) >>> 0;
    const code = state[CODE] >>> 0;
    const low = (tail - code) >>> 0;
    // V, the number that the encoder chooses, is a multiple of 2^32 if the interval holds one, else of 2^24.
    const wraps = low === 0 || low + (state[RANGE] >>> 0) > 0x100000000;
    const right = wraps ? tail === 0 : tail % 0x1000000 === 0 && code < 0x1000000;
    if (!right) stream.fail("CODER_STATE", "the arithmetic coder does not end on the number that an encoder writes", n);
    stream.pos = n;
  }
}
