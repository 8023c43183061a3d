/** Reader of pool manifests (SPEC.md section 16), in parts: nothing but what a payload needs is read. */

import { strictUtf8 } from "./ancillary.js";
import { type Header, readU32 } from "./container.js";
import { crc32 } from "./crc32.js";
import { groupDigest } from "./digests.js";
import { type ErrorName, PladaError } from "./errors.js";
import { toHex } from "./hex.js";
import { Sha256 } from "./sha256.js";

/** Images in a block. */
export const BLOCK_SIZE = 65536;

const SIGNATURE = [0x89, 0x50, 0x4c, 0x50, 0x0d, 0x0a, 0x1a, 0x0a];
const MAX_KEY = 4096;
const MAX_BLOCK_TEXT = 2 ** 25;
const MAX_GROUPS = 2 ** 22;
const MAX_GROUP_NAMES = 2 ** 26;

const NAME = 1;
const KEY_TABLE = 2;
const BLOCK_HASHES = 3;
const GROUP_STARTS = 8;
const GROUP_NAMES = 9;
const KEYS = 32;
const DIGESTS = 33;
const NEEDED = [NAME, KEY_TABLE, BLOCK_HASHES, KEYS, DIGESTS];
const KNOWN = [...NEEDED, GROUP_STARTS, GROUP_NAMES];

/** Where a manifest's bytes come from: a file of the page, a range-requesting client, memory. */
export interface ByteSource {
  readonly size: number;
  /** The bytes offset .. offset + length - 1; fewer where the source ends. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

export function bytesSource(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: async (offset, length) => bytes.subarray(offset, offset + length) };
}

export function blobSource(blob: Blob): ByteSource {
  const read = async (offset: number, length: number): Promise<Uint8Array> =>
    new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
  return { size: blob.size, read };
}

export interface Groups {
  /** Number of the first image of each group, as `decode` wants them. */
  readonly starts: Uint32Array;
  /** Hostile text; empty where images are in no group. */
  readonly names: readonly string[];
  /** 16 hexadecimal digits. */
  readonly digest: string;
}

export interface Block {
  /** Number of the block's first image. */
  readonly start: number;
  /** Hostile text: confine it to the pool's folder before a file is opened by it. */
  readonly keys: readonly string[];
  /** 32 bytes for each image: the SHA-256 of its file. */
  readonly digests: Uint8Array;
}

interface Column {
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
}

function fail(name: ErrorName, message: string): never {
  throw new PladaError(name, `manifest: ${message}`);
}

const corrupt = (message: string): never => fail("MANIFEST_CORRUPT", message);

async function readExactly(source: ByteSource, offset: number, length: number): Promise<Uint8Array> {
  const bytes = await source.read(offset, length);
  if (bytes.length < length) fail("MANIFEST_TRUNCATED", "the file is shorter than it was at opening");
  return bytes;
}

/** UTF-8 without control characters, also without U+0080..U+009F. */
function text(bytes: Uint8Array, what: string): string {
  for (let i = 0; i < bytes.length; i++) {
    const b = bytes[i];
    if (b < 0x20 || b === 0x7f) corrupt(`control character in ${what}`);
    if (b === 0xc2 && bytes[i + 1] >= 0x80 && bytes[i + 1] < 0xa0) corrupt(`control character in ${what}`);
  }
  const value = strictUtf8(bytes);
  return value === null ? corrupt(`${what} is not UTF-8`) : value;
}

/** Exactly `count` lines that fill the bytes, as byte ranges without their line ends. */
function lines(bytes: Uint8Array, count: number, what: string): Uint8Array[] {
  const found: Uint8Array[] = [];
  let start = 0;
  while (start < bytes.length && found.length <= count) {
    const end = bytes.indexOf(10, start);
    if (end < 0) corrupt(`the last of ${what} has no line end`);
    found.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return found.length === count ? found : corrupt(`${what} are not ${count} lines`);
}

/** The text of one zlib stream, at most `size` bytes; null where the stream cannot be read, has no end or is longer. */
async function decompress(stored: Uint8Array, size: number): Promise<Uint8Array | null> {
  const out = new Uint8Array(size);
  let filled = 0;
  const stream = new DecompressionStream("deflate");
  const writer = stream.writable.getWriter();
  const fed = writer.write(stored as BufferSource).then(() => writer.close());
  fed.catch(() => undefined); // the reader sees the same failure
  const reader = stream.readable.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (filled + value.length > size) {
        await reader.cancel().catch(() => undefined);
        return null;
      }
      out.set(value, filled);
      filled += value.length;
    }
    await fed;
  } catch {
    return null;
  }
  return out.subarray(0, filled);
}

