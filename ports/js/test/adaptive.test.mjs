// Adaptive codecs on bytes that nobody wrote, and at the edges of their tables.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { indexAdaptive, indexAdaptiveGroups } from "../dist/index-adaptive.js";
import { labelAdaptive, labelAdaptiveGroups } from "../dist/label-adaptive.js";
import { PladaError } from "../dist/index.js";
import { log4, stateOf } from "../dist/mixing.js";
import { Stream } from "../dist/stream.js";
import { expectError } from "./support.mjs";

const stream = (bytes) => new Stream(Uint8Array.from(bytes), 0, 0);

/** What `f` returns, or null where it refuses its stream with one of the codes that it may. */
function attempt(f, codes) {
  try {
    return f();
  } catch (error) {
    assert.ok(error instanceof PladaError, error.stack);
    assert.ok(codes.includes(error.name), error.name);
    return null;
  }
}

const ENDS = ["CODER_STATE", "NON_CANONICAL", "STREAM_OVERLONG"];
const bytes = fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ maxLength: 200 }));
const pool = fc
  .oneof(fc.integer({ min: 2, max: 300 }), fc.integer({ min: 2, max: 0xffffffff }))
  .chain((N) => fc.record({ N: fc.constant(N), k: fc.integer({ min: 1, max: Math.min(N - 1, 400) }), G: fc.integer({ min: 1, max: Math.min(N, 30) }) }));

function groupsOf({ N, G }) {
  return Uint32Array.from({ length: G }, (_, g) => Math.floor((g * N) / G));
}

function increasing(indices, N) {
  for (let j = 0; j < indices.length; j++) {
    assert.ok(indices[j] < N && (j === 0 || indices[j] > indices[j - 1]), `index ${j}`);
  }
}

test("any bytes are refused with a code of the page, or are the stream of an index set", () => {
  let accepted = 0;
  fc.assert(
    fc.property(bytes, pool, (data, { N, k, G }) => {
      for (const f of [() => indexAdaptive(stream(data), N, k), () => indexAdaptiveGroups(stream(data), N, k, groupsOf({ N, G }))]) {
        const indices = attempt(f, ["INDEX_RANGE", ...ENDS]);
        if (indices === null) continue;
        accepted++;
        assert.equal(indices.length, k);
        increasing(indices, N);
      }
    }),
    { numRuns: 2000 },
  );
  assert.ok(accepted > 0);
});

test("any bytes are refused with a code of the page, or are the stream of labels below A", () => {
  let accepted = 0;
  fc.assert(
    fc.property(bytes, pool, fc.oneof(fc.integer({ min: 2, max: 9 }), fc.integer({ min: 2, max: 65536 })), (data, { N, k, G }, A) => {
      const n = Math.min(k, 60);
      const indices = Uint32Array.from({ length: n }, (_, j) => Math.floor((j * N) / n));
      for (const f of [() => labelAdaptive(stream(data), A, indices), () => labelAdaptiveGroups(stream(data), A, indices, groupsOf({ N, G }))]) {
        const labels = attempt(f, ENDS);
        if (labels === null) continue;
        accepted++;
        assert.equal(labels.length, n);
        assert.ok(labels.every((label) => label < A));
      }
    }),
    { numRuns: 1000 },
  );
  assert.ok(accepted > 0);
});

test("one group of 2^32 - 1 images does not lead beyond the nodes", () => {
  const error = expectError(() => indexAdaptiveGroups(stream([]), 0xffffffff, 5, Uint32Array.of(0)));
  assert.equal(error.name, "INDEX_RANGE");
});

test("long streams of labels with rescaled scores stay in their ranges", () => {
  // Far-apart images begin a new stretch after every fourth label, and each multiplies the gain.
  const indices = Uint32Array.from({ length: 3000 }, (_, j) => 1000 * Math.floor(j / 4) * Math.floor(j / 4) + (j % 4));
  for (const first of [0x00, 0x80, 0xf3]) {
    const data = Uint8Array.from({ length: 4000 }, (_, i) => (i === 0 ? first : (i * 151 + (i >> 3)) & 255));
    attempt(() => labelAdaptive(stream(data), 1000, indices), ENDS);
  }
});

test("quarter logarithms and states of 5.7", () => {
  assert.deepEqual([1, 3, 5, 2 ** 31, 2 ** 32 - 1].map(log4), [0, 6, 9, 124, 127]);
  for (let v = 1; v < 5000; v++) {
    const e = Math.floor(Math.log2(v));
    assert.equal(log4(v), 4 * e + (Math.floor((4 * v) / 2 ** e) % 4));
  }
  assert.equal(stateOf(32768, 0), 0);
});
