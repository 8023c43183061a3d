"""The figures that the format promises, asked and reached side by side.

    python -m benchmarks.figures                 # everything; run it on a quiet machine
    python -m benchmarks.figures overhead uniform times import

Sizes beside other formats: ``python -m benchmarks.size --figures``. The table
goes to ``benchmarks/results/figures.csv``, the measurements behind it to ``figures_*.csv``. Exit code 1 if a figure is
not reached. Times are the best of 20 in one process on one core.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from statistics import mean
from typing import Any

import numpy as np

import plada_format as pf

from . import ours
from .formats import measure, timed_selections
from .layouts import INDEX_LAYOUTS, LABEL_LAYOUTS
from .measure import best_of
from .paper_layouts import log2_choose
from .peers import general
from .report import cpu_name, print_table, write_csv, write_machine
from .selections import POOL_SIZE, uniform

Row = dict[str, object]

OVERHEAD, OVERHEAD_AIM = 72, 64
HEAVY = ("numba", "torch", "PIL", "pyarrow", "zstandard")
RATES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.38, 0.5, 0.7, 0.9)
POOLS = (20_000, 100_000, 1_281_167, POOL_SIZE)
MOST = 3_000_000  # kept images of the largest uniform set tried
REPEATS = 20
#: Milliseconds; adaptive codecs on selections with something to learn, of all others also on uniform ones.
LIMITS = {False: {"numba": 3.0, "numpy": 60.0}, True: {"numba": 30.0, "numpy": 2000.0}}
ADAPTIVE = ("adaptive", "compact", "full")  # codecs, and the profiles whose files they are in


def row(figure: str, asked: str, reached: str, ok: bool, note: str = "") -> Row:
    """One line of the table."""
    return {"figure": figure, "asked": asked, "reached": reached, "ok": "yes" if ok else "NO", "note": note}


def overhead() -> Iterator[Row]:
    """Container bytes, and whole small payloads against the bound."""
    spent = []
    for n, k, classes in (
        (10_000, 200, 10),
        (100_000, 1_000, 100),
        (POOL_SIZE, 141_971, 1000),
        (1000, 0, 2),
        (1000, 1000, 1),
    ):
        s = uniform(n, k, classes)
        for profile in ours.PROFILES:
            data = pf.encode(
                s.indices,
                s.labels,
                pool_size=n,
                num_classes=classes,
                profile=profile,
                pool_fingerprint=bytes(range(16)),
            )
            spent.append(ours.parts(data)["overhead"])
    yield row(
        "overhead: file less streams, no optional section",
        f"<= {OVERHEAD} B (aim {OVERHEAD_AIM})",
        f"{max(spent)} B",
        max(spent) <= OVERHEAD,
        "worst of 15 files; aim " + ("met" if max(spent) <= OVERHEAD_AIM else "missed"),
    )
    n, k, classes = 10_000, 200, 10
    entropy = (log2_choose(n, k) + k * math.log2(classes)) / 8
    for profile in ours.PROFILES:
        above = []
        for seed in range(200):
            s = uniform(n, k, classes, seed)
            data = pf.encode(s.indices, s.labels, pool_size=n, num_classes=classes, profile=profile)
            above.append(len(data) - entropy)
        yield row(
            f"k=200, N=10,000, K=10, {profile}: bytes above log2 C(N,k) + k log2 K",
            "<= 84 B",
            f"{max(above):.1f} B",
            max(above) <= 84,
            f"worst of 200 draws; mean {mean(above):.1f}; the bound is {entropy:.1f} B",
        )


def uniform_sets() -> Iterator[Row]:
    """Index streams of uniform sets against log2 C(N, k), by ``auto`` over the codecs without Zstd."""
    rows: list[Row] = []
    for n in POOLS:
        for p in RATES:
            k = int(n * p)
            if not 10_000 <= k <= MOST:
                continue
            s = uniform(n, k, 1, seed=1)
            data = pf.encode(s.indices, s.labels, pool_size=n, num_classes=1, profile="baseline")
            parts = ours.parts(data)
            bound = log2_choose(n, k) / 8
            rows.append(
                {
                    "pool_size": n,
                    "rate": p,
                    "count": k,
                    "codec": parts["index_codec"],
                    "bytes": parts["index_bytes"],
                    "bound": round(bound, 1),
                    "above_percent": round(100 * (parts["index_bytes"] / bound - 1), 3),
                }
            )
    write_csv("figures_uniform.csv", rows)
    for p in RATES:
        here = [r for r in rows if r["rate"] == p]
        if not here:
            continue
        worst = max(here, key=lambda r: float(str(r["above_percent"])))
        limit = 0.5 if p <= 0.02 else 1.0
        yield row(
            f"uniform index set, p={p:g}: above log2 C(N,k)",
            f"<= {limit} %",
            f"{worst['above_percent']} %",
            float(str(worst["above_percent"])) <= limit,
            f"worst of {len(here)} pools: N={worst['pool_size']}, {worst['codec']}",
        )


def times() -> Iterator[Row]:
    """Decode and encode times at the working point, and the ratio to Zstandard's decompression."""
    raw: list[dict[str, Any]] = []
    backends = list(ours.backends())
    for s in timed_selections():
        zstd = zstd_milliseconds(s)
        for backend in backends:
            with ours.use(backend):
                for subject in (*ours.streams(), *ours.files()):
                    found = measure(subject, s, backend, repeats=REPEATS, memory=False)
                    found["encode_over_decode"] = round(found["encode_ms"] / found["decode_ms"], 2)
                    found["decode_over_zstd"] = round(found["decode_ms"] / zstd[subject.stream], 2)
                    raw.append(found)
    write_csv("figures_times.csv", raw)
    for backend in backends:
        here = [r for r in raw if r["backend"] == backend]
        for stream, codec in dict.fromkeys((r["stream"], r["layout"]) for r in here):
            same = [r for r in here if (r["stream"], r["layout"]) == (stream, codec)]
            adaptive = codec in ADAPTIVE
            judged = [r for r in same if not (adaptive and str(r["file"]).startswith("uniform"))]
            slowest = max(judged, key=lambda r: float(r["decode_ms"]))
            limit = LIMITS[adaptive][backend]
            what = f"whole file, {codec}" if stream == "both" else f"{stream} {codec}"
            yield row(
                f"decode {what}, {backend}",
                f"<= {limit:g} ms",
                f"{slowest['decode_ms']:.2f} ms",
                slowest["decode_ms"] <= limit,
                f"{slowest['decode_over_zstd']} x zstd; {slowest['file']}",
            )
            dearest = max(same, key=lambda r: float(r["encode_over_decode"]))
            if stream == "both" and adaptive and backend == "numpy":
                continue  # every codec in plain Python, one after the other: nothing is promised
            if stream == "both":
                slow = max(r["encode_ms"] for r in same)
                yield row(f"auto encode, {codec}, {backend}", "<= 2000 ms", f"{slow:.0f} ms", slow <= 2000)
            elif "zstd" not in codec:
                ratio = dearest["encode_over_decode"]
                note = f"{dearest['encode_ms']} ms; {dearest['file']}"
                yield row(f"encode {what}, {backend}", "<= 10 x decode", f"{ratio:.1f} x", ratio <= 10, note)


