/** The whole of a payload: steps 1 to 14 of SPEC.md section 9. */

import { classNames, imageWeights, metadata, softLabels } from "./ancillary.js";
import { decodeIndices, decodeLabels, staticLabelCodecs } from "./codecs.js";
import { type Header, readHeader, readU32, type Section } from "./container.js";
import { crc32 } from "./crc32.js";
import { contentDigest, groupDigest } from "./digests.js";
import { PladaError } from "./errors.js";
import { fromHex, toHex } from "./hex.js";
import { allocate16, allocate32, Stream } from "./stream.js";
import type { Zstd } from "./zstd.js";

export interface Limits {
  /** Largest pool read without `poolSize`; 2^28 unless given. */
  readonly poolSize?: number;
  /** Most kept images read without `poolSize`; 2^25 unless given. */
  readonly count?: number;
}

export interface DecodeOptions {
  /** Size of the caller's pool. Pass it: then no payload can make this reader allocate more than the pool warrants. */
  readonly poolSize?: number;
  /** Fingerprint of the caller's pool: 32 hexadecimal digits or 16 bytes. */
  readonly fingerprint?: string | Uint8Array;
  /** Number of the first image of each of the pool's groups, increasing from 0. Only group codecs need them. */
  readonly groups?: Uint32Array | readonly number[];
  readonly limits?: Limits;
  /** Decompressor for Zstandard codecs, such as that of `plada-format/fzstd`. Without it they are UNSUPPORTED_CODEC. */
  readonly zstd?: Zstd;
  /** false: ancillary sections are skipped once their CRC is checked (step 14 is left out). */
  readonly ancillary?: boolean;
}

export interface Payload {
  readonly header: Header;
  /** k image numbers, increasing. */
  readonly indices: Uint32Array;
  /** k labels below K, labels[j] belongs to indices[j]. */
  readonly labels: Uint16Array;
  /** K names, or null. Hostile text. */
  readonly classNames: readonly string[] | null;
  /** Hostile text. */
  readonly metadata: ReadonlyMap<string, string> | null;
  /** One symbol for each kept image, see `weightOf`, or null. */
  readonly weights: Uint8Array | null;
  /** K * K symbols: the chance of class j for images labelled c is softLabels[c * K + j] / 255. Or null. */
  readonly softLabels: Uint8Array | null;
}

interface Expectations {
  poolSize: number | null;
  fingerprint: string | null;
  groups: Uint32Array | readonly number[] | null;
  limits: { poolSize: number; count: number };
}

const DEFAULT_LIMITS = { poolSize: 2 ** 28, count: 2 ** 25 };

const isU32 = (x: unknown): x is number => typeof x === "number" && Number.isInteger(x) && x >= 0 && x <= 0xffffffff;

function invalid(message: string): never {
  throw new PladaError("INVALID_ARGUMENT", message);
}

/** The caller's mistakes, found before the file is looked at. */
function checkOptions(bytes: unknown, options: DecodeOptions): Expectations {
  if (!(bytes instanceof Uint8Array)) invalid("the payload must be a Uint8Array");
  const { poolSize, fingerprint, groups, limits } = options;
  if (poolSize !== undefined && !isU32(poolSize)) invalid("poolSize must be an integer from 0 to 2^32 - 1");
  const merged = { ...DEFAULT_LIMITS, ...limits };
  if (!isU32(merged.poolSize) || !isU32(merged.count)) invalid("limits must be integers from 0 to 2^32 - 1");
  if (groups !== undefined && !(groups instanceof Uint32Array) && !Array.isArray(groups)) {
    invalid("groups must be an array of image numbers");
  }
  if (options.zstd !== undefined && typeof options.zstd !== "function") invalid("zstd must be a function");
  return {
    poolSize: poolSize ?? null,
    fingerprint: fingerprint === undefined ? null : checkFingerprint(fingerprint),
    groups: groups ?? null,
    limits: merged,
  };
}

function checkFingerprint(given: string | Uint8Array): string {
  const bytes = typeof given === "string" ? fromHex(given, 16) : given;
  if (!(bytes instanceof Uint8Array) || bytes.length !== 16) invalid("fingerprint must be 16 bytes or 32 hexadecimal digits");
  if (bytes.every((b) => b === 0)) invalid("a fingerprint of zeros is no pool's");
  return toHex(bytes);
}

/** The caller's groups, looked at only where a payload needs them. Whether they fit its pool is another matter. */
function checkGroups(given: Uint32Array | readonly number[]): Uint32Array {
  const n = given.length;
  if (n === 0 || given[0] !== 0) invalid("groups must begin with image 0");
  for (let g = 1; g < n; g++) {
    if (!isU32(given[g]) || given[g] <= given[g - 1]) invalid(`groups must increase: group ${g} begins at ${given[g]}`);
  }
  return given instanceof Uint32Array ? given : Uint32Array.from(given);
}

