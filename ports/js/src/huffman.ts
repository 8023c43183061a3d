/** Canonical Huffman code (SPEC.md 5.3). */

import { integerBlock, symbolSet } from "./blocks.js";
import { allocate16, type Stream } from "./stream.js";

const LONGEST = 16;

/** huffman(A, n) at the position: n >= 1 symbols below A. */
export function huffman(s: Stream, alphabet: number, n: number): Uint16Array {
  const start = s.pos;
  const members = symbolSet(s, alphabet);
  const size = members.length;
  if (size === 1) return allocate16(n).fill(members[0]);
  const lengths = codeLengths(s, size, start);
  const table = lookup(members, lengths);
  if (n > (s.length - s.pos) * 8) s.truncated("the code words");
  return codeWords(s, n, table);
}

function codeLengths(s: Stream, size: number, start: number): Uint8Array {
  const zigzag = integerBlock(s, size, "code lengths");
  const lengths = new Uint8Array(size);
  let length = 32 - Math.clz32(size - 1);
  for (let j = 0; j < size; j++) {
    const z = zigzag[j];
    length += z % 2 === 0 ? z / 2 : -(z + 1) / 2;
    if (length < 1 || length > LONGEST) s.fail("TABLE", `code length ${length} of symbol number ${j}`, start);
    lengths[j] = length;
  }
  let sum = 0;
  for (let j = 0; j < size; j++) sum += 1 << (LONGEST - lengths[j]);
  if (sum !== 1 << LONGEST) s.fail("TABLE", "the Huffman code is not complete", start);
  return lengths;
}

/** For every value of the next `width` bits, first bit lowest: symbol * 32 + length. The last entry holds the width. */
function lookup(members: Uint16Array, lengths: Uint8Array): Uint32Array {
  const count = new Uint32Array(LONGEST + 2);
  for (let j = 0; j < lengths.length; j++) count[lengths[j]]++;
  let width = LONGEST;
  while (count[width] === 0) width--;
  const next = new Uint32Array(LONGEST + 2);
  for (let length = 1; length <= width; length++) next[length + 1] = (next[length] + count[length]) << 1;
  const table = new Uint32Array((1 << width) + 1);
  for (let j = 0; j < lengths.length; j++) {
    const length = lengths[j];
    let code = next[length]++;
    let reversed = 0;
    for (let bit = 0; bit < length; bit++) {
      reversed = (reversed << 1) | (code & 1);
      code >>>= 1;
    }
    const entry = members[j] * 32 + length;
    for (let slot = reversed; slot < 1 << width; slot += 1 << length) table[slot] = entry;
  }
  table[1 << width] = width;
  return table;
}

function codeWords(s: Stream, n: number, table: Uint32Array): Uint16Array {
  const words = s.words();
  const out = allocate16(n);
  const width = table[table.length - 1];
  const mask = (1 << width) - 1;
  const last = s.length * 8;
  const limit = words.length - 2;
  let w = s.pos >>> 2;
  let bit = (s.pos & 3) * 8;
  for (let j = 0; j < n; j++) {
    const entry = table[((words[w] >>> bit) | ((words[w + 1] << 1) << (31 - bit))) & mask];
    out[j] = entry >>> 5;
    bit += entry & 31;
    w += bit >>> 5;
    bit &= 31;
    // The words of padding make reading ahead safe; a code that used them shows here or after the loop.
    if (w > limit) s.truncated("the code words");
  }
  const end = w * 32 + bit;
  if (end > last) s.truncated("the code words");
  s.pad(end);
  return out;
}
