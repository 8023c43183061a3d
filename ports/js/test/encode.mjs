// A small writer of payloads and manifests, from SPEC.md, so that tests can make files of their own. Speed is no aim.
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";

export function varint(x) {
  const bytes = [];
  for (; x >= 128; x = Math.floor(x / 128)) bytes.push((x % 128) | 128);
  return [...bytes, x];
}

export const u32 = (x) => [x & 255, (x >>> 8) & 255, (x >>> 16) & 255, (x >>> 24) & 255];
const u16 = (x) => [x & 255, x >>> 8];

/** Bits, least significant first in each byte. */
export class Bits {
  bits = [];

  field(value, width) {
    for (let i = 0; i < width; i++) this.bits.push(Math.floor(value / 2 ** i) % 2);
    return this;
  }

  bytes() {
    const out = new Array(Math.ceil(this.bits.length / 8)).fill(0);
    this.bits.forEach((bit, i) => (out[i >> 3] |= bit << (i & 7)));
    return out;
  }
}

/** 5.1, with the given parameter. */
export function integerBlock(values, P) {
  const [a, b, c] = [new Bits(), new Bits(), new Bits()];
  for (const v of values) {
    if (P % 2 === 0) {
      const M = P / 2 + 1;
      const width = Math.floor(Math.log2(M));
      const u = 2 ** (width + 1) - M;
      const r = v % M;
      a.field(0, Math.floor(v / M)).field(1, 1);
      b.field(r < u ? r : Math.floor((r + u) / 2), width);
      if (r >= u) c.field((r + u) % 2, 1);
    } else {
      const order = (P - 1) / 2;
      const t = Math.floor(v / 2 ** order) + 1;
      const q = Math.floor(Math.log2(t));
      a.field(0, q).field(1, 1);
      b.field(v % 2 ** order, order);
      c.field(t - 2 ** q, q);
    }
  }
  const all = new Bits();
  all.bits = [...a.bits, ...b.bits, ...c.bits];
  return [...varint(P), ...all.bytes()];
}

/** 5.2 */
export function symbolSet(members, A) {
  if (members.length === A) return varint(A);
  const gaps = members.map((s, j) => s - (j === 0 ? 0 : members[j - 1] + 1));
  return [...varint(members.length), ...integerBlock(gaps, 1)];
}

/** 5.3 with the given lengths of the members' code words; one member needs none. */
export function huffman(members, lengths, symbols, A) {
  const set = symbolSet(members, A);
  if (members.length === 1) return set;
  let previous = Math.ceil(Math.log2(members.length));
  const zigzag = lengths.map((length) => {
    const d = length - previous;
    previous = length;
    return d >= 0 ? 2 * d : -2 * d - 1;
  });
  const order = members.map((_, j) => j).sort((x, y) => lengths[x] - lengths[y] || x - y);
  const codes = new Map();
  let code = 0;
  order.forEach((j, at) => {
    if (at > 0) code = (code + 1) * 2 ** (lengths[j] - lengths[order[at - 1]]);
    codes.set(members[j], code.toString(2).padStart(lengths[j], "0"));
  });
  const bits = new Bits();
  for (const symbol of symbols) for (const bit of codes.get(symbol)) bits.field(Number(bit), 1);
  return [...set, ...integerBlock(zigzag, 1), ...bits.bytes()];
}

/** 5.4: the states and words for symbol numbers j of a table. */
export function rans(frequencies, s, symbols) {
  const cumulative = [0];
  for (const f of frequencies) cumulative.push(cumulative.at(-1) + f);
  const n = symbols.length;
  const lanes = n < 65536 ? 1 : n < 131072 ? 32 : 64;
  const x = new Array(lanes).fill(65536);
  const words = [];
  for (let i = n - 1; i >= 0; i--) {
    const lane = i % lanes;
    const f = frequencies[symbols[i]];
    if (Math.floor(x[lane] / 2 ** (32 - s)) >= f) {
      words.push(x[lane] % 65536);
      x[lane] = Math.floor(x[lane] / 65536);
    }
    x[lane] = Math.floor(x[lane] / f) * 2 ** s + (x[lane] % f) + cumulative[symbols[i]];
  }
  return [...x.flatMap(u32), ...words.reverse().flatMap(u16)];
}

