// Whole files: what is written comes back, and damage of any kind is one PladaError.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { crc32 } from "../dist/crc32.js";
import { zstd } from "../dist/fzstd.js";
import { contentDigest, decode, ERROR_CODES, groupDigest, inspect, PladaError, weightOf } from "../dist/index.js";
import * as write from "./encode.mjs";
import { expectError, manifest, optionsOf, vector } from "./support.mjs";

const content = fc
  .record({ N: fc.integer({ min: 0, max: 400 }), K: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 65536 })), share: fc.nat(100) })
  .chain(({ N, K, share }) =>
    fc.infiniteStream(fc.nat(99)).map((dice) => {
      const indices = Array.from({ length: N }, (_, i) => i).filter(() => dice.next().value < share);
      return { N, K, indices, labels: indices.map((i) => (i * 7919 + dice.next().value) % K) };
    }),
  );

function same(payload, { N, K, indices, labels }) {
  assert.equal(payload.header.poolSize, N);
  assert.equal(payload.header.numClasses, K);
  assert.deepEqual(Array.from(payload.indices), indices);
  assert.deepEqual(Array.from(payload.labels), labels);
}

test("random contents come back from Golomb codes", () => {
  fc.assert(
    fc.property(content, fc.nat(12), (c, P) => {
      const bytes = write.payload({ ...c, sections: [write.golombIndices(c.indices, c.N, P), write.fixedLabels(c.labels, c.K)] });
      const payload = decode(bytes, { poolSize: c.N });
      same(payload, c);
      assert.equal(payload.header.contentDigest, contentDigest(c.N, c.K, payload.indices, payload.labels));
    }),
    { numRuns: 200 },
  );
});

test("random sets come back from mode 0 of index-adaptive", () => {
  fc.assert(
    fc.property(content, (c) => {
      if (c.indices.length === 0 || c.indices.length === c.N) return;
      const sections = [write.uniformIndices(c.indices, c.N), write.fixedLabels(c.labels, c.K)];
      same(decode(write.payload({ ...c, sections, minor: 1 }), { poolSize: c.N }), c);
    }),
    { numRuns: 200 },
  );
});

test("mode 0 in large pools, and its size", () => {
  for (const [N, k] of [[2 ** 32 - 1, 5], [2 ** 32 - 1, 400], [14197087, 1000], [70000, 1], [70000, 69999], [2 ** 31, 2]]) {
    // One image out of each k-th part of the pool, so that k = N - 1 takes no luck.
    const indices = Array.from({ length: k }, (_, j) => {
      const [first, next] = [Math.floor((j * N) / k), Math.floor(((j + 1) * N) / k)];
      return first + (Math.imul(j + 1, 0x9e3779b1) >>> 0) % (next - first);
    });
    const section = write.uniformIndices(indices, N);
    const c = { N, K: 1, indices, labels: indices.map(() => 0) };
    same(decode(write.payload({ ...c, sections: [section, [0x20, []]], minor: 1 }), { poolSize: N }), c);
    let bits = 0;
    for (let i = 0; i < Math.min(k, N - k); i++) bits += Math.log2((N - i) / (i + 1));
    assert.ok(section[1].length * 8 <= bits * 1.01 + k * 0.0008 + 24, `${section[1].length} bytes for ${bits / 8}`);
  }
});

