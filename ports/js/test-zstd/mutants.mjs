// node test-zstd/mutants.mjs [COUNT [SEED]]: damaged frames of the vectors, one after another, through fzstd. A run that does not
// end has found one that fzstd does not get over.
import { decode, PladaError } from "../dist/index.js";
import { zstd } from "../dist/fzstd.js";
import { manifest, optionsOf, vector } from "../test/support.mjs";

const COUNT = Number(process.argv[2] ?? 20_000);
let state = Number(process.argv[3] ?? 1);

/** A number below n. */
function random(n) {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % n;
}
const pick = (list) => list[random(list.length)];

const frames = [];
const keep = (frame, size) => {
  frames.push([frame.slice(), size]);
  return zstd(frame, size);
};
for (const v of manifest.vectors) {
  try {
    if (v.size < 5000) decode(vector(v.file), { ...optionsOf(v), zstd: keep });
  } catch (error) {
    if (!(error instanceof PladaError)) throw error;
  }
}

/** The frame's header, and its blocks: type, size, body. */
function split(frame) {
  const single = (frame[4] >> 5) & 1;
  const start = 6 - single + [single, 2, 4, 8][frame[4] >> 6];
  const blocks = [];
  for (let at = start; at + 3 <= frame.length; ) {
    const head = frame[at] | (frame[at + 1] << 8) | (frame[at + 2] << 16);
    const body = Array.from(frame.subarray(at + 3, at + 3 + (((head >> 1) & 3) === 1 ? 1 : head >> 3)));
    blocks.push({ type: (head >> 1) & 3, size: head >> 3, body });
    at += 3 + body.length;
  }
  return [Array.from(frame.subarray(0, start)), blocks];
}

function join(header, blocks) {
  const parts = blocks.map(({ type, size, body }, i) => {
    const head = ((type === 1 ? size : body.length) << 3) | (type << 1) | (i === blocks.length - 1 ? 1 : 0);
    return [head & 255, (head >> 8) & 255, head >> 16, ...body];
  });
  return Uint8Array.from([...header, ...parts.flat()]);
}

const EDGES = [0, 1, 2, 3, 4, 7, 15, 16, 31, 32, 63, 64, 127, 128, 192, 250, 254, 255];

function damage(blocks) {
  const block = pick(blocks);
  const { body } = block;
  // Headers and tables stand first, the sequences' bits begin at the end.
  const at = random(3) > 0 ? random(Math.min(body.length, 40)) : random(body.length);
  const kind = random(7);
  if (kind === 0) block.type = random(3);
  else if (kind === 1) body.splice(at, 1 + random(4));
  else if (kind === 2) body.splice(at, 0, ...Array.from({ length: 1 + random(4) }, () => pick(EDGES)));
  else if (kind === 3) body.splice(at, body.length, ...pick(split(pick(frames)[0])[1]).body.slice(at));
  else if (kind === 4) body[at] = pick(EDGES);
  else body[at] ^= 1 << random(8);
  if (body.length === 0) body.push(random(256));
}

const counts = { frames: frames.length, taken: 0, refused: 0, slowest: 0 };
for (let i = 0; i < COUNT; i++) {
  const [frame, size] = pick(frames);
  const [header, blocks] = split(frame);
  for (let n = 1 + random(4); n > 0 && blocks.length > 0; n--) damage(blocks);
  const start = performance.now();
  try {
    zstd(join(header, blocks), size);
    counts.taken++;
  } catch {
    counts.refused++;
  }
  counts.slowest = Math.max(counts.slowest, Math.round(performance.now() - start));
}
console.log(JSON.stringify(counts));
