// Building blocks against a writer made from SPEC.md: decoding gives back what was encoded.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { Decoder } from "../dist/arith.js";
import { integerBlock, symbolSet } from "../dist/blocks.js";
import { crc32 } from "../dist/crc32.js";
import { huffman } from "../dist/huffman.js";
import { rans, ransTable } from "../dist/rans.js";
import { Sha256, sha256 } from "../dist/sha256.js";
import { Stream } from "../dist/stream.js";
import * as write from "./encode.mjs";
import { expectError } from "./support.mjs";

const stream = (bytes) => new Stream(Uint8Array.from(bytes), 0, 0x01);
const anyU32 = fc.oneof(fc.nat(20), fc.nat(5000), fc.nat(0xffffffff));

test("CRC-32 is that of zlib, in one piece or in two", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (bytes, cut) => {
      const at = Math.min(cut, bytes.length);
      assert.equal(crc32(bytes), zlibCrc32(bytes));
      assert.equal(crc32(bytes, at, bytes.length, crc32(bytes, 0, at)), zlibCrc32(bytes));
    }),
  );
  assert.equal(crc32(Buffer.from("123456789")), 0xcbf43926);
});

test("SHA-256 is that of node:crypto, in one piece or in two", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (bytes, cut) => {
      const expected = createHash("sha256").update(bytes).digest();
      assert.deepEqual(Buffer.from(sha256(bytes)), expected);
      const parts = new Sha256().update(bytes.subarray(0, cut)).update(bytes.subarray(cut));
      assert.deepEqual(Buffer.from(parts.digest()), expected);
    }),
  );
});

test("varints: shortest forms are read, all others refused", () => {
  fc.assert(
    fc.property(anyU32, (x) => {
      const s = stream([...write.varint(x), 7]);
      assert.equal(s.varint("x"), x);
      assert.equal(s.pos, write.varint(x).length);
    }),
  );
  for (const bytes of [[0x80, 0], [0xff, 0xff, 0xff, 0xff, 0x10], [0xff, 0xff, 0xff, 0xff, 0x8f, 0], [0x81, 0x80, 0]]) {
    assert.equal(expectError(() => stream(bytes).varint("x")).name, "BAD_VARINT");
  }
  assert.equal(expectError(() => stream([0x80]).varint("x")).name, "STREAM_TRUNCATED");
});

/** Values and a parameter with which they take no absurd number of bits. */
const blockCase = fc.tuple(fc.array(anyU32, { minLength: 1, maxLength: 40 }), fc.boolean(), fc.nat(30), fc.nat(1000)).map(
  ([values, golomb, order, extra]) => {
    if (!golomb) return [values, 2 * order + 1];
    const largest = Math.max(...values);
    const M = Math.min(2 ** 30, Math.max(1, Math.floor(largest / 200)) + extra);
    return [values, 2 * (M - 1)];
  },
);

test("integer blocks give back their values, whatever the parameter", () => {
  fc.assert(
    fc.property(blockCase, ([values, P]) => {
      const bytes = write.integerBlock(values, P);
      const s = stream([...bytes, 0xaa]);
      assert.deepEqual(Array.from(integerBlock(s, values.length, "values")), values);
      assert.equal(s.pos, bytes.length);
    }),
    { numRuns: 500 },
  );
});

test("an integer block cut anywhere is truncated, and a set padding bit is found", () => {
  fc.assert(
    fc.property(blockCase, ([values, P]) => {
      const bytes = write.integerBlock(values, P);
      for (let cut = 0; cut < bytes.length; cut += 1 + (bytes.length >> 5)) {
        const error = expectError(() => integerBlock(stream(bytes.slice(0, cut)), values.length, "values"));
        assert.ok(["STREAM_TRUNCATED", "INDEX_RANGE"].includes(error.name), error.name);
        // Only an Exp-Golomb value that is too large comes before the cut.
        if (P % 2 === 0) assert.equal(error.name, "STREAM_TRUNCATED");
      }
    }),
    { numRuns: 60 },
  );
  const bytes = write.integerBlock([5, 0, 12], 6);
  assert.deepEqual(bytes, [0x06, 0xc6, 0x00]);
  bytes[2] |= 0x80;
  assert.equal(expectError(() => integerBlock(stream(bytes), 3, "values")).name, "PADDING");
});

