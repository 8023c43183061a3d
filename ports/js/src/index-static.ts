/** Static index codecs (SPEC.md 6.1 to 6.6). All of them are called for 0 < k < N only. */

import { integerBlock } from "./blocks.js";
import { rans, ransTable, type RansTable } from "./rans.js";
import { allocate32, type Stream } from "./stream.js";
import { frameContent, type Zstd } from "./zstd.js";

/** Indices of the one bits of N bits, of which there must be k. Padding is checked first. */
function bitmapIndices(s: Stream, bitmap: Uint8Array, at: number, N: number, k: number): Uint32Array {
  const used = N & 7;
  const size = bitmap.length;
  if (used !== 0 && bitmap[size - 1] >> used !== 0) s.fail("PADDING", "a padding bit is set", at);
  let ones = 0;
  for (let i = 0; i < size; i++) {
    let byte = bitmap[i];
    byte -= (byte >> 1) & 0x55;
    byte = (byte & 0x33) + ((byte >> 2) & 0x33);
    ones += (byte + (byte >> 4)) & 15;
  }
  if (ones !== k) s.fail("INDEX_RANGE", `the bitmap has ${ones} one bits, the header says ${k}`, 0);
  const out = allocate32(k);
  let j = 0;
  for (let i = 0; i < size; i++) {
    for (let byte = bitmap[i]; byte !== 0; byte &= byte - 1) out[j++] = i * 8 + 31 - Math.clz32(byte & -byte);
  }
  return out;
}

/** 6.1 */
export function indexBitmap(s: Stream, N: number, k: number): Uint32Array {
  const size = Math.ceil(N / 8);
  if (s.length < size) s.truncated("the bitmap");
  s.pos = size;
  s.end();
  return bitmapIndices(s, s.bytes, size - 1, N, k);
}

/** Gaps become indices in place: i_0 = g_0, i_j = i_(j-1) + 1 + g_j. */
function gapsToIndices(s: Stream, gaps: Uint32Array, N: number): Uint32Array {
  let next = 0;
  for (let j = 0; j < gaps.length; j++) {
    const gap = gaps[j];
    if (gap >= (N - next) >>> 0) s.fail("INDEX_RANGE", `index number ${j} is ${N} or more`);
    next = (next + gap) >>> 0;
    gaps[j] = next;
    next = (next + 1) >>> 0;
  }
  return gaps;
}

/** 6.2 */
export function indexGolomb(s: Stream, N: number, k: number): Uint32Array {
  const gaps = integerBlock(s, k, "gaps");
  s.end();
  return gapsToIndices(s, gaps, N);
}

/** 6.3 */
export function indexRuns(s: Stream, N: number, k: number): Uint32Array {
  const runs = s.varint("the number of runs");
  if (runs < 1 || runs > k) s.fail("PARAMETER", `${runs} runs of ${k} images`, 0);
  const skips = integerBlock(s, runs, "unkept stretches");
  const lengths = runs > 1 ? integerBlock(s, runs - 1, "run lengths") : new Uint32Array(0);
  s.end();
  let kept = 0;
  for (let r = 0; r < runs - 1; r++) {
    kept += lengths[r] + 1;
    if (kept >= k) s.fail("INDEX_RANGE", `the first ${r + 1} runs have all ${k} images or more`);
  }
  let unkept = -1;
  for (let r = 0; r < runs; r++) {
    unkept += skips[r] + 1;
    if (k + unkept > N) s.fail("INDEX_RANGE", `run number ${r} begins too late in a pool of ${N}`);
  }
  const out = allocate32(k);
  let index = -1;
  let j = 0;
  for (let r = 0; r < runs; r++) {
    index += skips[r] + (r === 0 ? 0 : 1);
    for (const end = r < runs - 1 ? j + lengths[r] + 1 : k; j < end; ) out[j++] = ++index;
  }
  return out;
}

const CLASSES = 124;

/** Smallest gap of class c; 2^32 for c = 124. */
function lo(c: number): number {
  return c < 8 ? c : (4 + (c % 4)) * 2 ** ((c >> 2) - 1);
}

const LO = /* @__PURE__ */ Uint32Array.from({ length: CLASSES }, (_, c) => lo(c));
const RAW_BITS = /* @__PURE__ */ Uint8Array.from({ length: CLASSES }, (_, c) => (c < 8 ? 0 : (c >> 2) - 1));