let ignoresRest: Promise<boolean> | null = null;

/** Whether this engine's DecompressionStream accepts bytes after the end of a stream, as Node 20 does. */
function engineIgnoresRest(): Promise<boolean> {
  const emptyStreamAndOneByte = Uint8Array.of(0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00);
  ignoresRest ??= decompress(emptyStreamAndOneByte, 1).then((out) => out !== null);
  return ignoresRest;
}

async function inflate(stored: Uint8Array, size: number): Promise<Uint8Array> {
  const bad = (message: string): never => corrupt(`compressed keys: ${message}`);
  if (stored.length < 2 || (stored[0] & 15) !== 8 || stored[0] >> 4 > 7 || stored[1] & 0x20) bad("not a zlib stream");
  const out = await decompress(stored, size);
  if (out === null || out.length < size) return bad(`not one zlib stream of ${size} bytes`);
  // A stream that is complete without its last byte has bytes after its end.
  if ((await engineIgnoresRest()) && (await decompress(stored.subarray(0, -1), size)) !== null) bad("bytes follow the stream");
  return out;
}

const ascii = (value: string): Uint8Array => Uint8Array.from(value, (c) => c.charCodeAt(0));

const u32Bytes = (x: number): Uint8Array => Uint8Array.of(x & 255, (x >>> 8) & 255, (x >>> 16) & 255, x >>> 24);

function blockHash(keys: readonly Uint8Array[], digests: Uint8Array): string {
  const hash = new Sha256().update(ascii("PLADA-pool-block-v1\0"));
  for (let i = 0; i < keys.length; i++) {
    const n = keys[i].length;
    hash.update(n < 128 ? Uint8Array.of(n) : Uint8Array.of((n & 127) | 128, n >> 7));
    hash.update(keys[i]).update(digests.subarray(32 * i, 32 * i + 32));
  }
  return toHex(hash.digest());
}

export class Manifest {
  /** Use `openManifest`. */
  constructor(
    private readonly source: ByteSource,
    private readonly columns: ReadonlyMap<number, Column>,
    private readonly keyTable: Uint8Array,
    private readonly hashes: Uint8Array,
    readonly poolSize: number,
    /** The pool's name, for people. Hostile text. */
    readonly name: string,
    /** 64 hexadecimal digits. */
    readonly root: string,
    /** 32 hexadecimal digits. */
    readonly fingerprint: string,
  ) {}

  get blockCount(): number {
    return Math.ceil(this.poolSize / BLOCK_SIZE);
  }

  get hasGroups(): boolean {
    return this.columns.has(GROUP_STARTS);
  }

  /** Reads and checks the groups; null if the manifest has none. */
  async groups(): Promise<Groups | null> {
    const startColumn = this.columns.get(GROUP_STARTS);
    const nameColumn = this.columns.get(GROUP_NAMES);
    if (startColumn === undefined || nameColumn === undefined) return null;
    const raw = await readColumn(this.source, startColumn, "group starts");
    const nameBytes = await readColumn(this.source, nameColumn, "group names");
    const count = raw.length / 4;
    const starts = new Uint32Array(count);
    for (let g = 0; g < count; g++) {
      starts[g] = readU32(raw, 4 * g);
      if (g === 0 ? starts[0] !== 0 : starts[g] <= starts[g - 1]) corrupt(`group ${g} begins at ${starts[g]}`);
    }
    if (starts[count - 1] >= this.poolSize) corrupt("the last group begins after the pool's end");
    const names = lines(nameBytes, count, "group names").map((bytes, g) => {
      if (bytes.length > MAX_KEY) corrupt(`the name of group ${g} has ${bytes.length} bytes`);
      return text(bytes, `the name of group ${g}`);
    });
    for (let g = 1; g < count; g++) if (names[g] === names[g - 1]) corrupt(`groups ${g - 1} and ${g} have the same name`);
    return { starts, names, digest: groupDigest(starts) };
  }

