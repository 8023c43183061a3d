/** Adaptive index codecs (SPEC.md 6.7 and 6.8). */

import { Decoder } from "./arith.js";
import { gap } from "./gap.js";
import { geometric } from "./index-static.js";
import { learningRate, log4, Mixer, stateOf } from "./mixing.js";
import { allocate32, type Stream } from "./stream.js";

const NODES = 128;
/** Where the three parts of the table of states begin. */
const T1 = 1024 * NODES;
const T2 = 2048 * NODES;
const STATES = 2560 * NODES;

const GROUP_NODE = 32;

function fail(s: Stream, message: string): never {
  s.fail("INDEX_RANGE", message, s.length);
}

/** Mode 0 of 6.7: `count` of the images start .. start + size - 1, into out[at..]. */
function positions(s: Stream, d: Decoder, out: Uint32Array, at: number, start: number, size: number, count: number): void {
  let next = start;
  const end = start + size;
  for (let j = 0; j < count; j++) {
    const n = end - next;
    const m = count - j;
    const passed = n === m ? 0 : gap(d, n, m);
    if (passed > n - m) fail(s, `index number ${at + j} leaves no room for those after it`);
    next += passed;
    out[at + j] = next++;
  }
}

/** F(q, node) of 6.7: a state for a geometric distribution. */
function firstState(q: number, node: number): number {
  const half = (355 * (((18 + 4 * (q & 3)) << (q >> 2)) - 8)) >> 5;
  if (node > 96) {
    const s = geometric(2 ** (node - 97), half);
    return stateOf(Math.floor((65536 * s) / (65536 + s)), 8);
  }
  const t = Math.floor(node / 3);
  if (node % 3 === 0) return stateOf(geometric(2 ** (t + 1) - 1, half), 8);
  if (node % 3 === 1) return stateOf(geometric(2 ** t, half), 8);
  const near = geometric(2 ** (t + 1) - 1, half);
  const far = geometric(2 ** (t + 2) - 1, half);
  return stateOf(Math.floor((65536 * (near - far)) / Math.max(1, 65536 - far)), 8);
}

function firstStates(): Int16Array {
  const rows = new Int16Array(64 * NODES);
  for (let q = 0; q < 64; q++) for (let node = 0; node < NODES; node++) rows[q * NODES + node] = firstState(q, node);
  const states = new Int16Array(STATES);
  const copy = (context: number, q: number): void =>
    states.set(rows.subarray(q * NODES, (q + 1) * NODES), context * NODES);
  for (let c = 0; c < 16; c++) copy(c, 4 * c + 2);
  for (let c = 16; c < 2048; c += 16) states.copyWithin(c * NODES, 0, 16 * NODES);
  for (let c = 0; c < 512; c++) copy(2048 + c, c >> 3);
  return states;
}

/** 6.7 */
export function indexAdaptive(s: Stream, N: number, k: number): Uint32Array {
  const d = new Decoder(s);
  const out = allocate32(k);
  if (d.bit(32768) === 0) positions(s, d, out, 0, 0, N, k);
  else clustered(s, d, out, N, k);
  d.end();
  return out;
}

