/** Static label codecs (SPEC.md 7.1 to 7.5): n >= 1 symbols below A, A >= 2. */

import { integerBlock } from "./blocks.js";
import { huffman } from "./huffman.js";
import { rans, ransTable } from "./rans.js";
import { allocate16, type Stream } from "./stream.js";
import { frameContent, type Zstd } from "./zstd.js";

function labelTooLarge(s: Stream, j: number, label: number, A: number): never {
  s.fail("LABEL_RANGE", `label number ${j} is ${label}, of ${A} classes`, 0);
}

/** 7.1 */
export function labelFixed(s: Stream, n: number, A: number): Uint16Array {
  const width = 32 - Math.clz32(A - 1);
  const size = Math.ceil((n * width) / 8);
  if (s.length < size) s.truncated("the labels");
  s.pos = size;
  s.end();
  s.pad(n * width);
  const words = s.words();
  const out = allocate16(n);
  const mask = (1 << width) - 1;
  let w = 0;
  let bit = 0;
  for (let j = 0; j < n; j++) {
    const label = ((words[w] >>> bit) | ((words[w + 1] << 1) << (31 - bit))) & mask;
    if (label >= A) labelTooLarge(s, j, label, A);
    out[j] = label;
    bit += width;
    w += bit >>> 5;
    bit &= 31;
  }
  return out;
}

/** 7.2 */
export function labelHuffman(s: Stream, n: number, A: number): Uint16Array {
  const out = huffman(s, A, n);
  s.end();
  return out;
}

/** 7.3 */
export function labelRuns(s: Stream, n: number, A: number): Uint16Array {
  const runs = s.varint("the number of runs");
  if (runs < 1 || runs > n) s.fail("PARAMETER", `${runs} runs of ${n} labels`, 0);
  const labels = huffman(s, A, runs);
  const lengths = runs > 1 ? integerBlock(s, runs - 1, "run lengths") : new Uint32Array(0);
  s.end();
  for (let r = 1; r < runs; r++) {
    if (labels[r] === labels[r - 1]) s.fail("NON_CANONICAL", `runs ${r - 1} and ${r} have the same label`, 0);
  }
  let total = 0;
  for (let r = 0; r < runs - 1; r++) {
    total += lengths[r] + 1;
    if (total >= n) s.fail("LABEL_RANGE", `the first ${r + 1} runs have all ${n} labels or more`, 0);
  }
  const out = allocate16(n);
  let j = 0;
  for (let r = 0; r < runs - 1; r++) {
    const end = j + lengths[r] + 1;
    out.fill(labels[r], j, end);
    j = end;
  }
  return out.fill(labels[runs - 1], j);
}

/** 7.4 */
export function labelRans(s: Stream, n: number, A: number): Uint16Array {
  const table = ransTable(s, A);
  const out = table.members.length > 1 ? rans(s, table, n) : null;
  s.end();
  return out ?? allocate16(n).fill(table.members[0]);
}

/** 7.5 */
export function labelZstd(s: Stream, n: number, A: number, zstd: Zstd): Uint16Array {
  if (s.length === 0) s.truncated("the layout byte");
  const layout = s.bytes[s.pos++];
  if (layout > 1 || (layout === 1 && A <= 256)) s.fail("PARAMETER", `layout byte ${layout}`, 0);
  const wide = A > 256;
  const content = frameContent(s, wide ? 2 * n : n, zstd);
  const out = allocate16(n);
  const step = wide && layout === 0 ? 2 : 1;
  const high = layout === 0 ? 1 : n;
  for (let j = 0, at = 0; j < n; j++, at += step) {
    const label = wide ? content[at] | (content[at + high] << 8) : content[at];
    if (label >= A) labelTooLarge(s, j, label, A);
    out[j] = label;
  }
  return out;
}
