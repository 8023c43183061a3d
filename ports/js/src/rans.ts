/** Static rANS and its transmitted table (SPEC.md 5.4). */

import { integerBlock, symbolSet } from "./blocks.js";
import { allocate16, type Stream } from "./stream.js";

export interface RansTable {
  /** Symbols of the table, in increasing order. */
  readonly members: Uint16Array;
  /** s: frequencies sum to 2^precision. 0 if there is one member. */
  readonly precision: number;
  /** c_0 = 0 .. c_U = 2^precision. Empty if there is one member. */
  readonly cumulative: Uint32Array;
}

/** table(A) at the position. */
export function ransTable(s: Stream, alphabet: number): RansTable {
  const start = s.pos;
  const members = symbolSet(s, alphabet);
  const size = members.length;
  if (size === 1) return { members, precision: 0, cumulative: new Uint32Array(0) };
  if (s.pos >= s.length) s.truncated("the table");
  const precision = s.bytes[s.pos++];
  if (precision < 1 || precision > 16 || 1 << precision < size) {
    s.fail("PARAMETER", `precision ${precision} with ${size} symbols`, s.pos - 1);
  }
  const others = integerBlock(s, size - 1, "frequencies");
  const cumulative = new Uint32Array(size + 1);
  const total = 1 << precision;
  let sum = 0;
  for (let j = 0; j < size - 1; j++) {
    sum += others[j] + 1;
    if (sum >= total) s.fail("TABLE", `the frequencies sum to more than 2^${precision}`, start);
    cumulative[j + 1] = sum;
  }
  cumulative[size] = total;
  return { members, precision, cumulative };
}

/** rans(table, n) at the position, for a table of two members or more: n >= 1 symbols. */
export function rans(s: Stream, table: RansTable, n: number): Uint16Array {
  const lanes = n < 65536 ? 1 : n < 131072 ? 32 : 64;
  const { bytes } = s;
  const start = s.pos;
  if (s.length - start < 4 * lanes) s.truncated("the coder states");
  const states = new Int32Array(lanes);
  for (let lane = 0; lane < lanes; lane++) {
    const at = start + 4 * lane;
    states[lane] = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    if (states[lane] >>> 16 === 0) s.fail("CODER_STATE", `initial state of lane ${lane} is below 2^16`, at);
  }
  const { precision, cumulative, members } = table;
  const slots = new Uint16Array(1 << precision);
  for (let j = 0; j < members.length; j++) slots.fill(j, cumulative[j], cumulative[j + 1]);
  const out = allocate16(n);
  const mask = (1 << precision) - 1;
  const lastWord = s.length - 2;
  let pos = start + 4 * lanes;
  let lane = 0;
  for (let i = 0; i < n; i++) {
    let x = states[lane];
    const slot = x & mask;
    const j = slots[slot];
    const c = cumulative[j];
    out[i] = members[j];
    x = (Math.imul(cumulative[j + 1] - c, x >>> precision) + slot - c) | 0;
    if (pos <= lastWord) {
      // Whether a word is read is a toss-up, so no branch: `low` is -1 below 2^16, else 0.
      const low = ((x >>> 16) - 1) >> 31;
      x = (x << (low & 16)) | ((bytes[pos] | (bytes[pos + 1] << 8)) & low);
      pos += low & 2;
    } else if (x >>> 16 === 0) s.truncated("the coder's words");
    states[lane] = x;
    if (++lane === lanes) lane = 0;
  }
  s.pos = pos;
  for (lane = 0; lane < lanes; lane++) {
    if (states[lane] !== 65536) s.fail("CODER_STATE", `final state of lane ${lane} is not 2^16`);
  }
  return out;
}