  /** Reads and checks block b: the keys and digests of images 65536 * b and those that follow. */
  async block(b: number): Promise<Block> {
    if (!Number.isInteger(b) || b < 0 || b >= this.blockCount) {
      throw new PladaError("INVALID_ARGUMENT", `block ${b} of ${this.blockCount}`);
    }
    const start = b * BLOCK_SIZE;
    const count = Math.min(this.poolSize, start + BLOCK_SIZE) - start;
    let before = 0;
    for (let i = 0; i < b; i++) before += readU32(this.keyTable, 12 * i);
    const storedSize = readU32(this.keyTable, 12 * b);
    const textSize = readU32(this.keyTable, 12 * b + 4);
    const stored = await readExactly(this.source, this.columns.get(KEYS)!.offset + before, storedSize);
    if (crc32(stored) !== readU32(this.keyTable, 12 * b + 8)) {
      fail("MANIFEST_BLOCK", `the CRC-32 of the keys of block ${b} differs`);
    }
    const content = storedSize === textSize ? stored : await inflate(stored, textSize);
    const keyBytes = lines(content, count, `the keys of block ${b}`);
    const keys = keyBytes.map((bytes, i) => {
      if (bytes.length === 0) corrupt(`the key of image ${start + i} is empty`);
      if (bytes.length > MAX_KEY) corrupt(`the key of image ${start + i} has ${bytes.length} bytes`);
      return text(bytes, `the key of image ${start + i}`);
    });
    if (new Set(keys).size !== keys.length) corrupt(`two keys of block ${b} are equal`);
    const digests = await readExactly(this.source, this.columns.get(DIGESTS)!.offset + 32 * start, 32 * count);
    if (blockHash(keyBytes, digests) !== toHex(this.hashes.subarray(32 * b, 32 * b + 32))) {
      fail("MANIFEST_BLOCK", `keys or digests of block ${b} are not those that the fingerprint covers`);
    }
    return { start, keys, digests };
  }

  /**
   * Whether a payload was made for this pool (16.5, Join); throws POOL_SIZE_MISMATCH, POOL_UNIDENTIFIED or POOL_MISMATCH.
   * @param allowUnidentified the user accepts payloads without a fingerprint
   */
  checkPayload(header: Header, allowUnidentified = false): void {
    if (header.poolSize !== this.poolSize) {
      const message = `made for a pool of ${header.poolSize} images, the manifest has ${this.poolSize}`;
      throw new PladaError("POOL_SIZE_MISMATCH", message, 12);
    }
    if (header.fingerprint === null) {
      if (allowUnidentified) return;
      throw new PladaError("POOL_UNIDENTIFIED", "the payload does not say to which pool it belongs", 22);
    }
    if (header.fingerprint !== this.fingerprint) {
      const message = `made for pool ${header.fingerprint}, the manifest is of ${this.fingerprint}`;
      throw new PladaError("POOL_MISMATCH", message, 22);
    }
  }
}

async function readColumn(source: ByteSource, column: Column, what: string): Promise<Uint8Array> {
  const bytes = await readExactly(source, column.offset, column.length);
  if (crc32(bytes) !== column.crc) corrupt(`the CRC-32 of ${what} differs`);
  return bytes;
}

/** Reads and checks what lies at the beginning of a manifest. @throws PladaError */
export async function openManifest(source: ByteSource): Promise<Manifest> {
  const head = await source.read(0, Math.min(source.size, 52 + 16 * 16));
  for (let i = 0; i < 8 && i < head.length; i++) {
    if (head[i] !== SIGNATURE[i]) fail("NOT_MANIFEST", "the file does not begin with the signature of a pool manifest");
  }
  if (head.length > 8 && head[8] !== 1) fail("MANIFEST_VERSION", `major version ${head[8]}, this reader knows 1`);
  if (head.length < 48) fail("MANIFEST_TRUNCATED", "the file ends within the header");
  const C = head[10];
  if (C < 5 || C > 16) corrupt(`${C} columns`);
  const crcAt = 48 + 16 * C;
  if (head.length < crcAt + 4) fail("MANIFEST_TRUNCATED", "the file ends within the column table");
  if (crc32(head, 0, crcAt) !== readU32(head, crcAt)) corrupt("the CRC-32 of the header differs");
  if (head[11] !== 0) corrupt("the reserved byte is set");
  const columns = readColumns(head, C, crcAt + 4);
  const poolSize = readU32(head, 12);
  checkLengths(columns, poolSize);
  const end = [...columns.values()].reduce((sum, column) => sum + column.length, crcAt + 4);
  if (source.size < end) fail("MANIFEST_TRUNCATED", `the file has ${source.size} bytes of ${end}`);
  if (source.size > end) corrupt("bytes follow the last column");
  const nameBytes = await readColumn(source, columns.get(NAME)!, "the name");
  const keyTable = await readColumn(source, columns.get(KEY_TABLE)!, "the key table");
  const hashes = await readColumn(source, columns.get(BLOCK_HASHES)!, "the block hashes");
  const name = text(nameBytes, "the pool's name");
  checkKeyTable(keyTable, poolSize, columns.get(KEYS)!.length);
  const rootBytes = new Sha256().update(ascii("PLADA-pool-root-v1\0")).update(u32Bytes(poolSize)).update(hashes).digest();
  const root = toHex(rootBytes);
  if (root !== toHex(head.subarray(16, 48))) corrupt("the root hash is not that of the block hashes");
  const fingerprint = rootBytes.slice(0, 16);
  if (fingerprint.every((b) => b === 0)) fingerprint[15] = 1;
  return new Manifest(source, columns, keyTable, hashes, poolSize, name, root, toHex(fingerprint));
}

