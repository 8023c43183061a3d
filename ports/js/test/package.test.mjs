// What npm would publish, and the two programs.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { manifest, optionsOf, vector } from "./support.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (name) => readFileSync(join(root, name), "utf8");
const scratch = mkdtempSync(join(tmpdir(), "plada-js-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

test("the package holds the built library, its types, the page, and nothing else", () => {
  const report = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: root, encoding: "utf8" }));
  const [{ files, size }] = report;
  const names = files.map((file) => file.path).sort();
  const sources = ["index", "fzstd", "manifest", "decode", "cli"];
  for (const name of sources) for (const end of ["js", "d.ts"]) assert.ok(names.includes(`dist/${name}.${end}`), `${name}.${end}`);
  for (const name of ["package.json", "README.md", "LICENSE"]) assert.ok(names.includes(name), name);
  const odd = names.filter((name) => !/^(package\.json|README\.md|LICENSE|dist\/[a-z0-9-]+\.(js|d\.ts)|dist\/inspector\.html)$/.test(name));
  assert.deepEqual(odd, []);
  assert.ok(size < 150_000, `${size} bytes`);
});

test("the packed package can be installed, imported and type-checked", () => {
  const [{ filename }] = JSON.parse(
    execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", scratch], { cwd: root, encoding: "utf8" }),
  );
  const home = join(scratch, "user/node_modules/plada-format");
  mkdirSync(home, { recursive: true });
  execFileSync("tar", ["-xf", join(scratch, filename), "-C", home, "--strip-components=1"]);
  const user = join(scratch, "user");
  writeFileSync(join(user, "package.json"), '{"type": "module"}');
  writeFileSync(
    join(user, "user.ts"),
    `import { decode, ERROR_CODES, inspect, PladaError, weightOf, type DecodeOptions, type ErrorName, type Payload, type Zstd } from "plada-format";
import { bytesSource, openManifest, type Groups } from "plada-format/manifest";
const zstd: Zstd = (frame: Uint8Array, size: number) => frame.subarray(0, size);
const options: DecodeOptions = { poolSize: 5, fingerprint: new Uint8Array(16).fill(1), groups: [0, 2], limits: { count: 9 }, zstd, ancillary: false };
const name: ErrorName = "TRUNCATED";
try {
  const payload: Payload = decode(new Uint8Array(0), options);
  const labels: Uint16Array = payload.labels;
  console.log(labels, payload.weights?.[0] ?? weightOf(1), inspect(new Uint8Array(0)).sections[0].length);
} catch (error) {
  if (!(error instanceof PladaError) || error.code !== ERROR_CODES[name]) throw error;
  console.log(error.name);
}
const found: Groups | null = await openManifest(bytesSource(new Uint8Array(0))).then((m) => m.groups()).catch(() => null);
console.log(found?.starts.length ?? "none");
`,
  );
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const settings = ["--strict", "--target", "es2022", "--lib", "es2022,dom", "--module", "nodenext"];
  const checked = spawnSync(process.execPath, [tsc, ...settings, "user.ts"], { cwd: user, encoding: "utf8" });
  assert.equal(checked.stdout, "");
  const printed = spawnSync(process.execPath, ["user.js"], { cwd: user, encoding: "utf8" });
  assert.equal(printed.status, 0, printed.stderr);
  assert.equal(printed.stdout, "TRUNCATED\nnone\n");
});

