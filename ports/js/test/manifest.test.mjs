// Every vector of vectors/manifest: the right error at the right stage, and what valid ones hold.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { blobSource, bytesSource, openManifest } from "../dist/manifest.js";
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
