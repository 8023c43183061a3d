/**
 * Zstandard by way of the `fzstd` package, which must be installed beside this one.
 *
 * fzstd takes a frame at its word: some damaged ones keep it busy for ever, of others it returns as many bytes as they
 * declare, however many they hold. So it only gets frames whose blocks come to the size that the caller expects.
 */

import { decompress } from "fzstd";
import { zstdSize } from "./zstd-size.js";
import type { Zstd } from "./zstd.js";

/** Pass as `zstd` to `decode`. */
export const zstd: Zstd = (frame, size) => {
  const made = zstdSize(frame);
  if (made !== size) throw new RangeError(`the frame holds ${made} bytes`);
  return decompress(frame);
};