test("2^32 - 1 fits in every code, 2^32 in none", () => {
  for (let order = 0; order <= 30; order++) {
    const P = 2 * order + 1;
    assert.deepEqual(Array.from(integerBlock(stream(write.integerBlock([0xffffffff, 3], P)), 2, "values")), [0xffffffff, 3]);
    const error = expectError(() => integerBlock(stream(write.integerBlock([3, 2 ** 32], P)), 2, "values"));
    assert.equal(error.name, "INDEX_RANGE");
  }
  for (const M of [2 ** 30, 2 ** 29 + 1, 3 * 2 ** 27 + 5]) {
    const P = 2 * (M - 1);
    assert.deepEqual(Array.from(integerBlock(stream(write.integerBlock([0xffffffff], P)), 1, "values")), [0xffffffff]);
    assert.equal(expectError(() => integerBlock(stream(write.integerBlock([2 ** 32], P)), 1, "values")).name, "INDEX_RANGE");
  }
});

const alphabet = fc.tuple(fc.integer({ min: 1, max: 300 }), fc.infiniteStream(fc.nat(99))).map(([A, dice]) => {
  const members = Array.from({ length: A }, (_, i) => i).filter(() => dice.next().value < 40);
  return [A, members.length === 0 ? [A - 1] : members];
});

test("symbol sets give back their members", () => {
  fc.assert(
    fc.property(alphabet, ([A, members]) => {
      assert.deepEqual(Array.from(symbolSet(stream(write.symbolSet(members, A)), A)), members);
    }),
  );
});

/** Lengths of a complete code for n symbols, made by splitting words at random; at most 16 bits. */
function completeCode(n, dice) {
  const lengths = [0];
  while (lengths.length < n) {
    const open = lengths.map((length, j) => [length, j]).filter(([length]) => length < 16);
    const [length, j] = open[dice.next().value % open.length];
    lengths[j] = length + 1;
    lengths.push(length + 1);
  }
  return lengths;
}

const coded = fc.tuple(alphabet, fc.infiniteStream(fc.nat(1 << 20)), fc.integer({ min: 1, max: 400 }));

test("Huffman codes give back their symbols and are never read beyond the end", () => {
  fc.assert(
    fc.property(coded, ([[A, members], dice, n]) => {
      const lengths = completeCode(members.length, dice);
      const symbols = Array.from({ length: n }, () => members[dice.next().value % members.length]);
      const bytes = write.huffman(members, lengths, symbols, A);
      assert.deepEqual(Array.from(huffman(stream(bytes), A, n)), symbols);
      if (members.length > 1) {
        const error = expectError(() => huffman(stream(bytes.slice(0, -1)), A, n));
        assert.equal(error.name, "STREAM_TRUNCATED");
      }
    }),
    { numRuns: 200 },
  );
});

/** Frequencies of n symbols that sum to 2^s. */
function frequencies(n, s, dice) {
  const f = new Array(n).fill(1);
  let rest = 2 ** s - n;
  for (let j = 0; j < n - 1 && rest > 0; j++) {
    const part = dice.next().value % (rest + 1);
    f[j] += part;
    rest -= part;
  }
  f[n - 1] += rest;
  return f;
}

test("rANS tables and streams give back their symbols", () => {
  fc.assert(
    fc.property(coded, fc.nat(16), ([[A, members], dice, n], more) => {
      if (members.length < 2) return;
      const s = Math.min(16, Math.ceil(Math.log2(members.length)) + more);
      const f = frequencies(members.length, s, dice);
      const numbers = Array.from({ length: n }, () => dice.next().value % members.length);
      const at = stream([...write.ransTable(members, f, s, A), ...write.rans(f, s, numbers)]);
      const table = ransTable(at, A);
      assert.equal(table.precision, s);
      assert.deepEqual(Array.from(rans(at, table, n)), numbers.map((j) => members[j]));
      assert.equal(at.pos, at.length);
    }),
    { numRuns: 200 },
  );
});