def zstd_milliseconds(s: Any) -> dict[str, float]:
    """Bare zstd-19 decompression of byte planes of gaps and of label bytes, no array made; "both" is the sum."""
    tool = next(tool for tool in general() if tool.name == "zstd-19")
    found = {}
    for stream, layout in (("index", INDEX_LAYOUTS[2]), ("label", LABEL_LAYOUTS[0])):
        data = tool.compress(layout.pack(s), 1)
        found[stream] = best_of(lambda data=data: tool.decompress(data, 1), REPEATS)[0] * 1e3
    return found | {"both": found["index"] + found["label"]}


def imports() -> Iterator[Row]:
    """Time that the import adds to numpy's, and what it must not pull in."""
    code = (
        "import numpy, time, sys; t = time.perf_counter(); import plada_format; d = time.perf_counter() - t; "
        f"print(d * 1e3, [m for m in {HEAVY!r} if m in sys.modules])"
    )
    found = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split(
            maxsplit=1
        )
        for _ in range(REPEATS)
    ]
    best = min(float(line[0]) for line in found)
    heavy = found[0][1].strip()
    yield row(
        "import plada_format, over numpy's import",
        "<= 40 ms",
        f"{best:.1f} ms",
        best <= 40,
        f"best of {REPEATS} processes",
    )
    yield row(
        "import plada_format pulls in " + ", ".join(HEAVY), "none", "none" if heavy == "[]" else heavy, heavy == "[]"
    )


PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "overhead": overhead,
    "uniform": uniform_sets,
    "times": times,
    "import": imports,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m benchmarks.figures``."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.figures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"of {', '.join(PARTS)} (default: all)"
    )
    chosen = parser.parse_args(argv).parts or list(PARTS)
    rows = []
    for part in chosen:
        rows += [{"part": part, **line} for line in PARTS[part]()]
    print(f"{cpu_name()}, one core, Python {sys.version.split()[0]}, numpy {np.__version__}\n")
    print_table(rows)
    if chosen == list(PARTS):
        write_csv("figures.csv", rows)
        write_machine()
    missed = sum(line["ok"] != "yes" for line in rows)
    print(f"\n{len(rows)} figures, {missed} not reached")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
