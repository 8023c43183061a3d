// node build.mjs [lib|page]: installs the build tools if package-lock.json asks for others than are there, then builds what
// has changed. Several may run at a time (test programs do): one builds, the others wait and find everything done.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL(".", import.meta.url));
const lock = join(root, ".build-lock");
const owner = join(lock, "pid");
const wanted = process.argv[2] ?? "all";
const WAIT_SECONDS = 600;

function run(command, ...args) {
  execFileSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
}

/** Digest of files and of the files in folders. */
function digestOf(...names) {
  const hash = createHash("sha256");
  const add = (name) => {
    const path = join(root, name);
    if (statSync(path).isDirectory()) for (const entry of readdirSync(path).sort()) add(join(name, entry));
    else hash.update(`${name}\0`).update(readFileSync(path));
  };
  for (const name of names) add(name);
  return hash.digest("hex");
}

/** Does `work` unless `output` was made from the same `sources`. */
function unlessDone(output, stamp, sources, work) {
  const path = join(root, stamp);
  const digest = digestOf(...sources);
  if (existsSync(join(root, output)) && existsSync(path) && readFileSync(path, "utf8") === digest) return;
  rmSync(path, { force: true });
  work();
  writeFileSync(path, digest);
}

function isStale() {
  try {
    process.kill(Number(readFileSync(owner, "utf8")), 0);
    return false;
  } catch (error) {
    // ESRCH: its owner is gone. Without a number, its owner is about to write one, or was ended before it did.
    return error.code === "ESRCH" || (existsSync(lock) && Date.now() - statSync(lock).mtimeMs > 10_000);
  }
}

function takeLock() {
  const nap = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; i < WAIT_SECONDS * 5; i++) {
    try {
      mkdirSync(lock);
      writeFileSync(owner, String(process.pid));
      return;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (isStale()) rmSync(lock, { recursive: true, force: true });
    else Atomics.wait(nap, 0, 0, 200);
  }
  throw new Error(`another build has held ${lock} for ${WAIT_SECONDS} s; remove it if there is none`);
}

takeLock();
try {
  const tools = ["package.json", "package-lock.json"];
  unlessDone("node_modules/typescript", "node_modules/.stamp", tools, () => run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"));
  const bin = (name) => join(root, "node_modules", ".bin", name);
  if (wanted !== "page") {
    unlessDone("dist/index.js", "dist/.stamp-lib", [...tools, "tsconfig.json", "src"], () => run(bin("tsc"), "-p", "tsconfig.json"));
  }
  if (wanted !== "lib") {
    unlessDone("dist/inspector.html", "dist/.stamp-page", [...tools, "tsconfig.json", "vite.config.mjs", "src", "page"], () => {
      run(bin("tsc"), "-p", "page/tsconfig.json");
      run(bin("vite"), "build");
    });
  }
} catch (error) {
  console.error(error.status === undefined ? String(error) : `failed: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(owner, { force: true });
  rmdirSync(lock);
}
