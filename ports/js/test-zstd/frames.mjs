// node test-zstd/frames.mjs FILE: u32 length of a frame, u32 length of its content, both; repeated. Each must be taken as it is.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { zstd } from "../dist/fzstd.js";

const file = readFileSync(process.argv[2]);
let frames = 0;
for (let at = 0; at < file.length; frames++) {
  const start = at + 8;
  const middle = start + file.readUInt32LE(at);
  at = middle + file.readUInt32LE(at + 4);
  const content = file.subarray(middle, at);
  assert.ok(content.equals(zstd(new Uint8Array(file.subarray(start, middle)), content.length)), `frame ${frames}`);
}
console.log(`${frames} frames`);
