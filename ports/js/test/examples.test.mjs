// The worked examples of the adaptive codecs' pages.
import assert from "node:assert/strict";
import { test } from "node:test";
import { indexAdaptive, indexAdaptiveGroups } from "../dist/index-adaptive.js";
import { labelAdaptive, labelAdaptiveGroups } from "../dist/label-adaptive.js";
import { Stream } from "../dist/stream.js";

const stream = (hex) => new Stream(new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex")), 0, 0);
const indices = Uint32Array.of(3, 4, 5, 17, 18, 31);
const labels = Uint16Array.of(2, 2, 0, 1, 1, 2);
const groups = Uint32Array.of(0, 8, 16, 30);

test("6.7, mode 1", () => assert.deepEqual(indexAdaptive(stream("5e 6d fb"), 40, 6), indices));
test("6.7, mode 0", () => assert.deepEqual(indexAdaptive(stream("cc d8 19"), 40, 6), indices));
test("6.8", () => assert.deepEqual(indexAdaptiveGroups(stream("0b 1a fb 93 4a"), 40, 6, groups), indices));
test("7.6, mode 1", () => assert.deepEqual(labelAdaptive(stream("64 30 82"), 3, indices), labels));
test("7.6, mode 0", () => assert.deepEqual(labelAdaptive(stream("ca f0"), 3, indices), labels));
test("7.7", () => assert.deepEqual(labelAdaptiveGroups(stream("c8 50"), 3, indices, groups), labels));