/** Step 9. Returns the groups that the payload needs, or null. */
function checkExpectations(header: Header, expected: Expectations): Uint32Array | null {
  const { poolSize: N, count: k } = header;
  if (expected.poolSize !== null) {
    if (N !== expected.poolSize) {
      throw new PladaError("POOL_SIZE_MISMATCH", `made for a pool of ${N} images, this one has ${expected.poolSize}`, 12);
    }
  } else {
    if (N > expected.limits.poolSize) {
      throw new PladaError("LIMIT", `a pool of ${N} images, the limit is ${expected.limits.poolSize}; pass poolSize`, 12);
    }
    if (k > expected.limits.count) {
      throw new PladaError("LIMIT", `${k} kept images, the limit is ${expected.limits.count}; pass poolSize`, 16);
    }
  }
  if (expected.fingerprint !== null) {
    if (header.fingerprint === null) {
      throw new PladaError("POOL_UNIDENTIFIED", "the payload does not say to which pool it belongs", 22);
    }
    if (header.fingerprint !== expected.fingerprint) {
      throw new PladaError("POOL_MISMATCH", `made for pool ${header.fingerprint}, this one is ${expected.fingerprint}`, 22);
    }
  }
  if (header.groupDigest === null) return null;
  if (expected.groups === null) throw new PladaError("GROUPS_REQUIRED", "the payload needs the pool's groups", 46);
  const groups = checkGroups(expected.groups);
  const digest = groupDigest(groups);
  if (digest !== header.groupDigest) {
    throw new PladaError("GROUPS_MISMATCH", `made for groups ${header.groupDigest}, these are ${digest}`, 46);
  }
  const last = groups[groups.length - 1];
  if (last >= N) throw new PladaError("GROUPS_MISMATCH", `the last group begins at ${last}, the pool has ${N} images`, 46);
  return groups;
}

/** Steps 10 and 11. */
function checkSections(bytes: Uint8Array, header: Header): void {
  if (bytes.length < header.fileLength) {
    const message = `the file has ${bytes.length} bytes of ${header.fileLength}`;
    throw new PladaError("TRUNCATED", message, bytes.length, sectionAt(header, bytes.length)?.type ?? null);
  }
  if (bytes.length > header.fileLength) {
    const message = `${bytes.length - header.fileLength} bytes follow the last section`;
    throw new PladaError("TRAILING_DATA", message, header.fileLength);
  }
  for (const { type, name, offset, length } of header.sections) {
    const end = offset + length;
    if (crc32(bytes, offset, end, crc32(Uint8Array.of(type))) !== readU32(bytes, end)) {
      throw new PladaError("SECTION_CRC", `the CRC-32 of section ${name} differs`, end, type);
    }
  }
}

function sectionAt(header: Header, offset: number): Section | undefined {
  return header.sections.find((s) => offset < s.offset + s.length + 4);
}

/** A trivial stream: what it codes is known from the header. */
function mustBeEmpty(s: Stream): void {
  if (s.length > 0) s.fail("STREAM_OVERLONG", "the header says all, so the stream must be empty", 0);
}

function every(n: number): Uint32Array {
  const out = allocate32(n);
  for (let i = 0; i < n; i++) out[i] = i;
  return out;
}

/**
 * Reads the header alone; the bytes may end after it. Nothing of it is confirmed but its own CRC.
 * @throws PladaError
 */
export function inspect(bytes: Uint8Array): Header {
  if (!(bytes instanceof Uint8Array)) invalid("the payload must be a Uint8Array");
  return readHeader(bytes, true);
}

/**
 * Reads and checks a whole payload.
 * @throws PladaError, with the code that SPEC.md section 9 gives to these bytes
 */
export function decode(bytes: Uint8Array, options: DecodeOptions = {}): Payload {
  const expected = checkOptions(bytes, options);
  const zstd = options.zstd ?? null;
  const header = readHeader(bytes, zstd !== null);
  const groups = checkExpectations(header, expected);
  checkSections(bytes, header);
  const { poolSize: N, count: k, numClasses: K } = header;
  const [indexStream, labelStream, ...others] = header.sections.map(
    ({ type, offset, length }) => new Stream(bytes.subarray(offset, offset + length), offset, type),
  );
  let indices: Uint32Array;
  if (k === 0 || k === N) {
    mustBeEmpty(indexStream);
    indices = every(k);
  } else indices = decodeIndices(indexStream, N, k, groups, zstd);
  let labels: Uint16Array;
  if (k === 0 || K === 1) {
    mustBeEmpty(labelStream);
    labels = allocate16(k);
  } else labels = decodeLabels(labelStream, K, indices, groups, zstd);
  const digest = contentDigest(N, K, indices, labels);
  if (digest !== header.contentDigest) {
    throw new PladaError("CONTENT_DIGEST", `the content's digest is ${digest}, the header says ${header.contentDigest}`, 38);
  }
  const codecs = staticLabelCodecs(zstd);
  let names: string[] | null = null;
  let pairs: Map<string, string> | null = null;
  let weights: Uint8Array | null = null;
  let soft: Uint8Array | null = null;
  for (const stream of options.ancillary === false ? [] : others) {
    if (stream.section === 0x80) names = classNames(stream, K);
    else if (stream.section === 0x81) pairs = metadata(stream);
    else if (stream.section === 0x82) weights = imageWeights(stream, k, codecs);
    else if (stream.section === 0x83) soft = softLabels(stream, K, codecs);
  }
  return { header, indices, labels, classNames: names, metadata: pairs, weights, softLabels: soft };
}