test("rANS with 1, 32 and 64 lanes", () => {
  for (const n of [65535, 65536, 131071, 131072]) {
    const numbers = Array.from({ length: n }, (_, i) => (i * 7919) % 11 % 3);
    const f = [3, 2, 3];
    const at = stream([...write.ransTable([1, 5, 6], f, 3, 9), ...write.rans(f, 3, numbers)]);
    const decoded = rans(at, ransTable(at, 9), n);
    assert.ok(numbers.every((j, i) => decoded[i] === [1, 5, 6][j]));
  }
});

const decision = fc.oneof(
  fc.record({ kind: fc.constant("bit"), p: fc.integer({ min: 32, max: 65504 }), value: fc.nat(1) }),
  fc.record({ kind: fc.constant("number"), n: fc.integer({ min: 1, max: 65536 }), value: fc.nat(65535) }),
  fc.record({ kind: fc.constant("raw"), w: fc.nat(32), value: fc.nat(0xffffffff) }),
);

/** One value of a decision, in range. */
function valueOf(d) {
  if (d.kind === "number") return d.value % d.n;
  return d.kind === "raw" ? d.value % 2 ** d.w : d.value;
}

function encodeDecisions(decisions) {
  const encoder = new write.ArithmeticEncoder();
  for (const d of decisions) {
    if (d.kind === "bit") encoder.bit(d.p, valueOf(d));
    else if (d.kind === "number") encoder.number(d.n, valueOf(d));
    else encoder.raw(d.w, valueOf(d));
  }
  return encoder.end();
}

function decodeDecisions(bytes, decisions) {
  const decoder = new Decoder(stream(bytes));
  const values = decisions.map((d) => {
    if (d.kind === "bit") return decoder.bit(d.p);
    return d.kind === "number" ? decoder.number(d.n) : decoder.raw(d.w);
  });
  decoder.end();
  return values;
}

test("the arithmetic coder gives back its decisions, and no other bytes stand for them", () => {
  fc.assert(
    fc.property(fc.array(decision, { maxLength: 200 }), fc.nat(0xffff), (decisions, seed) => {
      const bytes = encodeDecisions(decisions);
      const values = decisions.map(valueOf);
      assert.deepEqual(decodeDecisions(bytes, decisions), values);
      const longer = expectError(() => decodeDecisions([...bytes, 0], decisions));
      assert.equal(longer.name, "NON_CANONICAL");
      // A changed or cut stream is refused, or it is the stream of other values.
      const others = [bytes.slice(0, -1)];
      if (bytes.length > 0) {
        const changed = [...bytes];
        changed[seed % bytes.length] ^= 1 + (seed % 255);
        others.push(changed);
      }
      for (const other of others) {
        if (bytes.length === 0) continue;
        let decoded;
        try {
          decoded = decodeDecisions(other, decisions);
        } catch (error) {
          assert.ok(["CODER_STATE", "NON_CANONICAL", "STREAM_OVERLONG"].includes(error.name), error.stack);
          continue;
        }
        assert.notDeepEqual(decoded, values);
      }
    }),
    { numRuns: 300 },
  );
});

test("streams of the arithmetic coder that are refused", () => {
  assert.equal(expectError(() => new Decoder(stream([255, 255, 255, 255]))).name, "CODER_STATE");
  assert.equal(expectError(() => new Decoder(stream([1, 2, 3, 4, 5])).end()).name, "STREAM_OVERLONG");
  assert.equal(expectError(() => new Decoder(stream([1, 2, 3, 0])).end()).name, "NON_CANONICAL");
  assert.equal(expectError(() => new Decoder(stream([1])).end()).name, "CODER_STATE");
  new Decoder(stream([])).end();
});
