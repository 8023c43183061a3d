// Protocol: u32 length of the rest; u8 flags (1 pool size, 2 fingerprint, 4 groups), u32 pool size, 16 bytes fingerprint,
// u32 limit on N, u32 limit on k, u32 G, G u32, u32 F, F bytes of the file. Answer: u8 code, 8 bytes digest, u32 k.
import { readSync, writeSync } from "node:fs";
import { contentDigest, decode, PladaError } from "./dist/index.js";

let zstd;
try {
  ({ zstd } = await import("./dist/fzstd.js"));
} catch {
  // fzstd is not installed
}

if (process.argv.includes("--capabilities")) {
  console.log(JSON.stringify({ name: "js", zstd: zstd !== undefined, adaptive: true }));
  process.exit(0);
}

const nap = new Int32Array(new SharedArrayBuffer(4));

// Retries where a pipe has nothing to give or no room yet.
function patiently(call) {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (error.code === "EOF") return 0;
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(nap, 0, 0, 1);
    }
  }
}

/** Exactly n bytes, or null at the end of the input. */
function read(n) {
  const buffer = new Uint8Array(n);
  for (let at = 0; at < n; ) {
    const got = patiently(() => readSync(0, buffer, at, n - at, null));
    if (got === 0) {
      if (at > 0) throw new Error("the input ends within a request");
      return null;
    }
    at += got;
  }
  return buffer;
}

function answer(request) {
  const view = new DataView(request.buffer);
  const flags = request[0];
  const G = view.getUint32(29, true);
  const options = { zstd, limits: { poolSize: view.getUint32(21, true), count: view.getUint32(25, true) } };
  if (flags & 1) options.poolSize = view.getUint32(1, true);
  if (flags & 2) options.fingerprint = request.slice(5, 21);
  if (flags & 4) options.groups = Uint32Array.from({ length: G }, (_, g) => view.getUint32(33 + 4 * g, true));
  const at = 37 + 4 * G;
  const file = request.subarray(at, at + view.getUint32(33 + 4 * G, true));
  const out = new DataView(new ArrayBuffer(13));
  try {
    const { header, indices, labels } = decode(file, options);
    const digest = contentDigest(header.poolSize, header.numClasses, indices, labels);
    for (let i = 0; i < 8; i++) out.setUint8(1 + i, parseInt(digest.slice(2 * i, 2 * i + 2), 16));
    out.setUint32(9, indices.length, true);
  } catch (error) {
    if (!(error instanceof PladaError)) throw error;
    out.setUint8(0, error.code);
  }
  return new Uint8Array(out.buffer);
}

for (;;) {
  const head = read(4);
  if (head === null) break;
  const request = read(new DataView(head.buffer).getUint32(0, true));
  const bytes = answer(request);
  for (let sent = 0; sent < 13; ) sent += patiently(() => writeSync(1, bytes, sent));
}
