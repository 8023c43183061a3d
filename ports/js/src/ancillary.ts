/** Ancillary sections (SPEC.md section 8). */

import { Stream } from "./stream.js";
import type { LabelCodecs } from "./codecs.js";

const MAX_CLASS_NAME = 1024;
const MAX_METADATA = 65536;
const MAX_PAIRS = 256;
const MAX_KEY = 255;
const MAX_VALUE = 65530;

function malformed(s: Stream, message: string, at: number = s.pos): never {
  s.fail("SECTION_CONTENT", message, at);
}

const UTF8 = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Strict UTF-8, a byte order mark kept, or null. */
export function strictUtf8(bytes: Uint8Array): string | null {
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}

function text(s: Stream, what: string, least: number, most: number): string {
  const start = s.pos;
  const length = s.varint(`the length of ${what}`, "SECTION_CONTENT");
  if (length < least || length > most) malformed(s, `${what} has ${length} bytes, ${least} to ${most} are allowed`, start);
  if (length > s.length - s.pos) malformed(s, `the section ends within ${what}`, s.length);
  const bytes = s.bytes.subarray(s.pos, s.pos + length);
  for (let i = 0; i < length; i++) {
    if (bytes[i] < 0x20 || bytes[i] === 0x7f) s.fail("TEXT", `control character in ${what}`, s.pos + i);
  }
  const value = strictUtf8(bytes);
  if (value === null) s.fail("TEXT", `${what} is not UTF-8`);
  s.pos += length;
  return value;
}

function finish(s: Stream): void {
  if (s.pos < s.length) malformed(s, `${s.length - s.pos} bytes are left over in the section`);
}

/** 8.1: K names in the order of the classes. */
export function classNames(s: Stream, K: number): string[] {
  const names: string[] = [];
  for (let c = 0; c < K; c++) names.push(text(s, `the name of class ${c}`, 0, MAX_CLASS_NAME));
  finish(s);
  return names;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/** 8.2 */
export function metadata(s: Stream): Map<string, string> {
  if (s.length > MAX_METADATA) malformed(s, `${s.length} bytes of metadata, at most ${MAX_METADATA} are allowed`);
  const count = s.varint("the number of pairs", "SECTION_CONTENT");
  if (count < 1 || count > MAX_PAIRS) malformed(s, `${count} pairs, 1 to ${MAX_PAIRS} are allowed`, 0);
  const pairs = new Map<string, string>();
  let previous: Uint8Array | null = null;
  for (let i = 0; i < count; i++) {
    const start = s.pos;
    const key = text(s, `key ${i}`, 1, MAX_KEY);
    // Keys have at most 255 bytes, so their lengths take one or two.
    const bytes: Uint8Array = s.bytes.subarray(start + (s.bytes[start] < 0x80 ? 1 : 2), s.pos);
    if (previous !== null && compareBytes(previous, bytes) >= 0) malformed(s, `key ${i} is not above the one before it`, start);
    pairs.set(key, text(s, `value ${i}`, 0, MAX_VALUE));
    previous = bytes;
  }
  finish(s);
  return pairs;
}

/** The codec byte, and the stream that is the rest of the section: n symbols below 256. */
function embedded(s: Stream, n: number, codecs: LabelCodecs): Uint8Array {
  if (s.length === 0) malformed(s, "the section is empty");
  const codec = codecs.get(s.bytes[0]);
  if (codec === undefined) s.fail("UNSUPPORTED_CODEC", `label codec ${s.bytes[0]} cannot be read here`, 0);
  return Uint8Array.from(codec(new Stream(s.bytes.subarray(1), s.base + 1, s.section), n, 256));
}

/** 8.3: one symbol q for each kept image. */
export function imageWeights(s: Stream, k: number, codecs: LabelCodecs): Uint8Array {
  if (k === 0) malformed(s, "image weights without images", 0);
  return embedded(s, k, codecs);
}

/** The weight that a symbol of section 8.3 stands for. */
export function weightOf(symbol: number): number {
  return 2 ** ((symbol - 128) / 16);
}

/** 8.4: K rows of K symbols that sum to 255. */
export function softLabels(s: Stream, K: number, codecs: LabelCodecs): Uint8Array {
  if (K < 2 || K > 1024) malformed(s, `soft labels for ${K} classes, 2 to 1024 are allowed`, 0);
  const table = embedded(s, K * K, codecs);
  for (let row = 0; row < K; row++) {
    let sum = 0;
    for (let i = row * K; i < (row + 1) * K; i++) sum += table[i];
    if (sum !== 255) malformed(s, `the row of class ${row} sums to ${sum}, not to 255`, 0);
  }
  return table;
}

