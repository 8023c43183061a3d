// Every vector of vectors/manifest: the right error at the right stage, and what valid ones hold.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { blobSource, bytesSource, openManifest } from "../dist/manifest.js";
import { crc32 } from "../dist/crc32.js";
import { PladaError } from "../dist/index.js";
import { vector } from "./support.mjs";

const list = JSON.parse(readFileSync(new URL("../../../vectors/manifest/manifest.json", import.meta.url), "utf8"));

/** Reads everything; the stage at which it fails, and the error. */
async function readAll(source) {
  let stage = "open";
  try {
    const manifest = await openManifest(source);
    stage = "groups";
    const groups = await manifest.groups();
    stage = "block";
    const blocks = [];
    for (let b = 0; b < manifest.blockCount; b++) blocks.push(await manifest.block(b));
    return { manifest, groups, blocks };
  } catch (error) {
    assert.ok(error instanceof PladaError, String(error.stack));
    return { stage, error };
  }
}

test("there are manifests of both kinds", () => {
  assert.ok(list.vectors.filter((v) => v.expect).length > 5);
  assert.ok(list.vectors.filter((v) => !v.expect).length > 50);
});

for (const v of list.vectors) {
  const bytes = vector(`manifest/${v.file}`);
  if (v.expect) {
    test(`manifest accepts ${v.file}`, async () => {
      const { manifest, groups, blocks, error } = await readAll(bytesSource(bytes));
      assert.equal(error, undefined);
      const { expect } = v;
      assert.equal(manifest.poolSize, expect.pool_size);
      assert.equal(manifest.name, expect.pool_name);
      assert.equal(manifest.root, expect.root);
      assert.equal(manifest.fingerprint, expect.fingerprint);
      assert.equal(groups?.digest ?? null, expect.group_digest);
      if (expect.keys) assert.deepEqual(blocks.flatMap((block) => [...block.keys]), expect.keys);
      for (const block of blocks) assert.equal(block.digests.length, 32 * block.keys.length);
    });
  } else {
    test(`manifest rejects ${v.file} with ${v.error}`, async () => {
      const { stage, error } = await readAll(blobSource(new Blob([bytes])));
      assert.ok(error, "accepted");
      assert.equal(`${error.name} ${error.code} ${stage}`, `${v.error_name ?? error.name} ${v.error} ${v.stage}`, error.message);
    });
  }
}

test("the worked example of SPEC.md 16.9", async () => {
  const { blocks } = await readAll(bytesSource(vector("manifest/valid/worked_example.pladapool")));
  assert.deepEqual(blocks[0].keys, ["cat/1", "cat/2", "dog/1"]);
  const digest = createHash("sha256").update("cat/2").digest("hex");
  assert.equal(Buffer.from(blocks[0].digests.subarray(32, 64)).toString("hex"), digest);
});

test("bytes after a block's zlib stream are found, also a second Adler-32", async () => {
  const { deflateSync } = await import("node:zlib");
  const digest = createHash("sha256").update("x").digest();
  const keys = Buffer.from(Array.from({ length: 200 }, (_, i) => `folder/image_${i}.jpg\n`).join(""));
  const plain = deflateSync(keys);
  for (const rest of [Buffer.alloc(0), plain.subarray(plain.length - 4), Buffer.from([0]), plain]) {
    const bytes = buildManifest(keys, Buffer.concat([plain, rest]), digest, 200);
    const { error, blocks } = await readAll(bytesSource(bytes));
    if (rest.length === 0) assert.equal(blocks[0].keys[199], "folder/image_199.jpg");
    else assert.equal(error.name, "MANIFEST_CORRUPT");
  }
});

test("blocks beyond the pool are the caller's mistake", async () => {
  const manifest = await openManifest(bytesSource(vector("manifest/valid/worked_example.pladapool")));
  for (const b of [-1, 1, 0.5]) await assert.rejects(manifest.block(b), { name: "INVALID_ARGUMENT" });
});

/** A manifest of one block, every image with the same digest. */
function buildManifest(text, stored, digest, N) {
  const lines = text.toString().split("\n").slice(0, -1);
  const block = createHash("sha256").update("PLADA-pool-block-v1\0");
  for (const key of lines) block.update(Buffer.from([key.length])).update(key).update(digest);
  const hash = block.digest();
  const size = Buffer.alloc(4);
  size.writeUInt32LE(N);
  const root = createHash("sha256").update("PLADA-pool-root-v1\0").update(size).update(hash).digest();
  const table = Buffer.alloc(12);
  table.writeUInt32LE(stored.length, 0);
  table.writeUInt32LE(text.length, 4);
  table.writeUInt32LE(crc32(stored), 8);
  const columns = [[1, Buffer.alloc(0)], [2, table], [3, hash], [32, stored], [33, Buffer.concat(Array(N).fill(digest))]];
  const head = Buffer.alloc(48 + 16 * columns.length);
  Buffer.from([0x89, 0x50, 0x4c, 0x50, 0x0d, 0x0a, 0x1a, 0x0a, 1, 0, columns.length, 0]).copy(head);
  size.copy(head, 12);
  root.copy(head, 16);
  columns.forEach(([id, body], i) => {
    head.writeUInt16LE(id, 48 + 16 * i);
    head.writeUInt16LE(1, 50 + 16 * i);
    head.writeUInt32LE(id < 32 ? crc32(body) : 0, 52 + 16 * i);
    head.writeUInt32LE(body.length, 56 + 16 * i);
  });
  const check = Buffer.alloc(4);
  check.writeUInt32LE(crc32(head));
  return new Uint8Array(Buffer.concat([head, check, ...columns.map((c) => c[1])]));
}
