/** Adaptive label codecs (SPEC.md 7.6 and 7.7). */

import type { Stream } from "./stream.js";

/** 7.6 */
export function labelAdaptive(s: Stream, A: number, indices: Uint32Array): Uint16Array {
  void [A, indices];
  return s.fail("UNSUPPORTED_CODEC", "not built in yet", 0);
}

/** 7.7 */
export function labelAdaptiveGroups(s: Stream, A: number, indices: Uint32Array, groups: Uint32Array): Uint16Array {
  void groups;
  return labelAdaptive(s, A, indices);
}
