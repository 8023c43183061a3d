"""From cells of the sheets to bytes by format: each format on its best layouts, streams apart or in one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.paper_layouts import COMPRESSED

PAPER_NAME = "paper's layouts, Huffman or Zstd-19"
GENERAL = {
    "zstd-19": "Zstandard -19",
    "zstd-22": "Zstandard -22 --ultra",
    "brotli-11": "Brotli -11",
    "xz-9e": "xz -9e",
    "bzip2": "bzip2 -9",
    "openzl": "OpenZL",
    "pcodec": "pcodec",
}
ARCHIVE = "zpaq -m5"
BARE_ARCHIVE = "zpaq -m5, without its constant bytes"
PARQUET, ROARING = "Parquet", "Roaring (labels: best of the others)"
OURS, OURS_GROUPS = "plada", "plada with the pool's groups"
#: In the order of the tables.
FORMATS = (PAPER_NAME, *GENERAL.values(), ARCHIVE, BARE_ARCHIVE, PARQUET, ROARING)


@dataclass(frozen=True)
class Bytes:
    """Of one format: index stream, label stream (None where it has no such), both in the way that is smallest."""

    index: int | None
    label: int | None
    both: int


def competitors(row: Mapping[str, int], archive: int) -> dict[str, Bytes]:
    """Bytes of every other format for one selection.

    Args:
        row: cells of ``peers.csv``; formats without cells are left out.
        archive: bytes of a zpaq archive of an empty file.
    """
    found = {PAPER_NAME: Bytes(None, None, min(row[f"paper.both.{stage}"] for stage in COMPRESSED))}
    for name, title in GENERAL.items():
        index, label = _least(row, f"{name}.index."), _least(row, f"{name}.label.")
        if index is not None and label is not None:
            found[title] = Bytes(index, label, min(index + label, row.get(f"{name}.both.joint", index + label)))
    index, label, joint = _least(row, "zpaq-m5.index."), _least(row, "zpaq-m5.label."), row.get("zpaq-m5.both.joint")
    if index is not None and label is not None and joint is not None:
        found[ARCHIVE] = Bytes(index, label, min(index + label, joint))
        bare = Bytes(index - archive, label - archive, min(index + label - 2 * archive, joint - archive))
        found[BARE_ARCHIVE] = bare
    both = _least(row, "parquet.both.")
    if both is not None:
        found[PARQUET] = Bytes(None, None, both)
    roaring = row.get("roaring.index.bitmap")
    if roaring is not None:
        label = min(size.label for size in found.values() if size.label is not None)
        found[ROARING] = Bytes(roaring, None, roaring + label)
    return found


def own(row: Mapping[str, int]) -> dict[str, Bytes]:
    """Our bare streams for one selection; with the pool's groups too where it has some."""
    found = {}
    for title, name in ((OURS, "auto"), (OURS_GROUPS, "auto-groups")):
        index, label = row.get(f"plada.index.{name}"), row.get(f"plada.label.{name}")
        if index is not None and label is not None:
            found[title] = Bytes(index, label, index + label)
    return found


def _least(row: Mapping[str, int], prefix: str) -> int | None:
    return min((value for name, value in row.items() if name.startswith(prefix)), default=None)
