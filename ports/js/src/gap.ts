/** Gaps of a set without structure (SPEC.md 5.8). Products of up to 53 bits: plain numbers hold them exactly. */

import type { Decoder } from "./arith.js";

const ONE = 2 ** 26;

/** How likely, in units of 2^-26, 2^t images in a row are passed over when k of n are kept. */
function survival(n: number, k: number, t: number): number {
  if (t === 0) {
    while (n >= ONE) {
      n = Math.floor(n / 2);
      k = Math.floor(k / 2);
    }
    return Math.floor(((n - k) * ONE) / n);
  }
  n = Math.floor(n / 2 ** t);
  while (n >= ONE / 2) {
    n = Math.floor(n / 2);
    k = Math.floor(k / 2);
  }
  return Math.floor(((2 * n - k) * ONE) / (2 * n + k));
}

const squares = new Float64Array(33);

/** How many of n images are passed over before the first of k kept ones, 1 <= k < n. May exceed n - k on corrupt streams. */
export function gap(d: Decoder, n: number, k: number): number {
  let value = 0;
  while (k > 1) {
    const width = 31 - Math.clz32(Math.max(1, Math.floor((n - Math.floor(n / 4)) / k)));
    const power = 2 ** width;
    const half = Math.floor(power / 2);
    const t0 = Math.max(0, width - 6);
    let r = survival(n - half, k, t0);
    for (let t = t0; t < width; t++) r = Math.floor((r * r) / ONE);
    if (d.bit(Math.min(65504, Math.max(32, r >>> 10))) === 0) {
      if (width === 0) return value;
      squares[t0] = survival(n - 1 - half, k - 1, t0);
      for (let t = t0; t < width; t++) squares[t + 1] = Math.floor((squares[t] * squares[t]) / ONE);
      let low = 0;
      for (let t = width - 1; t >= t0; t--) low = 2 * low + d.bit(Math.floor((squares[t] * 65536) / (ONE + squares[t])));
      return value + low * 2 ** t0 + d.raw(t0);
    }
    value += power;
    n -= power;
    if (n <= k) return value;
  }
  let s = 0;
  while (Math.floor((n - 1) / 2 ** s) > 65535) s++;
  return value + d.number(Math.floor((n - 1) / 2 ** s) + 1) * 2 ** s + d.raw(s);
}
