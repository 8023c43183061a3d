/** Mixed decisions of the adaptive codecs (SPEC.md 5.7). */

import type { Decoder } from "./arith.js";

/** The logistic function at every 128th place, times 65536. */
const A = /* @__PURE__ */ Uint16Array.of(
  22, 36, 60, 98, 162, 267, 439, 721, 1179, 1921, 3108, 4971, 7812, 11952, 17624, 24743, 32768, 40793, 47912, 53584,
  57724, 60565, 62428, 63615, 64357, 64815, 65097, 65269, 65374, 65438, 65476, 65500, 65514,
);

const OBSERVED = /* @__PURE__ */ Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 28, 36, 52, 84);

const LARGEST = 2047;
const MAX_WEIGHT = 262143;

interface Tables {
  /** squash(x) at x + 2048. */
  readonly squash: Uint16Array;
  /** The smallest x with squash(x) >= p; 2047 if there is none. */
  readonly stretch: Int16Array;
  /** next(bit, s) at 2 * (s mod 65536) + bit. */
  readonly next: Int16Array;
}

let tables: Tables | null = null;

function getTables(): Tables {
  return (tables ??= buildTables());
}

function buildTables(): Tables {
  const squash = new Uint16Array(4096);
  for (let x = -LARGEST; x <= LARGEST; x++) {
    const i = (x + 2048) >> 7;
    const f = (x + 2048) & 127;
    squash[x + 2048] = Math.max(32, Math.min(65504, (A[i] * (128 - f) + A[i + 1] * f + 64) >> 7));
  }
  // squash never falls, so the steps of `next` end at one of these two places.
  const stretch = new Int16Array(65536);
  const most = new Int16Array(65536);
  for (let p = 0, least = -LARGEST, last = -LARGEST; p < 65536; p++) {
    while (least < LARGEST && squash[least + 2048] < p) least++;
    while (last < LARGEST && squash[last + 2049] <= p) last++;
    stretch[p] = least;
    most[p] = last;
  }
  const next = new Int16Array(2 * 65536);
  for (let x = -LARGEST; x <= LARGEST; x++) {
    const p = squash[x + 2048];
    for (let level = 0; level < 16; level++) {
      const rate = Math.floor((65536 * 5) / (5 * OBSERVED[level] + 8));
      const place = 2 * ((16 * x + level) & 0xffff);
      const up = Math.max(x, stretch[p + Math.floor(((65535 - p) * rate) / 65536)]);
      const down = Math.min(x, most[p + Math.floor((-p * rate) / 65536)]);
      next[place + 1] = 16 * up + nextLevel(up, level);
      next[place] = 16 * down + nextLevel(down, level);
    }
  }
  return { squash, stretch, next };
}

function nextLevel(x: number, level: number): number {
  return level < 15 && x % (OBSERVED[level + 1] - OBSERVED[level]) === 0 ? level + 1 : level;
}

/** state(p, level) */
export function stateOf(p: number, level: number): number {
  return 16 * getTables().stretch[Math.max(64, Math.min(65472, p))] + level;
}

function clampWeight(w: number): number {
  return w > MAX_WEIGHT ? MAX_WEIGHT : w < -MAX_WEIGHT ? -MAX_WEIGHT : w;
}

/** Decodes mixed decisions. All states of a codec lie in one array, all weights in another; both are named by place. */
export class Mixer {
  private readonly squash = getTables().squash;
  private readonly next = getTables().next;
  /** r: weights learn by d * x_i / 2^r. */
  rate = 15;

  constructor(
    private readonly decoder: Decoder,
    private readonly states: Int16Array,
    private readonly weights: Int32Array,
  ) {}

  /** mixed(set, states) with three inputs: weights at w, w + 1, w + 2. */
  mixed3(w: number, i0: number, i1: number, i2: number): number {
    const { states, weights, next } = this;
    const s0 = states[i0];
    const s1 = states[i1];
    const s2 = states[i2];
    const x0 = s0 >> 4;
    const x1 = s1 >> 4;
    const x2 = s2 >> 4;
    const w0 = weights[w];
    const w1 = weights[w + 1];
    const w2 = weights[w + 2];
    let x = (Math.imul(w0, x0) + Math.imul(w1, x1) + Math.imul(w2, x2)) >> 16;
    x = x > LARGEST ? LARGEST : x < -LARGEST ? -LARGEST : x;
    const p = this.squash[x + 2048];
    const bit = this.decoder.bit(p);
    const d = p - (bit << 16);
    if (d > 2000 || d < -2000) {
      const { rate } = this;
      weights[w] = clampWeight(w0 - (Math.imul(d, x0) >> rate));
      weights[w + 1] = clampWeight(w1 - (Math.imul(d, x1) >> rate));
      weights[w + 2] = clampWeight(w2 - (Math.imul(d, x2) >> rate));
    }
    states[i0] = next[((s0 & 0xffff) << 1) | bit];
    states[i1] = next[((s1 & 0xffff) << 1) | bit];
    states[i2] = next[((s2 & 0xffff) << 1) | bit];
    return bit;
  }

  /** The same with four inputs. */
  mixed4(w: number, i0: number, i1: number, i2: number, i3: number): number {
    const { states, weights, next } = this;
    const s0 = states[i0];
    const s1 = states[i1];
    const s2 = states[i2];
    const s3 = states[i3];
    const x0 = s0 >> 4;
    const x1 = s1 >> 4;
    const x2 = s2 >> 4;
    const x3 = s3 >> 4;
    const w0 = weights[w];
    const w1 = weights[w + 1];
    const w2 = weights[w + 2];
    const w3 = weights[w + 3];
    let x = (Math.imul(w0, x0) + Math.imul(w1, x1) + Math.imul(w2, x2) + Math.imul(w3, x3)) >> 16;
    x = x > LARGEST ? LARGEST : x < -LARGEST ? -LARGEST : x;
    const p = this.squash[x + 2048];
    const bit = this.decoder.bit(p);
    const d = p - (bit << 16);
    if (d > 2000 || d < -2000) {
      const { rate } = this;
      weights[w] = clampWeight(w0 - (Math.imul(d, x0) >> rate));
      weights[w + 1] = clampWeight(w1 - (Math.imul(d, x1) >> rate));
      weights[w + 2] = clampWeight(w2 - (Math.imul(d, x2) >> rate));
      weights[w + 3] = clampWeight(w3 - (Math.imul(d, x3) >> rate));
    }
    // Where two of the places are one, the later value remains.
    states[i0] = next[((s0 & 0xffff) << 1) | bit];
    states[i1] = next[((s1 & 0xffff) << 1) | bit];
    states[i2] = next[((s2 & 0xffff) << 1) | bit];
    states[i3] = next[((s3 & 0xffff) << 1) | bit];
    return bit;
  }
}

/** r for the image or label number j of 6.7 and 7.6. */
export function learningRate(j: number): number {
  return j < 256 ? 14 : j < 16384 ? 15 : 16;
}

/** Quarter logarithm, 1 <= v < 2^32. */
export function log4(v: number): number {
  const e = 31 - Math.clz32(v);
  return 4 * e + ((e >= 2 ? v >>> (e - 2) : v << (2 - e)) & 3);
}
