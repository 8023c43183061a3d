// Damaged Zstandard frames, in processes of their own: what must not happen is that they never end.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { hostile } from "./hostile.mjs";

const scratch = mkdtempSync(join(tmpdir(), "plada-zstd-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Runs a script of this package for at most `seconds`. */
function run(seconds, script, ...args) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  return spawnSync(process.execPath, [path, ...args], { encoding: "utf8", timeout: 1000 * seconds });
}

for (const [what, bytes] of hostile) {
  test(`${what}: refused at once`, () => {
    const file = join(scratch, "hostile.plada");
    writeFileSync(file, bytes);
    const { status, signal, stderr } = run(20, "../dist/cli.js", file);
    assert.equal(signal, null, "not within 20 s");
    assert.equal(status, 1, stderr);
    assert.match(stderr, /error 29 ZSTD_FRAME/);
  });
}

test("20,000 damaged frames: each ends", () => {
  const { status, signal, stdout, stderr } = run(100, "../test-zstd/mutants.mjs", "20000");
  assert.equal(signal, null, "not within 100 s");
  assert.equal(status, 0, stderr);
  const { frames, taken, refused } = JSON.parse(stdout);
  assert.ok(frames > 10 && taken > 500 && refused > 10_000, stdout);
});
