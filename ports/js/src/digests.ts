/** Content digest (SPEC.md section 4) and group digest (16.2). */

import { toHex } from "./hex.js";
import { Sha256 } from "./sha256.js";

const CHUNK = 1 << 14;

/** Numbers as u32. */
function feed32(hash: Sha256, values: Uint32Array): void {
  const buffer = new Uint8Array(4 * Math.min(values.length, CHUNK));
  for (let start = 0; start < values.length; start += CHUNK) {
    const stop = Math.min(values.length, start + CHUNK);
    let at = 0;
    for (let i = start; i < stop; i++) {
      const v = values[i];
      buffer[at] = v;
      buffer[at + 1] = v >>> 8;
      buffer[at + 2] = v >>> 16;
      buffer[at + 3] = v >>> 24;
      at += 4;
    }
    hash.update(buffer.subarray(0, at));
  }
}

/** Numbers as u16. */
function feed16(hash: Sha256, values: Uint16Array): void {
  const buffer = new Uint8Array(2 * Math.min(values.length, CHUNK));
  for (let start = 0; start < values.length; start += CHUNK) {
    const stop = Math.min(values.length, start + CHUNK);
    let at = 0;
    for (let i = start; i < stop; i++) {
      const v = values[i];
      buffer[at] = v;
      buffer[at + 1] = v >>> 8;
      at += 2;
    }
    hash.update(buffer.subarray(0, at));
  }
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

/** 16 hexadecimal digits. */
export function contentDigest(N: number, K: number, indices: Uint32Array, labels: Uint16Array): string {
  const hash = new Sha256().update(ascii("plada content 1\0"));
  feed32(hash, Uint32Array.of(N, indices.length, K));
  feed32(hash, indices);
  feed16(hash, labels);
  return toHex(hash.digest().subarray(0, 8));
}

/** 16 hexadecimal digits, for the numbers of the first images of the groups. */
export function groupDigest(starts: Uint32Array): string {
  const hash = new Sha256().update(ascii("PLADA-pool-groups-v1\0"));
  feed32(hash, Uint32Array.of(starts.length));
  feed32(hash, starts);
  const digest = hash.digest().subarray(0, 8);
  if (digest.every((b) => b === 0)) digest[7] = 1;
  return toHex(digest);
}
