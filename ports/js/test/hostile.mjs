// Payloads whose one Zstandard frame keeps fzstd 0.1.1 busy for seconds, minutes or ever. Their checksums are right.
import * as write from "./encode.mjs";

const LITERAL = [0x08, 65]; // one, as it is

/** A frame of compressed blocks that declares 100 bytes. */
const frame = (...blocks) => [
  ...[0x28, 0xb5, 0x2f, 0xfd, 0x20, 100],
  ...blocks.flatMap((block, i) => [(block.length << 3) | 4 | (i === blocks.length - 1 ? 1 : 0), block.length >> 5, 0, ...block]),
];

const noLength = [...LITERAL, 1, 0x54, 0, 30, 200, 1];

const FRAMES = {
  // All 32 states of the table of Huffman weights mean one symbol: weights without end, from no bits.
  "weights without end": frame([0x42, 0x40, 0x02, 4, 0xf0, 0x03, 0xff, 0xff, 1, 1, 1, 1, 0]),
  // 98,047 times 65,536 literals and a match of 65,539 bytes, of no bits.
  "sequences from no bits": frame([...LITERAL, 0xff, 0xff, 0xff, 0x54, 35, 0, 52, 1]),
  // Matches of no length, 2^30 bytes back: as many steps to the start, in each block.
  "codes without meaning": frame(...new Array(8).fill(noLength)),
};

const hundred = Array.from({ length: 100 }, (_, j) => j);
const content = { N: 101, K: 2, indices: hundred, labels: hundred.map((j) => j % 2) };
const payload = (bytes) => write.payload({ ...content, sections: [write.golombIndices(content.indices, content.N), [0x30, [0, ...bytes]]] });

export const hostile = Object.entries(FRAMES).map(([what, bytes]) => [what, payload(bytes)]);
