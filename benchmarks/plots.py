"""A summary and two pictures of the stored results of :mod:`benchmarks.formats`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import mean

from .report import RESULTS, read_csv

GENERAL = ("zstd-19", "zstd-22", "xz-9e", "bzip2", "brotli-11", "pcodec", "openzl")
PAPER = ("huffman_idx", "huffman_bmp", "zstd19_idx", "zstd19_bmp")


def _smallest(row: Mapping[str, str], prefix: str) -> int:
    return min(int(value) for name, value in row.items() if name.startswith(prefix))


def totals(row: Mapping[str, str]) -> dict[str, int]:
    """Bytes of indices and labels together for each format, on its best layouts, streams apart or in one run."""
    found = {"paper, best of Huffman and Zstd-19": min(int(row[f"paper.both.{name}"]) for name in PAPER)}
    for name in GENERAL:
        if any(column.startswith(f"{name}.index.") for column in row):
            apart = _smallest(row, f"{name}.index.") + _smallest(row, f"{name}.label.")
            found[name] = min(apart, int(row.get(f"{name}.both.joint") or apart))
    if any(column.startswith("parquet.") for column in row):
        found["parquet"] = _smallest(row, "parquet.both.")
    if any(column.startswith("roaring.") for column in row):
        labels = min(_smallest(row, f"{name}.label.") for name in GENERAL if f"{name}.label.bytes" in row)
        found["roaring (labels: best peer)"] = int(row["roaring.index.bitmap"]) + labels
    return found


def joined() -> list[dict[str, str]]:
    """Rows of both size tables that have the same selection; plada's columns are missing where it was not measured."""
    ours = {row["file"]: row for row in read_csv("sizes_plada.csv")}
    return [row | ours.get(row["file"], {}) for row in read_csv("sizes_peers.csv")]


def group_of(row: Mapping[str, str]) -> str:
    """Kind of selection and keep rate."""
    kind = "uniform" if row["file"].startswith("uniform") else "realistic"
    return f"{kind} {100 * int(row['count']) / int(row['pool_size']):.1f} %"


def _shown(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows of a plot, by size: plada's codecs and each peer's smallest layout, but nothing twice the smallest."""
    best: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        own = row["subject"] == "plada"
        key = (row["subject"], row["backend"], row["layout"] if own else "")
        if key not in best or int(row["bytes"]) < int(best[key]["bytes"]):
            best[key] = row
    least = min(int(row["bytes"]) for row in best.values())
    return sorted((r for r in best.values() if int(r["bytes"]) < 1.6 * least), key=lambda r: float(r["decode_ms"]))


def ratios(rows: Iterable[Mapping[str, str]]) -> dict[str, dict[str, float]]:
    """Mean over the selections of a group of each format's bytes over the paper's best layout."""
    gathered: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        sizes = totals(row)
        for profile in ("baseline", "compact", "full"):
            if row.get(f"plada.both.{profile}"):
                sizes[f"plada {profile} (whole file)"] = int(row[f"plada.both.{profile}"])
        paper = sizes["paper, best of Huffman and Zstd-19"]
        for name, size in sizes.items():
            gathered[group_of(row)][name].append(size / paper)
    return {group: {name: mean(values) for name, values in formats.items()} for group, formats in gathered.items()}


def summary() -> list[dict[str, object]]:
    """One row per format, one column per group: mean size over that of the paper's best layout."""
    table = ratios(joined())
    names = list(dict.fromkeys(name for formats in table.values() for name in formats))
    return [
        {"format": name, **{g: f"{table[g][name]:.3f}" if name in table[g] else "" for g in table}} for name in names
    ]


def draw() -> None:
    """Write ``sizes.png`` (mean ratios) and ``times.png`` (bytes against decode time) into the results folder."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    table = ratios(joined())
    if table:
        names = list(next(iter(table.values())))
        names = list(dict.fromkeys(name for formats in table.values() for name in formats))
        figure, axis = plt.subplots(figsize=(11, 0.42 * len(names) + 1.6), layout="constrained")
        height = 0.8 / len(table)
        for i, (group, formats) in enumerate(table.items()):
            places = [j + i * height for j, name in enumerate(names) if name in formats]
            axis.barh(places, [formats[name] for name in names if name in formats], height, label=group)
        axis.set_yticks([j + 0.4 - height / 2 for j in range(len(names))], names)
        axis.invert_yaxis()
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_xlabel(
            "bytes of indices and labels over the smallest of the paper's Huffman and Zstd-19 layouts (mean)"
        )
        axis.legend(fontsize=8)
        figure.savefig(RESULTS / "sizes.png", dpi=110)
        plt.close(figure)
    times = [row for row in read_csv("times.csv") if row["stream"] == "index"]
    if times:
        files = list(dict.fromkeys(row["file"] for row in times))
        figure, axes = plt.subplots(1, len(files), figsize=(6 * len(files), 6), layout="constrained", squeeze=False)
        for axis, file in zip(axes[0], files):
            for height, row in enumerate(_shown([row for row in times if row["file"] == file])):
                own = row["subject"] == "plada"
                colour = {"numba": "tab:red", "numpy": "tab:orange"}.get(row["backend"], "tab:blue")
                axis.scatter(
                    float(row["decode_ms"]), int(row["bytes"]) / 1000, s=30, color=colour, marker="o" if own else "x"
                )
                text = row["layout"] if own else f"{row['subject']} {row['layout']}"
                axis.annotate(
                    text,
                    (float(row["decode_ms"]), int(row["bytes"]) / 1000),
                    fontsize=7,
                    xytext=(4, 6 if height % 2 else -10),
                    textcoords="offset points",
                )
            axis.set(
                xscale="log", title=file, xlabel="decode to an index array, ms (best of many, one core)"
            )
            axis.set_ylabel("index stream, kB")
            axis.margins(x=0.2, y=0.1)
        figure.suptitle(
            "Index streams, 141,971 of 14,197,114: plada with numba (red), NumPy alone (orange), others (blue)"
        )
        figure.savefig(RESULTS / "times.png", dpi=110)
        plt.close(figure)
