/** Decoder for plada payloads (SPEC.md, format 1.1). */

export { weightOf } from "./ancillary.js";
export { type Header, type Section, sectionName } from "./container.js";
export { type DecodeOptions, decode, inspect, type Limits, type Payload } from "./decode.js";
export { contentDigest, groupDigest } from "./digests.js";
export { ERROR_CODES, type ErrorKind, type ErrorName, PladaError } from "./errors.js";
export type { Zstd } from "./zstd.js";
