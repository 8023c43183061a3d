/** Header and section table (SPEC.md section 3; steps 1 to 8 of section 9). */

import { crc32 } from "./crc32.js";
import { type ErrorName, PladaError } from "./errors.js";
import { toHex } from "./hex.js";

export const SIGNATURE = /* @__PURE__ */ Uint8Array.of(0x89, 0x50, 0x4c, 0x41, 0x0d, 0x0a, 0x1a, 0x0a);

const FLAG_GROUPS = 1;

/** A known section type. */
export interface SectionType {
  readonly name: string;
  /** Uses the pool's groups. */
  readonly groups?: boolean;
  /** Needs a Zstandard decompressor. */
  readonly zstd?: boolean;
  /** Minor version that defines it. */
  readonly minor?: number;
}

export const SECTION_TYPES: ReadonlyMap<number, SectionType> = /* @__PURE__ */ new Map<number, SectionType>([
  [0x00, { name: "index-bitmap" }],
  [0x01, { name: "index-golomb" }],
  [0x02, { name: "index-runs" }],
  [0x03, { name: "index-rans" }],
  [0x08, { name: "index-adaptive", minor: 1 }],
  [0x09, { name: "index-adaptive-groups", minor: 1, groups: true }],
  [0x10, { name: "index-delta-zstd", zstd: true }],
  [0x11, { name: "index-bitmap-zstd", zstd: true }],
  [0x20, { name: "label-fixed" }],
  [0x21, { name: "label-huffman" }],
  [0x22, { name: "label-runs" }],
  [0x23, { name: "label-rans" }],
  [0x28, { name: "label-adaptive", minor: 1 }],
  [0x29, { name: "label-adaptive-groups", minor: 1, groups: true }],
  [0x30, { name: "label-zstd", zstd: true }],
  [0x80, { name: "class names" }],
  [0x81, { name: "metadata" }],
  [0x82, { name: "image weights" }],
  [0x83, { name: "average soft labels" }],
  [0xff, { name: "signature" }],
]);

const isIndex = (type: number): boolean => type < 0x20;
const isLabel = (type: number): boolean => type >= 0x20 && type < 0x40;
const isPrivate = (type: number): boolean => type >= 0xc0 && type < 0xe0;

export interface Section {
  readonly type: number;
  /** Name of the type in SPEC.md, or what its range is for. */
  readonly name: string;
  readonly critical: boolean;
  /** Offset of the body in the file. */
  readonly offset: number;
  /** Bytes of the body; a CRC-32 of 4 bytes follows it. */
  readonly length: number;
}

export interface Header {
  readonly majorVersion: number;
  readonly minorVersion: number;
  readonly headerLength: number;
  readonly flags: number;
  /** N */
  readonly poolSize: number;
  /** k */
  readonly count: number;
  /** K */
  readonly numClasses: number;
  /** 32 hexadecimal digits, or null: the payload does not say to which pool it belongs. */
  readonly fingerprint: string | null;
  /** 16 hexadecimal digits. */
  readonly contentDigest: string;
  /** 16 hexadecimal digits, or null without group codecs. */
  readonly groupDigest: string | null;
  readonly sections: readonly Section[];
  /** Bytes of the whole file, as header and section table have it. */
  readonly fileLength: number;
}

const u32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;

export { u32 as readU32 };

export function sectionName(type: number): string {
  const known = SECTION_TYPES.get(type);
  if (known !== undefined) return known.name;
  if (isPrivate(type)) return "private";
  return type < 0x80 ? "unknown, critical" : "unknown, ancillary";
}

function fail(name: ErrorName, message: string, offset: number, section: number | null = null): never {
  throw new PladaError(name, message, offset, section);
}

