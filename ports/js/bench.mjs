// Times of decoding one file: node bench.mjs FILE [--n 30] [--pool-size N] [--groups FILE.json]
// Prints JSON: best and median milliseconds of the whole, and of its parts where they can be told apart.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { contentDigest, decode, inspect } from "./dist/index.js";
import { zstd } from "./dist/fzstd.js";
import { crc32 } from "./dist/crc32.js";

const text = { type: "string" };
const { values, positionals } = parseArgs({ allowPositionals: true, options: { n: text, "pool-size": text, groups: text } });
const file = positionals[0];
const repeats = Number(values.n ?? 30);
const bytes = new Uint8Array(readFileSync(file));
const options = { zstd, ancillary: false, poolSize: values["pool-size"] === undefined ? inspect(bytes).poolSize : Number(values["pool-size"]) };
if (values.groups !== undefined) options.groups = Uint32Array.from(JSON.parse(readFileSync(values.groups, "utf8")));

function time(f) {
  const times = [];
  for (let i = 0; i < repeats; i++) {
    const start = process.hrtime.bigint();
    f();
    times.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
  const first = times[0];
  times.sort((a, b) => a - b);
  return { best: times[0], median: times[repeats >> 1], first };
}

const whole = time(() => decode(bytes, options));
const { header, indices, labels } = decode(bytes, options);
const digest = time(() => contentDigest(header.poolSize, header.numClasses, indices, labels));
const crc = time(() => crc32(bytes));
console.log(
  JSON.stringify({
    file,
    bytes: bytes.length,
    count: header.count,
    codecs: header.sections.slice(0, 2).map((s) => s.name),
    repeats,
    node: process.version,
    milliseconds: { whole, digest, crc, without_digest: { best: whole.best - digest.best } },
  }),
);
