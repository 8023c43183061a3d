/** Adaptive index codecs (SPEC.md 6.7 and 6.8). */

import { Decoder } from "./arith.js";
import { gap } from "./gap.js";
import { allocate32, type Stream } from "./stream.js";

/** Mode 0 of 6.7: `count` of the images start .. start + size - 1, into out[at..]. */
function positions(s: Stream, d: Decoder, out: Uint32Array, at: number, start: number, size: number, count: number): void {
  let next = start;
  const end = start + size;
  for (let j = 0; j < count; j++) {
    const n = end - next;
    const m = count - j;
    const passed = n === m ? 0 : gap(d, n, m);
    if (passed > n - m) s.fail("INDEX_RANGE", `index number ${at + j} leaves no room for those after it`, s.length);
    next += passed;
    out[at + j] = next++;
  }
}

/** 6.7 */
export function indexAdaptive(s: Stream, N: number, k: number): Uint32Array {
  const d = new Decoder(s);
  const out = allocate32(k);
  if (d.bit(32768) === 0) positions(s, d, out, 0, 0, N, k);
  else s.fail("UNSUPPORTED_CODEC", "mode 1 is not built in yet", 0);
  d.end();
  return out;
}

/** 6.8 */
export function indexAdaptiveGroups(s: Stream, N: number, k: number, groups: Uint32Array): Uint32Array {
  void [N, k, groups];
  return s.fail("UNSUPPORTED_CODEC", "not built in yet", 0);
}
