/**
 * Zstandard by way of the `fzstd` package, which must be installed beside this one.
 *
 * fzstd takes a frame at its word: some damaged ones keep it busy for ever, of others it returns as many bytes as they
 * declare, however many they hold. So it gets a header of ours, and only blocks that come to the size that is expected.
 */

import { decompress } from "fzstd";
import { checkBlocks } from "./zstd-blocks.js";
import type { Zstd } from "./zstd.js";

/** Pass as `zstd` to `decode`. */
export const zstd: Zstd = (frame, size) => {
  const single = (frame[4] & 0x20) !== 0;
  const fieldWidth = [single ? 1 : 0, 2, 4, 8][frame[4] >> 6];
  const blocks = frame.subarray(5 + (single ? 0 : 1) + fieldWidth);
  checkBlocks(blocks, size);
  // one segment of `size` bytes
  const rebuilt = new Uint8Array(9 + blocks.length);
  rebuilt.set([0x28, 0xb5, 0x2f, 0xfd, 0xa0, size & 255, (size >> 8) & 255, (size >> 16) & 255, size >>> 24]);
  rebuilt.set(blocks, 9);
  return decompress(rebuilt);
};