test("ancillary sections come back", () => {
  const c = { N: 10, K: 3, indices: [1, 4], labels: [2, 0] };
  const softLabels = [255, 0, 0, 100, 155, 0, 1, 2, 252];
  const fixed = (values) => [0x20, ...new write.Bits().field(0, 0).bytes(), ...values];
  const sections = [
    write.golombIndices(c.indices, c.N),
    write.fixedLabels(c.labels, c.K),
    write.classNames(["\ufeffcat", "", "<b>ümlaut</b>"]),
    write.metadata([["__proto__", "x"], ["a", ""], ["é", "ü"]]),
    [0x82, fixed([128, 144])],
    [0x83, fixed(softLabels)],
    [0xc0, [1, 2, 3]],
  ];
  const bytes = write.payload({ ...c, sections });
  const payload = decode(bytes);
  same(payload, c);
  assert.deepEqual(payload.classNames, ["\ufeffcat", "", "<b>ümlaut</b>"]);
  assert.deepEqual([...payload.metadata], [["__proto__", "x"], ["a", ""], ["é", "ü"]]);
  assert.deepEqual(Array.from(payload.weights, weightOf), [1, 2]);
  assert.deepEqual([...payload.softLabels], softLabels);
  assert.equal(decode(bytes, { ancillary: false }).classNames, null);
});

const small = manifest.vectors.filter((v) => v.error === undefined && v.size < 400);

test("every prefix of a valid file is TRUNCATED", () => {
  assert.ok(small.length > 50);
  for (const v of small) {
    const bytes = vector(v.file);
    for (let n = 0; n < bytes.length; n++) {
      const error = expectError(() => decode(bytes.subarray(0, n), { ...optionsOf(v), zstd }));
      assert.equal(error.name, "TRUNCATED", `${v.file} cut to ${n}`);
      assert.equal(error.offset, n);
    }
  }
});

test("every changed bit of a valid file is found", () => {
  for (const v of small.slice(0, 40)) {
    const bytes = vector(v.file);
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      bytes[bit >> 3] ^= 1 << (bit & 7);
      expectError(() => decode(bytes, { ...optionsOf(v), zstd }));
      bytes[bit >> 3] ^= 1 << (bit & 7);
    }
  }
});

/** Makes every checksum right again, as far as the section table can be read. */
function repair(bytes) {
  const put = (at, value) => [0, 8, 16, 24].forEach((shift, i) => (bytes[at + i] = value >>> shift));
  const H = bytes[10];
  if (bytes.length < H || H < 54) return bytes;
  put(H - 4, crc32(bytes, 0, H - 4));
  let sections;
  try {
    ({ sections } = inspect(bytes));
  } catch {
    return bytes;
  }
  for (const { type, offset, length } of sections) {
    const end = offset + length;
    if (end + 4 <= bytes.length) put(end, crc32(bytes, offset, end, crc32(Uint8Array.of(type))));
  }
  return bytes;
}

test("whatever the bytes, nothing but a PladaError is thrown", () => {
  const bases = manifest.vectors.filter((v) => v.size < 3000).map((v) => [vector(v.file), optionsOf(v).groups]);
  const counts = new Map();
  const change = fc.record({ base: fc.nat(bases.length - 1), where: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }) });
  fc.assert(
    fc.property(change, ({ base, where }) => {
      const [original, groups] = bases[base];
      const bytes = original.slice();
      for (const [at, value] of where) if (bytes.length > 0) bytes[at % bytes.length] = value;
      repair(bytes);
      try {
        decode(bytes, { zstd, groups, limits: { poolSize: 1e6, count: 1e5 } });
        counts.set("accepted", (counts.get("accepted") ?? 0) + 1);
      } catch (error) {
        assert.ok(error instanceof PladaError, error.stack);
        assert.equal(error.code, ERROR_CODES[error.name]);
        assert.ok(error.offset === null || (Number.isInteger(error.offset) && error.offset >= 0 && error.offset <= bytes.length));
        counts.set(error.name, (counts.get(error.name) ?? 0) + 1);
      }
    }),
    { numRuns: 20000 },
  );
  assert.ok(counts.size > 25, `only ${[...counts.keys()]}`);
});

