"""Checks the recovered byte layouts against the figures that the PLADA paper prints.

    python -m benchmarks.check_paper    # expected, got, ok; also results/check_paper.csv; exit code 1 on a mismatch

Raw and Compact sizes follow from the pool size, the kept count, the width of a label and (for lists) the width of a
gap; they must agree at the two decimals that the paper prints. The paper's KB is 1024 bytes and its MB 1024^2. Huffman
and Zstd cells depend on the unpublished selections; of those only the floor of a byte-wise Huffman code over a mask,
and sizes for uniform selections, can be checked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import paper_layouts as paper
from .report import print_table, write_csv
from .selections import uniform

FULL, SMALL = 14_197_087, 1_281_167  # ImageNet-21K and ImageNet-1K as the paper counts them
KB, MB = 1024, 1024**2


@dataclass(frozen=True)
class Check:
    """One printed figure: its place, value and unit, our bytes, and the relative tolerance (0: equal when printed)."""

    where: str
    expected: float
    unit: str
    got_bytes: float
    tolerance: float = 0.0

    @property
    def got(self) -> float:
        """Our figure in the paper's unit."""
        return self.got_bytes / {"KB": KB, "MB": MB, "bytes": 1, "min": 1}[self.unit]

    @property
    def decimals(self) -> int:
        """Decimals that the paper prints."""
        text = repr(self.expected)
        return 2 if self.tolerance == 0 else len(text.partition(".")[2])

    @property
    def ok(self) -> bool:
        """Equal at the printed decimals, or within the tolerance."""
        if self.tolerance:
            return abs(self.got - self.expected) <= self.tolerance * self.expected
        return abs(self.got - self.expected) <= 0.005 + 1e-9


def kept(n: int, keep: float) -> int:
    """floor(n * keep), the paper's count."""
    return int(n * keep + 1e-9)


def raw_checks() -> Iterator[Check]:
    """Raw cells of Tables 4 and 12-15."""
    rates = (0.001, 0.005, 0.01, 0.05, 0.10, 0.25, 0.50)
    cells = {
        (FULL, "idx"): "83.19 KB, 415.93 KB, 831.86 KB, 4.06 MB, 8.12 MB, 20.31 MB, 40.62 MB",
        (FULL, "bmp"): "1.72 MB, 1.83 MB, 1.96 MB, 3.05 MB, 4.40 MB, 8.46 MB, 15.23 MB",
        (SMALL, "idx"): "7.51 KB, 37.53 KB, 75.06 KB, 375.34 KB, 750.68 KB, 1.83 MB, 3.67 MB",
        (SMALL, "bmp"): "158.89 KB, 168.90 KB, 181.41 KB, 281.51 KB, 406.62 KB, 781.96 KB, 1.37 MB",
    }
    for (n, layout), line in cells.items():
        for keep, cell in zip(rates, line.split(", "), strict=True):
            value, unit = cell.split()
            yield Check(
                f"Raw {layout}, n={n}, p={keep:g}", float(value), unit, paper.raw_size(n, kept(n, keep), layout)
            )
    yield Check(f"Raw without filter, n={FULL}", 27.08, "MB", paper.raw_size(FULL, FULL, "all"))
    yield Check(f"Raw without filter, n={SMALL}", 2.44, "MB", paper.raw_size(SMALL, SMALL, "all"))


# Ends of the ranges of Tables 16 and 17: pool size, keep rate, value, unit, label width, gap width (None: mask). The
# paper does not say which layout an end belongs to; the widths here are the one pair that gives the printed value, and
# the ends with a mask need no gap width at all.
COMPACT = (
    (FULL, 0.001, 0.04, "MB", 1, 2),
    (FULL, 0.001, 1.71, "MB", 1, None),
    (FULL, 0.005, 0.20, "MB", 1, 2),
    (FULL, 0.005, 1.83, "MB", 2, None),
    (FULL, 0.01, 0.41, "MB", 1, 2),
    (FULL, 0.01, 1.96, "MB", 2, None),
    (FULL, 0.05, 2.37, "MB", 1, None),
    (FULL, 0.05, 3.05, "MB", 2, None),
    (FULL, 0.10, 2.71, "MB", 1, 1),
    (FULL, 0.10, 4.40, "MB", 2, None),
    (FULL, 0.25, 5.08, "MB", 1, None),
    (FULL, 0.25, 8.46, "MB", 2, None),
    (FULL, 0.50, 8.46, "MB", 1, None),
    (FULL, 0.50, 33.85, "MB", 1, 4),
    (SMALL, 0.001, 3.75, "KB", 1, 2),
    (SMALL, 0.001, 157.64, "KB", 1, None),
    (SMALL, 0.005, 18.76, "KB", 1, 2),
    (SMALL, 0.005, 168.90, "KB", 2, None),
    (SMALL, 0.01, 168.90, "KB", 1, None),
    (SMALL, 0.01, 181.41, "KB", 2, None),
    (SMALL, 0.05, 218.95, "KB", 1, None),
    (SMALL, 0.05, 281.51, "KB", 2, None),
    (SMALL, 0.10, 281.51, "KB", 1, None),
    (SMALL, 0.10, 406.62, "KB", 2, None),
    (SMALL, 0.25, 469.18, "KB", 1, None),
    (SMALL, 0.25, 781.96, "KB", 2, None),
    (SMALL, 0.50, 0.76, "MB", 1, None),
    (SMALL, 0.50, 1.37, "MB", 2, None),
)