/** Reads the header. `hasZstd`: whether Zstandard codecs can be read. The bytes may end after the header. */
export function readHeader(bytes: Uint8Array, hasZstd: boolean): Header {
  for (let i = 0; i < 8 && i < bytes.length; i++) {
    if (bytes[i] !== SIGNATURE[i]) fail("NOT_PLADA", "the file does not begin with the signature of a plada payload", i);
  }
  const truncated = (what: string): never => fail("TRUNCATED", `the file ends within ${what}`, bytes.length);
  if (bytes.length < 8) truncated("the signature");
  if (bytes.length < 9) truncated("the header");
  if (bytes[8] !== 1) fail("UNSUPPORTED_VERSION", `major version ${bytes[8]}, this reader knows 1`, 8);
  if (bytes.length < 11) truncated("the header");
  const H = bytes[10];
  if (H < 54) fail("HEADER_LENGTH", `a header of ${H} bytes, at least 54 are needed`, 10);
  if (bytes.length < H) truncated(`the header of ${H} bytes`);
  const stored = u32(bytes, H - 4);
  const computed = crc32(bytes, 0, H - 4);
  if (stored !== computed) {
    fail("HEADER_CRC", `the header's CRC-32 is ${hex32(stored)}, its bytes have ${hex32(computed)}`, H - 4);
  }
  const flags = bytes[11];
  if (flags & ~FLAG_GROUPS) fail("UNSUPPORTED_FLAG", `unknown flag in 0x${flags.toString(16).padStart(2, "0")}`, 11);
  const hasGroups = (flags & FLAG_GROUPS) !== 0;
  if (hasGroups && H < 62) fail("HEADER_LENGTH", `a header of ${H} bytes, with a group digest at least 62 are needed`, 10);
  const sections = readTable(bytes, hasGroups ? 54 : 46, H, hasZstd);
  const codecs = sections.slice(0, 2);
  const needsGroups = codecs.some((s) => SECTION_TYPES.get(s.type)?.groups === true);
  if (hasGroups !== needsGroups) {
    fail("GROUPS_FLAG", hasGroups ? "a group digest, but no group codec" : "a group codec, but no group digest", 11);
  }
  checkMinor(bytes[9], hasGroups, sections);
  const poolSize = u32(bytes, 12);
  const count = u32(bytes, 16);
  if (count > poolSize) fail("COUNT_EXCEEDS_POOL", `${count} kept images of a pool of ${poolSize}`, 16);
  const fingerprint = bytes.subarray(22, 38);
  const last = sections[sections.length - 1];
  return {
    majorVersion: bytes[8],
    minorVersion: bytes[9],
    headerLength: H,
    flags,
    poolSize,
    count,
    numClasses: (bytes[20] | (bytes[21] << 8)) + 1,
    fingerprint: fingerprint.every((b) => b === 0) ? null : toHex(fingerprint),
    contentDigest: toHex(bytes.subarray(38, 46)),
    groupDigest: hasGroups ? toHex(bytes.subarray(46, 54)) : null,
    sections,
    fileLength: last.offset + last.length + 4,
  };
}

const hex32 = (x: number): string => x.toString(16).padStart(8, "0");

/** Step 6. The body of the first section begins at H. */
function readTable(bytes: Uint8Array, start: number, H: number, hasZstd: boolean): Section[] {
  const end = H - 4;
  const sections: Section[] = [];
  let offset = H;
  let previous = -1;
  for (let at = start; at < end; ) {
    const entry = at;
    const type = bytes[at++];
    const order = (message: string): never => fail("SECTION_ORDER", message, entry, type);
    if (type <= previous) order(`section type ${hex8(type)} is not above the one before it`);
    if (type >= 0x40 && type < 0x80) {
      fail("UNKNOWN_CRITICAL_SECTION", `critical section of unknown type ${hex8(type)}`, entry, type);
    }
    const place = sections.length;
    if (isIndex(type) !== (place === 0) || isLabel(type) !== (place === 1)) {
      order(`section type ${hex8(type)} in place ${place}: the first must be an index section, the second a label section`);
    }
    if (type < 0x40) {
      const codec = SECTION_TYPES.get(type);
      if (codec === undefined) fail("UNSUPPORTED_CODEC", `unknown codec ${hex8(type)}`, entry, type);
      if (codec.zstd === true && !hasZstd) {
        fail("UNSUPPORTED_CODEC", `${codec.name} needs a Zstandard decompressor (option zstd)`, entry, type);
      }
    }
    let length = 0;
    for (let n = 0; ; n++) {
      if (at >= end) order("the section table ends within a length");
      const byte = bytes[at++];
      if (n === 4 && byte > 0x0f) fail("BAD_VARINT", "a section's length is 2^32 or more", entry + 1, type);
      length += (byte & 0x7f) * 2 ** (7 * n);
      if (byte < 0x80) {
        if (byte === 0 && n > 0) fail("BAD_VARINT", "a section's length is not in its shortest form", entry + 1, type);
        break;
      }
    }
    sections.push({ type, name: sectionName(type), critical: type < 0x80, offset, length });
    offset += length + 4;
    previous = type;
  }
  if (sections.length < 2) fail("SECTION_ORDER", "the section table has fewer than two entries", H - 4);
  return sections;
}

const hex8 = (x: number): string => `0x${x.toString(16).padStart(2, "0")}`;

/** Step 7: the minor version is the lowest that defines every feature of the file. */
function checkMinor(minor: number, hasGroups: boolean, sections: readonly Section[]): void {
  let features = hasGroups ? 1 : 0;
  let unknown = false;
  for (const { type } of sections) {
    const known = SECTION_TYPES.get(type);
    if (known === undefined) unknown ||= !isPrivate(type);
    else features = Math.max(features, known.minor ?? 0);
  }
  const right = minor > 1 ? unknown : !unknown && minor === features;
  if (!right) fail("MINOR_VERSION", `minor version ${minor} does not fit the features that the file uses`, 9);
}