test("the caller's mistakes are INVALID_ARGUMENT, before the file is looked at", () => {
  const bytes = vector("valid/index-golomb_k0.plada");
  const mistakes = [
    { poolSize: -1 },
    { poolSize: 1.5 },
    { poolSize: 2 ** 32 },
    { poolSize: "50" },
    { fingerprint: "00" },
    { fingerprint: "0".repeat(32) },
    { fingerprint: new Uint8Array(15) },
    { fingerprint: 5 },
    { groups: "0" },
    { limits: { count: -1 } },
    { zstd: 1 },
  ];
  for (const options of mistakes) {
    assert.equal(expectError(() => decode(bytes, options)).name, "INVALID_ARGUMENT", JSON.stringify(options));
  }
  for (const bytes of [[1, 2], new ArrayBuffer(80), "plada", null]) {
    assert.equal(expectError(() => decode(bytes)).name, "INVALID_ARGUMENT");
    assert.equal(expectError(() => inspect(bytes)).name, "INVALID_ARGUMENT");
  }
  for (const groups of [[0, 5], [], [3], [0, 2 ** 40]]) decode(bytes, { groups }); // not needed, so not looked at
});

test("a payload for groups wants them, and the right ones", () => {
  const c = { N: 40, K: 1, indices: [], labels: [] };
  const groups = [0, 8, 16, 30];
  const digest = Buffer.from(groupDigest(Uint32Array.from(groups)), "hex");
  const make = (more) => write.payload({ ...c, sections: [[0x09, []], [0x20, []]], minor: 1, groupDigest: digest, ...more });
  const name = (bytes, options) => expectError(() => decode(bytes, options)).name;
  same(decode(make(), { groups }), c);
  assert.equal(decode(make(), { groups }).header.groupDigest, digest.toString("hex"));
  assert.equal(name(make(), {}), "GROUPS_REQUIRED");
  assert.equal(name(make(), { groups: [0, 8, 16] }), "GROUPS_MISMATCH");
  assert.equal(name(make({ N: 30 }), { groups }), "GROUPS_MISMATCH");
  assert.equal(name(make({ N: 30 }), { groups, poolSize: 30 }), "GROUPS_MISMATCH");
  for (const wrong of [[], [1], [0, 5, 5], [0, 2 ** 40], [0, 1.5], [0, "8"]]) {
    assert.equal(name(make(), { groups: wrong }), "INVALID_ARGUMENT", JSON.stringify(wrong));
  }
  assert.equal(name(make({ groupDigest: null }), { groups }), "GROUPS_FLAG");
  assert.equal(name(make({ sections: [[0x08, []], [0x20, []]] }), { groups }), "GROUPS_FLAG");
  assert.equal(name(make({ minor: 0 }), { groups }), "MINOR_VERSION");
  assert.equal(name(make({ minor: 2 }), { groups }), "MINOR_VERSION");
  same(decode(make({ minor: 2, sections: [[0x09, []], [0x20, []], [0x84, []]] }), { groups }), c);
  assert.equal(name(make({ sections: [[0x09, [1]], [0x20, []]] }), { groups }), "STREAM_OVERLONG");
});

test("Zstandard codecs without a decompressor are UNSUPPORTED_CODEC", () => {
  const v = manifest.vectors.find((x) => x.error === undefined && x.index_codec === "delta-zstd" && x.count > 0);
  assert.equal(expectError(() => decode(vector(v.file))).name, "UNSUPPORTED_CODEC");
  assert.equal(inspect(vector(v.file)).sections[0].name, "index-delta-zstd");
});

test("a decompressor that gives the wrong number of bytes, or throws, is ZSTD_FRAME", () => {
  const v = manifest.vectors.find((x) => x.error === undefined && x.index_codec === "delta-zstd" && x.count > 0 && x.pool_size < 1000);
  const fail = () => {
    throw new RangeError("no");
  };
  for (const bad of [fail, () => new Uint8Array(0), (_, size) => new Uint8Array(size + 1), () => null]) {
    assert.equal(expectError(() => decode(vector(v.file), { zstd: bad })).name, "ZSTD_FRAME");
  }
});
