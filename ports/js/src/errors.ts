/** Error numbers of SPEC.md section 9 (and 16.5 for manifests), and the one class that decoders throw. */

export const ERROR_CODES = {
  NOT_PLADA: 1,
  TRUNCATED: 2,
  UNSUPPORTED_VERSION: 3,
  HEADER_LENGTH: 4,
  HEADER_CRC: 5,
  UNSUPPORTED_FLAG: 6,
  BAD_VARINT: 7,
  SECTION_ORDER: 8,
  UNKNOWN_CRITICAL_SECTION: 9,
  UNSUPPORTED_CODEC: 10,
  MINOR_VERSION: 11,
  COUNT_EXCEEDS_POOL: 12,
  LIMIT: 13,
  POOL_SIZE_MISMATCH: 14,
  POOL_MISMATCH: 15,
  POOL_UNIDENTIFIED: 16,
  GROUPS_MISMATCH: 17,
  TRAILING_DATA: 18,
  SECTION_CRC: 19,
  STREAM_TRUNCATED: 20,
  STREAM_OVERLONG: 21,
  PADDING: 22,
  PARAMETER: 23,
  TABLE: 24,
  CODER_STATE: 25,
  INDEX_RANGE: 26,
  LABEL_RANGE: 27,
  NON_CANONICAL: 28,
  ZSTD_FRAME: 29,
  CONTENT_DIGEST: 30,
  TEXT: 31,
  SECTION_CONTENT: 32,
  GROUPS_REQUIRED: 33,
  GROUPS_FLAG: 34,
  NOT_MANIFEST: 40,
  MANIFEST_TRUNCATED: 41,
  MANIFEST_VERSION: 42,
  MANIFEST_CORRUPT: 43,
  MANIFEST_BLOCK: 44,
  INVALID_ARGUMENT: 64,
} as const;

export type ErrorName = keyof typeof ERROR_CODES;

/** What kind of failure it is: what a caller would act upon. */
export type ErrorKind =
  | "not a payload"
  | "truncated"
  | "unsupported"
  | "corrupt"
  | "checksum"
  | "not canonical"
  | "limit"
  | "wrong pool"
  | "local";

const KINDS: { readonly [kind in ErrorKind]: readonly ErrorName[] } = {
  "not a payload": ["NOT_PLADA", "NOT_MANIFEST"],
  truncated: ["TRUNCATED", "STREAM_TRUNCATED", "MANIFEST_TRUNCATED"],
  unsupported: [
    "UNSUPPORTED_VERSION",
    "UNSUPPORTED_FLAG",
    "UNKNOWN_CRITICAL_SECTION",
    "UNSUPPORTED_CODEC",
    "MANIFEST_VERSION",
  ],
  checksum: ["HEADER_CRC", "SECTION_CRC", "CONTENT_DIGEST", "MANIFEST_BLOCK"],
  "not canonical": ["BAD_VARINT", "MINOR_VERSION", "TRAILING_DATA", "STREAM_OVERLONG", "NON_CANONICAL"],
  limit: ["LIMIT"],
  "wrong pool": [
    "POOL_SIZE_MISMATCH",
    "POOL_MISMATCH",
    "POOL_UNIDENTIFIED",
    "GROUPS_MISMATCH",
    "GROUPS_REQUIRED",
  ],
  local: ["INVALID_ARGUMENT"],
  corrupt: [],
};

const KIND_OF = new Map<ErrorName, ErrorKind>();
for (const kind of Object.keys(KINDS) as ErrorKind[]) {
  for (const name of KINDS[kind]) KIND_OF.set(name, kind);
}

/**
 * The only error that this library throws, whatever the bytes.
 *
 * `code` and `name` are those of SPEC.md section 9; `offset` is the byte of the file where the failure showed (null where
 * no byte is to blame); `section` is the type of the section that holds it (null in the header).
 */
export class PladaError extends Error {
  override readonly name: ErrorName;
  readonly code: number;
  readonly kind: ErrorKind;
  readonly offset: number | null;
  readonly section: number | null;

  constructor(name: ErrorName, message: string, offset: number | null = null, section: number | null = null) {
    super(message);
    this.name = name;
    this.code = ERROR_CODES[name];
    this.kind = KIND_OF.get(name) ?? "corrupt";
    this.offset = offset;
    this.section = section;
  }
}