/** table(A) of 5.4. */
export function ransTable(members, frequencies, s, A) {
  if (members.length === 1) return symbolSet(members, A);
  return [...symbolSet(members, A), s, ...integerBlock(frequencies.slice(0, -1).map((f) => f - 1), 1)];
}

/** 5.6, the encoder. `low` may pass 2^32 by one carry. */
export class ArithmeticEncoder {
  low = 0;
  range = 2 ** 32 - 1;
  bytes = [];

  carry() {
    if (this.low < 2 ** 32) return;
    this.low -= 2 ** 32;
    let i = this.bytes.length - 1;
    while (this.bytes[i] === 255) this.bytes[i--] = 0;
    this.bytes[i]++;
  }

  settle() {
    while (this.range < 2 ** 24) {
      this.carry();
      this.bytes.push(Math.floor(this.low / 2 ** 24));
      this.low = (this.low % 2 ** 24) * 256;
      this.range *= 256;
    }
  }

  bit(p, value) {
    const bound = Math.floor(this.range / 65536) * p;
    if (value) this.range = bound;
    else {
      this.low += bound;
      this.range -= bound;
    }
    this.settle();
  }

  number(n, v) {
    const part = Math.floor(this.range / n);
    this.low += v * part;
    this.range = v === n - 1 ? this.range - v * part : part;
    this.settle();
  }

  raw(w, value) {
    for (; w > 8; w -= 8) {
      this.number(256, Math.floor(value / 2 ** (w - 8)));
      value %= 2 ** (w - 8);
    }
    this.number(2 ** w, value);
  }

  end() {
    let V = Math.ceil(this.low / 2 ** 32) * 2 ** 32;
    if (V >= this.low + this.range) V = Math.ceil(this.low / 2 ** 24) * 2 ** 24;
    this.low = V;
    this.carry();
    for (let shift = 24; shift >= 0; shift -= 8) this.bytes.push(Math.floor(this.low / 2 ** shift) % 256);
    while (this.bytes.at(-1) === 0) this.bytes.pop();
    return this.bytes;
  }
}

/** Section 4. */
export function contentDigest(N, K, indices, labels) {
  const bytes = [
    ...Buffer.from("plada content 1\0"),
    ...[N, indices.length, K].flatMap(u32),
    ...Array.from(indices).flatMap(u32),
    ...Array.from(labels).flatMap(u16),
  ];
  return createHash("sha256").update(Buffer.from(bytes)).digest().subarray(0, 8);
}

/** A file of sections [type, body] in the order of their types. */
export function payload({ N, K, indices, labels, sections, minor = 0, fingerprint = new Uint8Array(16), groupDigest = null }) {
  const table = sections.flatMap(([type, body]) => [type, ...varint(body.length)]);
  const H = 46 + (groupDigest === null ? 0 : 8) + table.length + 4;
  const head = [
    ...[0x89, 0x50, 0x4c, 0x41, 0x0d, 0x0a, 0x1a, 0x0a, 1, minor, H, groupDigest === null ? 0 : 1],
    ...u32(N),
    ...u32(indices.length),
    ...u16(K - 1),
    ...fingerprint,
    ...contentDigest(N, K, indices, labels),
    ...(groupDigest ?? []),
    ...table,
  ];
  const bodies = sections.flatMap(([type, body]) => [...body, ...u32(crc32(Uint8Array.of(type, ...body)))]);
  return Uint8Array.of(...head, ...u32(crc32(Uint8Array.from(head))), ...bodies);
}

/** The labels as a label-fixed section, empty where they are known anyway. */
export function fixedLabels(labels, K) {
  const width = Math.ceil(Math.log2(K));
  const bits = new Bits();
  for (const label of labels) bits.field(label, width);
  return [0x20, K === 1 ? [] : bits.bytes()];
}

/** The index set as an index-golomb section, empty where it is known anyway. */
export function golombIndices(indices, N, P = 1) {
  if (indices.length === 0 || indices.length === N) return [0x01, []];
  const gaps = indices.map((i, j) => i - (j === 0 ? 0 : indices[j - 1] + 1));
  return [0x01, integerBlock(gaps, P)];
}

export const text = (value) => {
  const bytes = [...Buffer.from(value)];
  return [...varint(bytes.length), ...bytes];
};

export const classNames = (names) => [0x80, names.flatMap(text)];
export const metadata = (pairs) => [0x81, [...varint(pairs.length), ...pairs.flatMap(([key, value]) => [...text(key), ...text(value)])]];