test("every entry of package.json is there, and nothing is needed at run time", () => {
  const description = JSON.parse(read("package.json"));
  assert.equal(description.dependencies, undefined);
  const files = [description.main, description.types, ...Object.values(description.bin)];
  for (const entry of Object.values(description.exports)) files.push(...(typeof entry === "string" ? [entry] : Object.values(entry)));
  for (const file of files) if (!file.endsWith("inspector.html")) assert.ok(existsSync(join(root, file)), file);
  for (const name of ["index", "decode", "manifest"]) assert.doesNotMatch(read(`dist/${name}.js`), /from "(?!\.\/)/);
});

test("the lock file names no registry", () => {
  assert.doesNotMatch(read("package-lock.json"), /"resolved"|registry|npmjs/i);
});

const cli = (...args) => spawnSync(process.execPath, [join(root, "dist/cli.js"), ...args], { encoding: "utf8" });

test("plada-inspect prints what a payload holds, and says what is wrong with others", () => {
  const v = manifest.vectors.find((x) => x.error === undefined && x.count > 3 && x.pool_size < 1000);
  const file = join(scratch, "valid.plada");
  writeFileSync(file, vector(v.file));
  const shown = cli(file, "--pool-size", String(v.pool_size));
  assert.equal(shown.status, 0, shown.stderr);
  assert.equal(JSON.parse(shown.stdout).contentDigest, v.content_digest);
  assert.equal(JSON.parse(cli("--header", file).stdout).count, v.count);
  const lines = cli("--csv", file).stdout.trimEnd().split("\n");
  assert.equal(lines.length, v.count + 1);
  assert.match(lines[1], /^\d+,\d+$/);
  const cut = join(scratch, "cut.plada");
  writeFileSync(cut, vector(v.file).subarray(0, -1));
  const failed = cli(cut);
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /error 2 TRUNCATED at byte \d+/);
  for (const args of [[], ["--what"], [file, file], [file, "--pool-size", "x"], [file, "--groups", cut], ["/no/such/file"]]) {
    const wrong = cli(...args);
    assert.equal(wrong.status, 2, args.join(" "));
    assert.equal(wrong.stderr.trimEnd().split("\n").length, 1);
  }
  assert.match(cli("--help").stdout, /usage: plada-inspect/);
});

/** A request of the worker protocol. */
function request(bytes, { poolSize, fingerprint, groups }) {
  const flags = (poolSize === undefined ? 0 : 1) | (fingerprint === undefined ? 0 : 2) | (groups === undefined ? 0 : 4);
  const starts = Array.from(groups ?? []);
  const head = Buffer.alloc(41 + 4 * starts.length);
  head.writeUInt32LE(37 + 4 * starts.length + bytes.length, 0);
  head[4] = flags;
  head.writeUInt32LE(poolSize ?? 0, 5);
  if (fingerprint !== undefined) Buffer.from(fingerprint, "hex").copy(head, 9);
  head.writeUInt32LE(2 ** 28, 25);
  head.writeUInt32LE(2 ** 25, 29);
  head.writeUInt32LE(starts.length, 33);
  starts.forEach((start, g) => head.writeUInt32LE(start, 37 + 4 * g));
  head.writeUInt32LE(bytes.length, 37 + 4 * starts.length);
  return Buffer.concat([head, bytes]);
}

test("the worker answers every vector, in one process", async () => {
  const child = spawn(join(root, "worker"), { stdio: ["pipe", "pipe", "inherit"] });
  const chunks = [];
  child.stdout.on("data", (chunk) => chunks.push(chunk));
  const ended = new Promise((resolve) => child.on("close", resolve));
  for (const v of manifest.vectors) child.stdin.write(request(vector(v.file), optionsOf(v)));
  child.stdin.write(request(new Uint8Array(0), { fingerprint: "00".repeat(16) }));
  child.stdin.end();
  assert.equal(await ended, 0);
  const answers = Buffer.concat(chunks);
  assert.equal(answers.length, 13 * (manifest.vectors.length + 1));
  manifest.vectors.forEach((v, i) => {
    const answer = answers.subarray(13 * i, 13 * i + 13);
    assert.equal(answer[0], v.error ?? 0, v.file);
    assert.equal(answer.toString("hex", 1, 9), v.content_digest ?? "0".repeat(16), v.file);
    assert.equal(answer.readUInt32LE(9), v.count ?? 0, v.file);
  });
  assert.equal(answers[13 * manifest.vectors.length], 64);
});

test("the worker says what it can", () => {
  const shown = spawnSync(join(root, "worker"), ["--capabilities"], { encoding: "utf8" });
  assert.deepEqual(JSON.parse(shown.stdout), { name: "js", zstd: true, adaptive: true });
  assert.ok(statSync(join(root, "worker")).mode & 0o100);
});