function readColumns(head: Uint8Array, C: number, first: number): Map<number, Column> {
  const columns = new Map<number, Column>();
  const minor = head[9];
  let previous = -1;
  let offset = first;
  let unknown = false;
  for (let i = 0; i < C; i++) {
    const at = 48 + 16 * i;
    const id = head[at] | (head[at + 1] << 8);
    const flags = head[at + 2] | (head[at + 3] << 8);
    const crc = readU32(head, at + 4);
    const length = readU32(head, at + 8) + readU32(head, at + 12) * 2 ** 32;
    if (id <= previous) corrupt(`column ${id} is not above the one before it`);
    if (flags > 1) corrupt(`flags of column ${id}`);
    if (KNOWN.includes(id)) {
      if (flags !== (NEEDED.includes(id) ? 1 : 0)) corrupt(`critical flag of column ${id}`);
      if (id >= KEYS && crc !== 0) corrupt(`CRC-32 of column ${id}, which has none`);
    } else {
      if (minor === 0) corrupt(`unknown column ${id}`);
      if (flags === 1) fail("MANIFEST_VERSION", `critical column ${id} is unknown`);
      unknown = true;
    }
    columns.set(id, { offset, length, crc });
    offset += length;
    previous = id;
  }
  if (minor > 0 && !unknown) corrupt(`minor version ${minor} without anything new`);
  for (const id of NEEDED) if (!columns.has(id)) corrupt(`column ${id} is missing`);
  if (columns.has(GROUP_STARTS) !== columns.has(GROUP_NAMES)) corrupt("group starts or group names without the other");
  return columns;
}

function checkLengths(columns: ReadonlyMap<number, Column>, N: number): void {
  const B = Math.ceil(N / BLOCK_SIZE);
  const between = (id: number, least: number, most: number): void => {
    const column = columns.get(id);
    if (column !== undefined && (column.length < least || column.length > most)) {
      corrupt(`column ${id} has ${column.length} bytes, ${least} to ${most} are possible`);
    }
  };
  between(NAME, 0, 255);
  between(KEY_TABLE, 12 * B, 12 * B);
  between(BLOCK_HASHES, 32 * B, 32 * B);
  between(GROUP_STARTS, 4, 4 * Math.min(N, MAX_GROUPS));
  if ((columns.get(GROUP_STARTS)?.length ?? 0) % 4 !== 0) corrupt("group starts are no whole number of u32");
  between(GROUP_NAMES, 1, MAX_GROUP_NAMES);
  between(KEYS, B, B * MAX_BLOCK_TEXT);
  between(DIGESTS, 32 * N, 32 * N);
}

function checkKeyTable(table: Uint8Array, N: number, keysLength: number): void {
  let sum = 0;
  for (let b = 0; 12 * b < table.length; b++) {
    const count = Math.min(BLOCK_SIZE, N - b * BLOCK_SIZE);
    const stored = readU32(table, 12 * b);
    const textSize = readU32(table, 12 * b + 4);
    if (textSize < 2 * count || textSize > Math.min((MAX_KEY + 1) * count, MAX_BLOCK_TEXT)) {
      corrupt(`${textSize} bytes of keys in block ${b}`);
    }
    if (stored < 1 || stored > textSize) corrupt(`${stored} stored bytes of keys in block ${b}`);
    sum += stored;
  }
  if (sum !== keysLength) corrupt("the key table does not sum to the column of keys");
}