/** A manifest of one block, its keys stored as text or as the given bytes. `digests` are buffers of 32 bytes. */
export function poolManifest(keys, digests, { stored = null, name = "", groups = null } = {}) {
  const block = createHash("sha256").update("PLADA-pool-block-v1\0");
  keys.forEach((key, i) => block.update(Buffer.from(text(key))).update(digests[i]));
  const hash = block.digest();
  const keyText = Buffer.from(keys.map((key) => `${key}\n`).join(""));
  stored ??= keyText;
  const size = Buffer.from(u32(keys.length));
  const root = createHash("sha256").update("PLADA-pool-root-v1\0").update(size).update(hash).digest();
  const table = Buffer.from([...u32(stored.length), ...u32(keyText.length), ...u32(crc32(stored))]);
  const columns = [
    [1, Buffer.from(name)],
    [2, table],
    [3, hash],
    ...(groups === null
      ? []
      : [
          [8, Buffer.from(groups.starts.flatMap(u32))],
          [9, Buffer.from(groups.names.map((n) => `${n}\n`).join(""))],
        ]),
    [32, stored],
    [33, Buffer.concat(digests)],
  ];
  const entries = columns.flatMap(([id, body]) => [
    ...u16(id),
    ...u16(id === 8 || id === 9 ? 0 : 1),
    ...u32(id < 32 ? crc32(body) : 0),
    ...u32(body.length),
    ...u32(0),
  ]);
  const head = Buffer.from([0x89, 0x50, 0x4c, 0x50, 0x0d, 0x0a, 0x1a, 0x0a, 1, 0, columns.length, 0, ...size, ...root, ...entries]);
  return new Uint8Array(Buffer.concat([head, Buffer.from(u32(crc32(head))), ...columns.map((c) => c[1])]));
}

export const fingerprintOf = (manifest) => Buffer.from(manifest.subarray(16, 32)).toString("hex");

function survival(n, k, t) {
  if (t > 0) n = Math.floor(n / 2 ** t);
  const one = t === 0 ? 2 ** 26 : 2 ** 25;
  for (; n >= one; k = Math.floor(k / 2)) n = Math.floor(n / 2);
  return Math.floor(((t === 0 ? n - k : 2 * n - k) * 2 ** 26) / (t === 0 ? n : 2 * n + k));
}

const square = (r) => Number((BigInt(r) * BigInt(r)) >> 26n);

/** 5.8: writes that `gap` of n images are passed over before the first of k kept ones. */
export function encodeGap(e, n, k, gap) {
  let rest = gap;
  while (k > 1) {
    const width = Math.floor(Math.log2(Math.max(1, Math.floor((n - (n >>> 2)) / k))));
    const t0 = Math.max(0, width - 6);
    const half = Math.floor(2 ** width / 2);
    let r = survival(n - half, k, t0);
    for (let t = t0; t < width; t++) r = square(r);
    const beyond = rest >= 2 ** width;
    e.bit(Math.min(65504, Math.max(32, r >>> 10)), beyond ? 1 : 0);
    if (!beyond) {
      if (width === 0) return;
      const R = [];
      R[t0] = survival(n - 1 - half, k - 1, t0);
      for (let t = t0; t < width; t++) R[t + 1] = square(R[t]);
      for (let t = width - 1; t >= t0; t--) e.bit(Math.floor((R[t] * 65536) / (2 ** 26 + R[t])), Math.floor(rest / 2 ** t) % 2);
      e.raw(t0, rest % 2 ** t0);
      return;
    }
    rest -= 2 ** width;
    n -= 2 ** width;
    if (n <= k) return;
  }
  let s = 0;
  while (Math.floor((n - 1) / 2 ** s) > 65535) s++;
  e.number(Math.floor((n - 1) / 2 ** s) + 1, Math.floor(rest / 2 ** s));
  e.raw(s, rest % 2 ** s);
}

/** The positions of mode 0 of 6.7. */
export function encodePositions(e, indices, start, size) {
  let next = start;
  indices.forEach((index, j) => {
    const n = start + size - next;
    if (n !== indices.length - j) encodeGap(e, n, indices.length - j, index - next);
    next = index + 1;
  });
}

/** 6.7, mode 0. */
export function uniformIndices(indices, N) {
  const e = new ArithmeticEncoder();
  e.bit(32768, 0);
  encodePositions(e, indices, 0, N);
  return [0x08, e.end()];
}
