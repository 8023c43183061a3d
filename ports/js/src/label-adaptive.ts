/** Adaptive label codecs (SPEC.md 7.6 and 7.7). */

import { Decoder } from "./arith.js";
import { learningRate, Mixer } from "./mixing.js";
import { allocate16, type Stream } from "./stream.js";

const HASHES = 2 ** 18;
/** Where Z and W lie behind H; L and U follow, A states each. */
const Z = HASHES;
const W = Z + 128 * 12;
const L = W + 1;

const MAX_GAIN = 2 ** 24;

/** 7.6 */
export function labelAdaptive(s: Stream, A: number, indices: Uint32Array): Uint16Array {
  const d = new Decoder(s);
  const out = allocate16(indices.length);
  if (d.bit(32768) === 0) byFrequency(d, out, A);
  else byContext(s, d, out, A, indices, null);
  d.end();
  return out;
}

/** 7.7 */
export function labelAdaptiveGroups(s: Stream, A: number, indices: Uint32Array, groups: Uint32Array): Uint16Array {
  const d = new Decoder(s);
  const out = allocate16(indices.length);
  byContext(s, d, out, A, indices, groups);
  d.end();
  return out;
}

/** Mode 0. */
function byFrequency(d: Decoder, out: Uint16Array, A: number): void {
  const ones = new Uint16Array(A);
  const both = new Uint16Array(A);
  for (let j = 0; j < out.length; j++) {
    let node = 1;
    while (node < A) {
      const p = Math.floor(((2 * ones[node] + 1) * 32768) / (both[node] + 1));
      const bit = d.bit(Math.max(32, Math.min(65504, p)));
      if (both[node] === 65535) {
        ones[node] >>= 1;
        both[node] >>= 1;
      }
      ones[node] += bit;
      both[node]++;
      node = 2 * node + bit;
    }
    out[j] = node - A;
  }
}

/** 7.6's hash; its lowest 32 bits are all that is needed of the product. */
function hash(a: number, b: number, c: number): number {
  const sum = (Math.imul(40503, a) + Math.imul(60493, b) + Math.imul(7919, c)) | 0;
  return (Math.imul(sum, 1540483) >>> 8) & (HASHES - 1);
}

/** Brings the score of one label up to date. */
function cut(score: Int32Array, seen: Int32Array, label: number, cuts: number): void {
  const missed = cuts - seen[label];
  if (missed === 0) return;
  score[label] = missed > 1 ? 0 : score[label] >> 16; // below 2^29, so two cuts leave nothing
  seen[label] = cuts;
}

/** Mode 1; `groups` tells 7.7 from 7.6. */
function byContext(s: Stream, d: Decoder, out: Uint16Array, A: number, indices: Uint32Array, groups: Uint32Array | null): void {
  const depths = 32 - Math.clz32(A - 1);
  const U = L + A;
  const states = new Int16Array(U + A);
  const m = new Mixer(d, states, new Int32Array(4 * depths + 3).fill(18000));
  const question = 4 * depths;
  const stamp = new Int32Array(A).fill(-1);
  const score = new Int32Array(A);
  // Scores of all labels are cut by 16 bits now and then: those of the two first at once, others when they are looked at.
  const cutsSeen = new Int32Array(A);
  let cuts = 0;
  let first = 0;
  let second = 1;
  let p1 = 0;
  let p2 = 0;
  let p3 = 0;
  let gain = 256;
  let seen = 0;
  let total = 0;
  let stretch = 0;
  let inside = 0;
  let group = 0;
  let previous = -1;

  for (let j = 0; j < out.length; j++) {
    m.rate = learningRate(j);
    const index = indices[j];
    let fresh = false;
    let distance: number;
    if (groups === null) {
      distance = index - previous;
      previous = index;
      if (seen > 2 && distance > 3 * Math.floor(total / seen) + 32) {
        seen = 0;
        total = 0;
        fresh = true;
      } else {
        seen++;
        total += distance;
        if (seen > 64) {
          seen >>= 1;
          total = Math.floor(total / 2);
        }
      }
    } else {
      while (group + 1 < groups.length && groups[group + 1] <= index) {
        group++;
        fresh = true;
      }
      if (fresh) inside = 0;
      distance = ++inside;
    }
    if (fresh) {
      stretch = j;
      states[W] = 0;
      gain *= 8;
      if (gain > MAX_GAIN) {
        gain >>= 16;
        cuts++;
        cut(score, cutsSeen, first, cuts);
        cut(score, cutsSeen, second, cuts);
      }
    }
    const gap = Math.min(11, 31 - Math.clz32(distance));
    const share = Math.min(15, Math.floor(score[first] / gain));
    const same = (p1 === first ? 4 : 0) + (p2 === first ? 2 : 0) + (p3 === first ? 1 : 0);
    const asked = hash(first, p1, p2 === first ? 1 : 0);
    let label = first;
    if (m.mixed3(question, asked, Z + (same * 16 + share) * 12 + gap, W) === 0) {
      const b = hash(first, second, 3);
      const c = hash(first, 0, 4);
      let node = 1;
      for (let w = 0; node < A; w += 4) {
        if (stamp[node] !== stretch) {
          stamp[node] = stretch;
          states[U + node] = 0;
        }
        const bit = m.mixed4(w, (b + node) & (HASHES - 1), (c + node) & (HASHES - 1), L + node, U + node);
        if ((states[L + node] & 15) === 8) states[L + node]--;
        node = 2 * node + bit;
      }
      label = node - A;
      if (label === first) s.fail("NON_CANONICAL", `label number ${j} is the expected one, coded as another`, s.length);
    }
    out[j] = label;
    cut(score, cutsSeen, label, cuts);
    score[label] += gain;
    if (label !== first) {
      if (score[label] > score[first]) {
        second = first;
        first = label;
      } else if (label !== second && score[label] > score[second]) second = label;
    }
    gain += gain >> 4;
    if (gain > MAX_GAIN) {
      gain >>= 16;
      cuts++;
      cut(score, cutsSeen, first, cuts);
      cut(score, cutsSeen, second, cuts);
    }
    p3 = p2;
    p2 = p1;
    p1 = label;
  }
}
