/** Which function reads which codec id. */

import { indexAdaptive, indexAdaptiveGroups } from "./index-adaptive.js";
import { indexBitmap, indexBitmapZstd, indexDeltaZstd, indexGolomb, indexRans, indexRuns } from "./index-static.js";
import { labelAdaptive, labelAdaptiveGroups } from "./label-adaptive.js";
import { labelFixed, labelHuffman, labelRans, labelRuns, labelZstd } from "./label-static.js";
import type { Stream } from "./stream.js";
import type { Zstd } from "./zstd.js";

export type LabelCodec = (s: Stream, n: number, A: number) => Uint16Array;
export type LabelCodecs = ReadonlyMap<number, LabelCodec>;

/** The label codecs that may be embedded in sections 8.3 and 8.4, by id. */
export function staticLabelCodecs(zstd: Zstd | null): LabelCodecs {
  const codecs = new Map<number, LabelCodec>([
    [0x20, labelFixed],
    [0x21, labelHuffman],
    [0x22, labelRuns],
    [0x23, labelRans],
  ]);
  if (zstd !== null) codecs.set(0x30, (s, n, A) => labelZstd(s, n, A, zstd));
  return codecs;
}

/** The index set of a stream, 0 < k < N. The type has passed the section table; `groups` are there if it needs them. */
export function decodeIndices(s: Stream, N: number, k: number, groups: Uint32Array | null, zstd: Zstd | null): Uint32Array {
  switch (s.section) {
    case 0x00:
      return indexBitmap(s, N, k);
    case 0x01:
      return indexGolomb(s, N, k);
    case 0x02:
      return indexRuns(s, N, k);
    case 0x03:
      return indexRans(s, N, k);
    case 0x08:
      return indexAdaptive(s, N, k);
    case 0x09:
      return indexAdaptiveGroups(s, N, k, groups!);
    case 0x10:
      return indexDeltaZstd(s, N, k, zstd!);
    default:
      return indexBitmapZstd(s, N, k, zstd!);
  }
}

/** The labels of a stream, n >= 1 and A >= 2. */
export function decodeLabels(
  s: Stream,
  A: number,
  indices: Uint32Array,
  groups: Uint32Array | null,
  zstd: Zstd | null,
): Uint16Array {
  if (s.section === 0x28) return labelAdaptive(s, A, indices);
  if (s.section === 0x29) return labelAdaptiveGroups(s, A, indices, groups!);
  return staticLabelCodecs(zstd).get(s.section)!(s, indices.length, A);
}
