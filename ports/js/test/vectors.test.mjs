// Every vector of vectors/manifest.json: exact codes, exact digests.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { contentDigest, decode, inspect } from "../dist/index.js";
import { zstd } from "../dist/fzstd.js";
import { expectError, manifest, optionsOf, vector } from "./support.mjs";

test("the list of vectors is not empty and names files that are there", () => {
  assert.ok(manifest.vectors.length > 400);
  for (const v of manifest.vectors) assert.equal(vector(v.file).length, v.size, v.file);
});

for (const v of manifest.vectors) {
  const bytes = vector(v.file);
  const options = { ...optionsOf(v), zstd };
  if (v.error === undefined) {
    test(`accepts ${v.file}`, () => {
      const payload = decode(bytes, options);
      const { header, indices, labels } = payload;
      assert.equal(header.poolSize, v.pool_size);
      assert.equal(indices.length, v.count);
      assert.equal(labels.length, v.count);
      assert.equal(header.numClasses, v.num_classes);
      assert.equal(contentDigest(header.poolSize, header.numClasses, indices, labels), v.content_digest);
      assert.equal(header.sections[0].name, `index-${v.index_codec}`);
      assert.equal(header.sections[1].name, `label-${v.label_codec}`);
      assert.deepEqual(inspect(bytes), header);
    });
  } else {
    test(`rejects ${v.file} with ${v.error_name}`, () => {
      const error = expectError(() => decode(bytes, options));
      assert.equal(`${error.code} ${error.name}`, `${v.error} ${v.error_name}`, error.message);
      if (error.offset !== null) assert.ok(error.offset >= 0 && error.offset <= bytes.length, `offset ${error.offset}`);
    });
  }
}

test("the manifest is the one beside SPEC.md", () => {
  const spec = readFileSync(new URL("../../../SPEC.md", import.meta.url), "utf8");
  assert.ok(spec.includes("vectors/manifest.json"));
});
