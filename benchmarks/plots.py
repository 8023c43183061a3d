"""A picture of the stored results of :mod:`benchmarks.formats`."""

from __future__ import annotations

from .report import RESULTS, read_csv


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


def draw() -> None:
    """Write ``times.png``, bytes against decode time, into the results folder."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

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
            axis.set(xscale="log", title=file, xlabel="decode to an index array, ms (best of many, one core)")
            axis.set_ylabel("index stream, kB")
            axis.margins(x=0.2, y=0.1)
        figure.suptitle(
            "Index streams, 141,971 of 14,197,114: plada with numba (red), NumPy alone (orange), others (blue)"
        )
        figure.savefig(RESULTS / "times.png", dpi=110)
        plt.close(figure)
