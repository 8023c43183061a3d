/** The outer form of a Zstandard frame (SPEC.md 5.5). What lies inside its blocks is the decompressor's matter. */

import type { Stream } from "./stream.js";

/** Decompresses one frame that declares `size` bytes; throws, or returns what it got, on damage. */
export type Zstd = (frame: Uint8Array, size: number) => Uint8Array;

const MAX_WINDOW = 2 ** 27;
const MAX_BLOCK = 2 ** 17;

/** The rest of the stream, which is one frame of `size` bytes, decompressed. */
export function frameContent(s: Stream, size: number, zstd: Zstd): Uint8Array {
  checkFrame(s, size);
  let content: Uint8Array;
  try {
    content = zstd(s.bytes.slice(s.pos), size);
  } catch (error) {
    s.fail("ZSTD_FRAME", `the frame cannot be decompressed (${String(error)})`);
  }
  if (!(content instanceof Uint8Array) || content.length !== size) {
    s.fail("ZSTD_FRAME", `the frame does not hold the ${size} bytes that it declares`);
  }
  s.pos = s.length;
  return content;
}

function checkFrame(s: Stream, size: number): void {
  const { bytes } = s;
  const start = s.pos;
  let at = start;
  const need = (n: number, what: string): void => {
    if (bytes.length - at < n) s.fail("ZSTD_FRAME", `the frame ends within ${what}`, bytes.length);
  };
  need(5, "its header");
  if (bytes[at] !== 0x28 || bytes[at + 1] !== 0xb5 || bytes[at + 2] !== 0x2f || bytes[at + 3] !== 0xfd) {
    s.fail("ZSTD_FRAME", "no Zstandard frame begins here");
  }
  const descriptor = bytes[at + 4];
  at += 5;
  const single = (descriptor & 0x20) !== 0;
  if (descriptor & 0x08) s.fail("ZSTD_FRAME", "the frame's reserved bit is set", start + 4);
  if (descriptor & 0x04) s.fail("ZSTD_FRAME", "the frame has a checksum", start + 4);
  if (descriptor & 0x03) s.fail("ZSTD_FRAME", "the frame has a dictionary id", start + 4);
  let window = size;
  if (!single) {
    need(1, "its header");
    const base = 2 ** (10 + (bytes[at] >> 3));
    window = base + (base / 8) * (bytes[at] & 7);
    if (window > MAX_WINDOW) s.fail("ZSTD_FRAME", `the frame's window is ${window} bytes`, at);
    at++;
  }
  const width = [single ? 1 : 0, 2, 4, 8][descriptor >> 6];
  if (width === 0) s.fail("ZSTD_FRAME", "the frame does not say its content's size", start + 4);
  need(width, "its header");
  let declared = width === 2 ? 256 : 0;
  for (let i = 0; i < width; i++) declared += bytes[at + i] * 256 ** i;
  if (declared !== size) s.fail("ZSTD_FRAME", `the frame declares ${declared} bytes, not ${size}`, at);
  at += width;
  const largest = Math.min(window, MAX_BLOCK);
  for (let last = 0; last === 0; ) {
    need(3, "a block header");
    const head = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
    last = head & 1;
    const type = (head >> 1) & 3;
    const blockSize = head >> 3;
    if (type === 3) s.fail("ZSTD_FRAME", "reserved block type", at);
    if (blockSize > largest) s.fail("ZSTD_FRAME", `a block of ${blockSize} bytes, at most ${largest} are allowed`, at);
    at += 3;
    const present = type === 1 ? 1 : blockSize;
    need(present, "a block");
    at += present;
  }
  if (at < bytes.length) s.fail("ZSTD_FRAME", "bytes follow the frame", at);
}
