// Every vector of vectors/manifest: the right error at the right stage, and what valid ones hold.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { blobSource, bytesSource, openManifest } from "../dist/manifest.js";
import { PladaError } from "../dist/index.js";
import { fingerprintOf, poolManifest } from "./encode.mjs";
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
  const keys = Array.from({ length: 200 }, (_, i) => `folder/image_${i}.jpg`);
  const plain = deflateSync(Buffer.from(keys.map((key) => `${key}\n`).join("")));
  for (const rest of [Buffer.alloc(0), plain.subarray(plain.length - 4), Buffer.from([0]), plain]) {
    const bytes = poolManifest(keys, Array(200).fill(digest), { stored: Buffer.concat([plain, rest]) });
    const { error, blocks } = await readAll(bytesSource(bytes));
    if (rest.length === 0) assert.equal(blocks[0].keys[199], "folder/image_199.jpg");
    else assert.equal(error.name, "MANIFEST_CORRUPT");
  }
});

test("blocks beyond the pool are the caller's mistake", async () => {
  const manifest = await openManifest(bytesSource(vector("manifest/valid/worked_example.pladapool")));
  for (const b of [-1, 1, 0.5]) await assert.rejects(manifest.block(b), { name: "INVALID_ARGUMENT" });
});

test("a payload is joined to its manifest only if size and fingerprint agree", async () => {
  const bytes = poolManifest(["a", "b"], [Buffer.alloc(32), Buffer.alloc(32, 1)], { groups: { starts: [0, 1], names: ["x", "y"] } });
  const manifest = await openManifest(bytesSource(bytes));
  assert.equal(manifest.fingerprint, fingerprintOf(bytes));
  assert.deepEqual((await manifest.groups()).names, ["x", "y"]);
  const header = { poolSize: 2, fingerprint: manifest.fingerprint };
  manifest.checkPayload(header);
  manifest.checkPayload({ ...header, fingerprint: null }, true);
  assert.throws(() => manifest.checkPayload({ ...header, poolSize: 3 }), { name: "POOL_SIZE_MISMATCH" });
  assert.throws(() => manifest.checkPayload({ ...header, fingerprint: null }), { name: "POOL_UNIDENTIFIED" });
  assert.throws(() => manifest.checkPayload({ ...header, fingerprint: "00".repeat(15) + "01" }, true), { name: "POOL_MISMATCH" });
});