/** Mode 1 of 6.7. */
function clustered(s: Stream, d: Decoder, out: Uint32Array, N: number, k: number): void {
  const m = new Mixer(d, firstStates(), new Int32Array(3 * NODES).fill(7000));
  const top = 31 - Math.clz32(N);
  let last = Math.min(63, log4(Math.floor(N / k)));
  let fast = 256 * last;
  let middle = fast;
  let slow = fast;
  let seen = 0;
  let total = 0;
  let mean = 0; // floor(total / seen)
  let index = -1;
  for (let j = 0; j < k; j++) {
    m.rate = learningRate(j);
    const b = middle >> 8;
    const c0 = (b * 16 + (last >> 2)) * NODES;
    const c1 = T1 + ((slow >> 8) * 16 + (fast >> 10)) * NODES;
    const local = seen === 0 ? 8 * b + 7 : 8 * Math.min(63, log4(mean)) + Math.min(5, 31 - Math.clz32(seen + 1));
    const c2 = T2 + local * NODES;
    let e = Math.min((b + 2) >> 2, top - 1);
    let node = 3 * e;
    if (m.mixed3(3 * node, c0 + node, c1 + node, c2 + node) === 1) {
      for (e++; e < top; e++) {
        node = 3 * e + 1;
        if (m.mixed3(3 * node, c0 + node, c1 + node, c2 + node) === 0) break;
      }
    } else {
      while (e > 0) {
        node = 3 * e - 1;
        if (m.mixed3(3 * node, c0 + node, c1 + node, c2 + node) === 1) break;
        e--;
      }
    }
    let v = 1;
    if (e > 0) {
      node = 96 + e;
      v = 2 + m.mixed3(3 * node, c0 + node, c1 + node, c2 + node);
      if (e > 1) v = v * 2 ** (e - 1) + d.raw(e - 1);
    }
    index += v;
    if (index >= N) fail(s, `index number ${j} is ${N} or more`);
    out[j] = index;
    last = Math.min(63, log4(v));
    fast += (256 * last - fast) >> 2;
    middle += (256 * last - middle) >> 3;
    slow += (256 * last - slow) >> 5;
    if (seen > 2 && v > 8 * mean + 8) {
      seen = 0;
      total = 0;
    } else {
      seen++;
      total += v;
      if (seen > 64) {
        seen >>= 1;
        total = Math.floor(total / 2);
      }
      mean = Math.floor(total / seen);
    }
  }
}

function groupStates(): Int16Array {
  const states = new Int16Array(STATES);
  for (let c = 0; c < 2560; c++) {
    const e = c < 2048 ? (c & 1023) >> 4 : 4 * (c & 15) + 2;
    const m = (4 + (e & 3)) << (e >> 2);
    states[c * NODES] = stateOf(Math.floor((65536 * m) / (m + 8192)), 5);
  }
  return states;
}

/** Quarter logarithm of how rare kept images are, 0..63: that of floor(8n / count), 12 for all of them, less 12. */
function rarity(n: number, count: number): number {
  return Math.min(63, log4(Math.min(2 ** 31, Math.floor((8 * n) / count))) - 12);
}

function expected(q: number, m: number): number {
  return Math.max(0, Math.min(63, q - m + 24));
}

/** 6.8 */
export function indexAdaptiveGroups(s: Stream, N: number, k: number, groups: Uint32Array): Uint32Array {
  const d = new Decoder(s);
  const out = allocate32(k);
  const m = new Mixer(d, groupStates(), new Int32Array(3 * NODES).fill(16000));
  let last = rarity(N, k);
  let fast = 256 * last;
  let middle = fast;
  let slow = fast;
  let known = 0;
  for (let g = 0; g < groups.length && known < k; g++) {
    const start = groups[g];
    const n = (g + 1 < groups.length ? groups[g + 1] : N) - start;
    const rest = k - known;
    const after = N - start;
    let count = n;
    if (rest < after) {
      const q = log4(n);
      const near = expected(q, last) >> 2;
      const c0 = (expected(q, middle >> 8) * 16 + near) * NODES;
      const c1 = T1 + (expected(q, slow >> 8) * 16 + (expected(q, fast >> 8) >> 2)) * NODES;
      const c2 = T2 + ((q >> 2) * 16 + near) * NODES;
      const most = n < 0xffffffff ? 31 - Math.clz32(n + 1) : 31;
      let t = 0;
      while (t < most && m.mixed3(3 * t, c0 + t, c1 + t, c2 + t) === 1) t++;
      let value = 1;
      let node = GROUP_NODE + 3 * t;
      for (let i = Math.min(t, 2); i > 0; i--) {
        const bit = m.mixed3(3 * node, c0 + node, c1 + node, c2 + node);
        value = 2 * value + bit;
        node += 1 + bit;
      }
      if (t > 2) value = value * 2 ** (t - 2) + d.raw(t - 2);
      count = value - 1;
      if (count > n || count > rest || rest - count > after - n) {
        fail(s, `group ${g} of ${n} images cannot have ${count} kept ones`);
      }
    }
    positions(s, d, out, known, start, n, count);
    known += count;
    last = count === 0 ? Math.min(63, log4(n) + 4) : rarity(n, count);
    fast += (256 * last - fast) >> 1;
    middle += (256 * last - middle) >> 2;
    slow += (256 * last - slow) >> 4;
  }
  d.end();
  return out;
}