def compact_checks() -> Iterator[Check]:
    """Compact ranges of Tables 16 and 17."""
    for n, keep, value, unit, label_width, gap_width in COMPACT:
        layout = "bmp" if gap_width is None else f"idx, {gap_width}-byte gaps"
        where = f"Compact {layout}, {label_width}-byte labels, n={n}, p={keep:g}"
        yield Check(where, value, unit, paper.compact_size(n, kept(n, keep), label_width, gap_width))
    for n, low, high in ((FULL, 13.54, 27.08), (SMALL, 1.22, 2.44)):
        yield Check(f"Compact without filter, 1-byte labels, n={n}", low, "MB", n)
        yield Check(f"Compact without filter, 2-byte labels, n={n}", high, "MB", 2 * n)


def derived_checks() -> Iterator[Check]:
    """Bounds and examples of the text: mask entropy, Equation 7, the floor of a Huffman code over bytes, link times."""
    for keep, value in (
        (0.001, 19.8),
        (0.005, 78.7),
        (0.01, 140.0),
        (0.05, 496.3),
        (0.10, 812.8),
        (0.25, 1406.0),
        (0.50, 1733.0),
    ):
        yield Check(f"Mask entropy, n={FULL}, p={keep:g}", value, "KB", paper.mask_entropy_bytes(FULL, keep), 0.003)
    yield Check("Equation 7, n=14.2 M, p=0.05, 64 classes", 2.20, "MB", 14.2e6 * (1 + 0.05 * 6) / 8)
    yield Check("Equation 7, the mask alone", 1.69, "MB", 14.2e6 / 8)
    yield Check(
        f"Huffman floor of a mask, n={FULL}", 216.6, "KB", paper.huffman_size(bytes(-(-FULL // 8)), table=False), 0.001
    )
    yield Check("147.3 KB at 5 kbit/s", 4.0, "min", 147.3 * KB * 8 / 5000 / 60, 0.05)
    yield Check("147.3 KB at 500 bit/s", 40.0, "min", 147.3 * KB * 8 / 500 / 60, 0.05)


def uniform_checks() -> Iterator[Check]:
    """Zstd level 19 on a uniform 1 % selection, within 2 % for the Zstandard release and the draw.

    These three are no figures of the paper: they were measured once with zstd 1.5.4 and show how much order the
    published payloads must have had.
    """
    drawn = uniform(FULL, kept(FULL, 0.01), 10)
    gaps = paper.gap_bytes(drawn.indices)
    planes = gaps[0::2] + gaps[1::2]
    for name, data, value in (
        ("the mask", paper.mask_bytes(drawn.indices, FULL), 177.9),
        ("2-byte gaps", gaps, 174.2),
        ("2-byte gaps as byte planes", planes, 143.5),
    ):
        yield Check(f"Zstd-19 of {name}, uniform, n={FULL}, p=0.01", value, "KB", paper.zstd_size(data), 0.02)


def checks() -> Iterator[Check]:
    """Every check."""
    yield from raw_checks()
    yield from compact_checks()
    yield from derived_checks()
    yield from uniform_checks()


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m benchmarks.check_paper``; 1 if a figure does not agree."""
    argparse.ArgumentParser(prog="python -m benchmarks.check_paper", description=__doc__.splitlines()[0]).parse_args(
        argv
    )
    rows = [
        {
            "figure": c.where,
            "expected": f"{c.expected:.{c.decimals}f}",
            "got": f"{c.got:.{c.decimals}f}",
            "unit": c.unit,
            "ok": "yes" if c.ok else "NO",
        }
        for c in checks()
    ]
    print_table(rows)
    write_csv("check_paper.csv", rows)
    wrong = sum(row["ok"] != "yes" for row in rows)
    print(f"\n{len(rows)} figures, {wrong} do not agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
