"""`auto` against the paper's layouts on every file of the acceptance set.

    python -m benchmarks.acceptance            # 105 files, about half an hour on one core; continues where it stopped
    python -m benchmarks.acceptance --restart

Result: ``benchmarks/results/acceptance.csv``, one row per file: the paper's Huffman and Zstd-19 sizes, and whole
plada files of the profiles baseline and full, which are decoded and compared. ``benchmarks.figures`` reads it.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import plada_format as pf

from . import ours
from .paper_layouts import COMPRESSED, paper_sizes
from .report import Table, write_machine
from .selections import cases, load

PROFILES = ("baseline", "full")
COLUMNS = [
    "file",
    "count",
    "classes",
    *COMPRESSED,
    *(f"{profile}_{part}" for profile in PROFILES for part in ("bytes", "overhead", "index", "label")),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restart", action="store_true", help="measure all files anew")
    table = Table("acceptance.csv", COLUMNS, key="file", restart=parser.parse_args().restart)
    pf.warmup()
    for case in sorted(cases(), key=lambda case: case.keep):
        if case.name in table.done:
            continue
        selection = load(case)
        sizes = paper_sizes(selection)
        row: dict[str, Any] = {"file": case.name, "count": len(selection.indices), "classes": selection.num_classes}
        row |= {name: sizes[name] for name in COMPRESSED}
        for profile in PROFILES:
            data = pf.encode(
                selection.indices,
                selection.labels,
                pool_size=selection.pool_size,
                num_classes=selection.num_classes,
                profile=profile,
            )
            payload = pf.decode(data, pool_size=selection.pool_size)
            if not (
                np.array_equal(payload.indices, selection.indices) and np.array_equal(payload.labels, selection.labels)
            ):
                raise SystemExit(f"{case.name}: wrong decode")
            parts = ours.parts(data)
            row |= {
                f"{profile}_bytes": len(data),
                f"{profile}_overhead": parts["overhead"],
                f"{profile}_index": parts["index_codec"],
                f"{profile}_label": parts["label_codec"],
            }
        table.add(row)
        best = min(int(row[name]) for name in COMPRESSED)
        ratio = row["full_bytes"] / best
        print(f"{case.name}: full {row['full_bytes']:,}, paper {best:,}, ratio {ratio:.4f}", flush=True)
    write_machine()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
