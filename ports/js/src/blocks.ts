/** Integer blocks (SPEC.md 5.1) and symbol sets (5.2). */

import { allocate32, type Stream } from "./stream.js";

const MAX = 0xffffffff;

/** block(n) at the position: n >= 1 integers below 2^32. */
export function integerBlock(s: Stream, n: number, what: string): Uint32Array {
  const start = s.pos;
  const parameter = s.varint(`the parameter of the ${what}`);
  const golomb = parameter % 2 === 0;
  const divisor = golomb ? parameter / 2 + 1 : 0;
  const order = golomb ? 0 : (parameter - 1) / 2;
  if (divisor > 0x40000000 || order > 30) {
    s.fail("PARAMETER", `parameter ${parameter} of the ${what} is out of range`, start);
  }
  // Every value has a one bit in part A, so n is bounded by bytes that are there before anything is allocated.
  if (n > (s.length - s.pos) * 8) s.truncated(`part A of the ${what}`);
  const values = allocate32(n);
  const partB = unary(s, values, what);
  if (divisor === 1) s.pad(partB);
  else if (golomb) s.pad(golombValues(s, values, divisor, partB, what));
  else s.pad(expValues(s, values, order, partB, what));
  return values;
}

/**
 * Part A: how many zeros precede each one bit. Returns the bit number that follows.
 * Counts of 2^32 and more take streams of half a gigabyte; they stand as 2^32 - 1, an index that no pool has.
 */
function unary(s: Stream, out: Uint32Array, what: string): number {
  const words = s.words();
  const n = out.length;
  const limit = words.length;
  let index = s.pos >>> 2;
  const skip = (s.pos & 3) * 8;
  let word = words[index] & (-1 << skip);
  let zeros = -skip;
  for (let j = 0; j < n; j++) {
    while (word === 0) {
      if (++index >= limit) s.truncated(`part A of the ${what}`);
      word = words[index] | 0;
      zeros = zeros > MAX - 64 ? MAX - 32 : zeros + 32;
    }
    const bit = 31 - Math.clz32(word & -word);
    out[j] = zeros + bit;
    word &= word - 1;
    zeros = ~bit;
  }
  return index * 32 - zeros;
}

/** Parts B and C of a Golomb code, quotients in `values`. */
function golombValues(s: Stream, values: Uint32Array, divisor: number, start: number, what: string): number {
  const n = values.length;
  const b = 31 - Math.clz32(divisor);
  const u = 2 ** (b + 1) - divisor;
  const last = s.length * 8;
  const partC = start + n * b;
  if (partC > last) s.truncated(`part B of the ${what}`);
  const words = s.words();
  const mask = -1 >>> (32 - b);
  const largest = Math.floor(MAX / divisor);
  const surelySmall = largest >>> 0;
  let tooLarge = -1;
  let wb = Math.floor(start / 32);
  let bb = start % 32;
  let wc = Math.floor(partC / 32);
  let bc = partC % 32;
  let extras = 0;
  for (let j = 0; j < n; j++) {
    let low = ((words[wb] >>> bb) | ((words[wb + 1] << 1) << (31 - bb))) & mask;
    bb += b;
    wb += bb >>> 5;
    bb &= 31;
    // Whether there is an extra bit is a toss-up, so no branch: `more` is -1 or 0.
    const more = (u - 1 - low) >> 31;
    low += more & (low + ((words[wc] >>> bc) & 1) - u);
    bc -= more;
    wc += bc >>> 5;
    bc &= 31;
    extras -= more;
    const q = values[j];
    if (q < surelySmall) values[j] = (Math.imul(q, divisor) + low) | 0;
    else if (q > largest || q * divisor + low > MAX) {
      if (tooLarge < 0) tooLarge = j;
    } else values[j] = q * divisor + low;
  }
  if (partC + extras > last) s.truncated(`part C of the ${what}`);
  if (tooLarge >= 0) s.fail("INDEX_RANGE", `value ${tooLarge} of the ${what} is 2^32 or more`);
  return partC + extras;
}

/** Parts B and C of an Exp-Golomb code, lengths of the extra fields in `values`. */
function expValues(s: Stream, values: Uint32Array, order: number, start: number, what: string): number {
  const n = values.length;
  const most = 32 - order;
  const usual = Math.min(most, 31) | 0;
  const tooMuch = (j: number): never => s.fail("INDEX_RANGE", `value ${j} of the ${what} is 2^32 or more`);
  const last = s.length * 8;
  const partC = start + n * order;
  const extras = start - s.pos * 8 - n; // the zero bits of part A
  if (partC + extras > last) {
    const wrong = values.findIndex((q) => q > most); // which comes before bits that are missing
    if (wrong >= 0) tooMuch(wrong);
    s.truncated(`part ${partC > last ? "B" : "C"} of the ${what}`);
  }
  const words = s.words();
  const mask = -1 >>> (32 - order);
  let tooLarge = -1;
  let wb = Math.floor(start / 32);
  let bb = start % 32;
  let wc = Math.floor(partC / 32);
  let bc = partC % 32;
  for (let j = 0; j < n; j++) {
    let low = 0;
    if (order > 0) {
      low = ((words[wb] >>> bb) | ((words[wb + 1] << 1) << (31 - bb))) & mask;
      bb += order;
      wb += bb >>> 5;
      bb &= 31;
    }
    if (values[j] > most) tooMuch(j);
    const q = values[j] | 0; // at most 32: keeps the sums below whole numbers of 32 bits
    let extra = (words[wc] >>> bc) | ((words[wc + 1] << 1) << (31 - bc));
    bc += q;
    wc += bc >>> 5;
    bc &= 31;
    if (q < usual) {
      extra &= (1 << q) - 1;
      values[j] = ((((1 << q) + extra - 1) << order) + low) | 0;
      continue;
    }
    if (q < 32) extra &= -1 >>> (32 - q);
    if (q < most) values[j] = (2 ** q + extra - 1) * 2 ** order + low;
    else if (extra !== 0) {
      // 2^q + extra - 1 has 33 - order bits: only extra = 0 stays below 2^32.
      if (tooLarge < 0) tooLarge = j;
    } else values[j] = (2 ** q - 1) * 2 ** order + low;
  }
  if (tooLarge >= 0) tooMuch(tooLarge);
  return partC + extras;
}

/** symbols(A): the members in increasing order. */
export function symbolSet(s: Stream, alphabet: number): Uint16Array {
  const start = s.pos;
  const size = s.varint("the number of symbols");
  if (size < 1 || size > alphabet) s.fail("TABLE", `${size} symbols out of ${alphabet}`, start);
  if (size === alphabet) return Uint16Array.from({ length: size }, (_, i) => i);
  const gaps = integerBlock(s, size, "gaps of the symbols");
  const members = new Uint16Array(size);
  let symbol = -1;
  for (let j = 0; j < size; j++) {
    symbol += gaps[j] + 1;
    if (symbol >= alphabet) s.fail("TABLE", `the table names symbol ${symbol}, the alphabet has ${alphabet}`, start);
    members[j] = symbol;
  }
  return members;
}