const T = /* @__PURE__ */ Uint32Array.of(
  65536, 62757, 60097, 57549, 55109, 52773, 50535, 48393, 46341, 44376, 42495, 40693, 38968, 37316, 35734, 34219, 32768,
);

/** S(a) of 6.4: 65536 times the chance that a gap is a or more, where the half-life is P / 256. */
export function geometric(a: number, P: number): number {
  const z = Math.floor((a * 1048576) / P);
  if (z >= 17 * 4096) return 0;
  const i = (z >> 8) & 15;
  return (T[i] - (((T[i] - T[i + 1]) * (z & 255)) >> 8)) >> (z >> 12);
}

function geometricTable(P: number, largest: number): RansTable {
  let size = 0;
  while (size < CLASSES && lo(size) <= largest) size++;
  const cumulative = new Uint32Array(size + 1);
  for (let c = 0; c < size; c++) {
    cumulative[c] = Math.floor(((65536 - geometric(lo(c), P)) * (65536 - size)) / 65536) + c;
  }
  cumulative[size] = 65536;
  return { members: Uint16Array.from({ length: size }, (_, c) => c), precision: 16, cumulative };
}

/** 6.4 */
export function indexRans(s: Stream, N: number, k: number): Uint32Array {
  const dense = 2 * k > N;
  const n = dense ? N - k : k;
  const P = s.varint("P");
  const table = P === 0 ? ransTable(s, CLASSES) : geometricTable(P, N - n);
  // A geometric table always has two members: n < N, so gap 1 is possible.
  const classes = table.members.length > 1 ? rans(s, table, n) : null;
  const coded = gapsFromClasses(s, classes, table.members[0], n);
  s.end();
  gapsToIndices(s, coded, N);
  return dense ? complement(coded, N) : coded;
}

function gapsFromClasses(s: Stream, classes: Uint16Array | null, only: number, n: number): Uint32Array {
  const words = s.words();
  const last = s.length * 8;
  const limit = words.length - 2;
  const gaps = allocate32(n);
  let w = s.pos >>> 2;
  let bit = (s.pos & 3) * 8;
  for (let j = 0; j < n; j++) {
    const c = classes === null ? only : classes[j];
    const width = RAW_BITS[c];
    const raw = ((words[w] >>> bit) | ((words[w + 1] << 1) << (31 - bit))) & ((1 << width) - 1);
    bit += width;
    w += bit >>> 5;
    bit &= 31;
    if (w > limit) s.truncated("the raw bits");
    gaps[j] = LO[c] + raw;
  }
  const end = w * 32 + bit;
  if (end > last) s.truncated("the raw bits");
  s.pad(end);
  return gaps;
}

/** What is left of 0..N-1. */
function complement(unkept: Uint32Array, N: number): Uint32Array {
  const out = allocate32(N - unkept.length);
  let j = 0;
  let index = 0;
  for (let u = 0; u < unkept.length; u++) {
    for (const stop = unkept[u]; index < stop; index++) out[j++] = index;
    index++;
  }
  for (; index < N; index++) out[j++] = index;
  return out;
}

/** 6.5 */
export function indexDeltaZstd(s: Stream, N: number, k: number, zstd: Zstd): Uint32Array {
  if (s.length === 0) s.truncated("the layout byte");
  const layout = s.bytes[s.pos++];
  const width = layout & 15;
  const interleaved = layout >> 4 === 1;
  if (width < 1 || width > 4 || layout >> 4 > 1 || (interleaved && width === 1)) {
    s.fail("PARAMETER", `layout byte ${layout}`, 0);
  }
  const content = frameContent(s, width * k, zstd);
  const gaps = allocate32(k);
  const step = interleaved ? width : 1;
  const plane = interleaved ? 1 : k;
  for (let b = 0; b < width; b++) {
    for (let j = 0, at = b * plane; j < k; j++, at += step) gaps[j] |= content[at] << (8 * b);
  }
  if (width > 1) {
    let all = 0;
    for (let j = 0; j < k; j++) all |= gaps[j];
    if (all >>> (8 * (width - 1)) === 0) s.fail("NON_CANONICAL", `${width} bytes a gap are more than needed`, 0);
  }
  return gapsToIndices(s, gaps, N);
}

/** 6.6 */
export function indexBitmapZstd(s: Stream, N: number, k: number, zstd: Zstd): Uint32Array {
  return bitmapIndices(s, frameContent(s, Math.ceil(N / 8), zstd), 0, N, k);
}
