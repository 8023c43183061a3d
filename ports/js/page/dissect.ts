/** What every byte of a file is, as far as can be told; reads damaged files too and never throws. */

import { type Header, inspect, PladaError, sectionName } from "../src/index.js";
import { formatBytes, formatCount, hexByte } from "./dom.js";

export type Part = "header" | "table" | "crc" | "index" | "label" | "ancillary" | "rest";

export interface Range {
  readonly start: number;
  readonly end: number;
  readonly part: Part;
  readonly label: string;
  readonly value: string;
}

export interface Dissection {
  readonly ranges: readonly Range[];
  /** null where the header cannot be read. */
  readonly header: Header | null;
}

interface Entry {
  readonly type: number;
  readonly length: number;
}

export function dissect(bytes: Uint8Array): Dissection {
  let header: Header | null = null;
  try {
    header = inspect(bytes);
  } catch (error) {
    if (!(error instanceof PladaError)) throw error;
  }
  const ranges: Range[] = [];
  const add = (start: number, length: number, part: Part, label: string, value: string): void => {
    const end = Math.min(start + length, bytes.length);
    if (end > start) ranges.push({ start, end, part, label, value });
  };
  const hex = (start: number, length: number): string =>
    Array.from(bytes.subarray(start, start + length), (b) => b.toString(16).padStart(2, "0")).join("");
  const u32 = (at: number): number =>
    (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;

  if (!looksLikePayload(bytes)) {
    add(0, bytes.length, "rest", "not a payload", formatBytes(bytes.length));
    return { ranges, header };
  }
  add(0, 8, "header", "signature", hex(0, 8));
  add(8, 1, "header", "major version", String(bytes[8]));
  add(9, 1, "header", "minor version", String(bytes[9]));
  const H = bytes[10] ?? 0;
  add(10, 1, "header", "header length", formatBytes(H));
  add(11, 1, "header", "flags", hexByte(bytes[11] ?? 0));
  add(12, 4, "header", "N, pool size", formatCount(u32(12)));
  add(16, 4, "header", "k, kept images", formatCount(u32(16)));
  add(20, 2, "header", "K - 1, classes less one", formatCount(bytes[20] | (bytes[21] << 8)));
  add(22, 16, "header", "pool fingerprint", hex(22, 16));
  add(38, 8, "header", "content digest", hex(38, 8));
  const hasGroups = (bytes[11] & 1) !== 0 && H >= 62;
  if (hasGroups) add(46, 8, "header", "group digest", hex(46, 8));
  const tableStart = hasGroups ? 54 : 46;
  const bodiesStart = Math.max(H, tableStart + 4);
  const entries: Entry[] = [];
  let at = tableStart;
  while (at < Math.min(bodiesStart - 4, bytes.length)) {
    const entry = readEntry(bytes, at, bodiesStart - 4);
    if (entry === null) {
      add(at, bodiesStart - 4 - at, "table", "section table, unreadable", hex(at, bodiesStart - 4 - at));
      break;
    }
    const value = `${hexByte(entry.type)} ${sectionName(entry.type)}, ${formatBytes(entry.length)}`;
    add(at, entry.size, "table", `table entry ${entries.length}`, value);
    at += entry.size;
    entries.push(entry);
  }
  add(bodiesStart - 4, 4, "crc", "CRC-32 of the header", hex(bodiesStart - 4, 4));
  at = bodiesStart;
  for (const { type, length } of entries) {
    const part = type < 0x20 ? "index" : type < 0x40 ? "label" : "ancillary";
    add(at, length, part, `section ${hexByte(type)}`, `${sectionName(type)}, ${formatBytes(length)}`);
    add(at + length, 4, "crc", `CRC-32 of section ${hexByte(type)}`, hex(at + length, 4));
    at += length + 4;
  }
  add(at, bytes.length - at, "rest", "bytes after the last section", formatBytes(Math.max(0, bytes.length - at)));
  return { ranges, header };
}

function looksLikePayload(bytes: Uint8Array): boolean {
  return [0x89, 0x50, 0x4c, 0x41, 0x0d, 0x0a, 0x1a, 0x0a].every((b, i) => i >= bytes.length || bytes[i] === b);
}

function readEntry(bytes: Uint8Array, start: number, end: number): (Entry & { size: number }) | null {
  let length = 0;
  for (let n = 0; n < 5; n++) {
    const at = start + 1 + n;
    if (at >= end || at >= bytes.length) return null;
    length += (bytes[at] & 0x7f) * 2 ** (7 * n);
    if (bytes[at] < 0x80) return { type: bytes[start], length, size: 2 + n };
  }
  return null;
}
