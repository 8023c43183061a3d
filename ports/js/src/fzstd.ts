/**
 * Zstandard by way of the `fzstd` package, which must be installed beside this one.
 *
 * Its one-call function gives back as many bytes as a frame declares, however many it holds; its streaming class shows the
 * true number, but allocates the frame's window. So the frame is given another header: one segment, of the size that the
 * caller expects.
 */

import { Decompress } from "fzstd";
import type { Zstd } from "./zstd.js";

/** Pass as `zstd` to `decode`. */
export const zstd: Zstd = (frame, size) => {
  const descriptor = frame[4];
  const single = (descriptor & 0x20) !== 0;
  const fieldWidth = [single ? 1 : 0, 2, 4, 8][descriptor >> 6];
  const blocks = frame.subarray(5 + (single ? 0 : 1) + fieldWidth);
  const rebuilt = new Uint8Array(9 + blocks.length);
  rebuilt.set([0x28, 0xb5, 0x2f, 0xfd, 0xa0, size & 255, (size >> 8) & 255, (size >> 16) & 255, size >>> 24]);
  rebuilt.set(blocks, 9);
  const out = new Uint8Array(size);
  let filled = 0;
  const stream = new Decompress((chunk) => {
    if (filled + chunk.length > size) throw new RangeError("the frame holds more bytes than it declares");
    out.set(chunk, filled);
    filled += chunk.length;
  });
  stream.push(rebuilt, true);
  return out.subarray(0, filled);
};
