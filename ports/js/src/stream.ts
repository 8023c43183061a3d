/** A coded stream: its bytes, where they lie in the file, a read position, and its bits as 32-bit words. */

import { type ErrorName, PladaError } from "./errors.js";

export class Stream {
  /** Read position in bytes. */
  pos = 0;
  private cached: Uint32Array | null = null;

  /**
   * @param bytes the body of a section, or the part of it that is one stream
   * @param base offset of bytes[0] in the file
   * @param section type of the section
   */
  constructor(
    readonly bytes: Uint8Array,
    readonly base: number,
    readonly section: number,
  ) {}

  get length(): number {
    return this.bytes.length;
  }

  /** The bits as little-endian words, whatever the host's byte order, with two words of zeros after the end. */
  words(): Uint32Array {
    if (this.cached !== null) return this.cached;
    const { bytes } = this;
    const n = bytes.length;
    const words = new Uint32Array((n >>> 2) + 3);
    const whole = n - (n & 3);
    let w = 0;
    for (let i = 0; i < whole; i += 4) {
      words[w++] = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    }
    for (let i = whole; i < n; i++) words[w] |= bytes[i] << (8 * (i & 3));
    this.cached = words;
    return words;
  }

  fail(name: ErrorName, message: string, at: number = this.pos): never {
    throw new PladaError(name, message, this.base + at, this.section);
  }

  truncated(what: string): never {
    this.fail("STREAM_TRUNCATED", `the stream ends within ${what}`, this.length);
  }

  /** Section 2; `missing` is the error where the bytes end within the varint. */
  varint(what: string, missing: ErrorName = "STREAM_TRUNCATED"): number {
    const start = this.pos;
    let value = 0;
    for (let n = 0; n < 5; n++) {
      if (this.pos >= this.length) this.fail(missing, `the bytes end within the varint of ${what}`, this.length);
      const byte = this.bytes[this.pos++];
      if (n === 4 && byte > 0x0f) break;
      value += (byte & 0x7f) * 2 ** (7 * n);
      if (byte < 0x80) {
        if (byte === 0 && n > 0) break;
        return value;
      }
    }
    this.fail("BAD_VARINT", `the varint of ${what} is not the shortest form of a number below 2^32`, start);
  }

  /** Ends a run of bits at bit number `end`: the bits up to the next byte must be zero; the position moves there. */
  pad(end: number): void {
    const used = end % 8;
    const byte = (end - used) / 8;
    if (used === 0) {
      this.pos = byte;
      return;
    }
    if (this.bytes[byte] >> used !== 0) this.fail("PADDING", "a padding bit is set", byte);
    this.pos = byte + 1;
  }

  /** Nothing may be left over. */
  end(): void {
    if (this.pos < this.length) {
      this.fail("STREAM_OVERLONG", `${this.length - this.pos} bytes are left over in the stream`);
    }
  }
}

/** Memory for n numbers, or LIMIT where this machine has none. */
export function allocate32(n: number): Uint32Array {
  try {
    return new Uint32Array(n);
  } catch {
    throw new PladaError("LIMIT", `no memory for ${n} numbers`);
  }
}

export function allocate16(n: number): Uint16Array {
  try {
    return new Uint16Array(n);
  } catch {
    throw new PladaError("LIMIT", `no memory for ${n} labels`);
  }
}
