"""Decode times of all decoders side by side, in one run on the same files.

    make ports && python -m benchmarks.ports.run     writes results.csv beside this file and docs/benchmarks.md
    python -m benchmarks.ports.run --docs            the table again, from results.csv

Files: one selection of the acceptance set (101 classes, 141,971 of 14,197,114) by static and adaptive codecs, with
every check but the content digest, which is timed apart. For scale: zstd and Brotli decompression of the paper's layout
(gaps in the narrowest width, labels of one byte) with its parse into the same arrays. Each round runs every subject
once; the best round counts.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import plada_format as pf
from benchmarks import selections
from benchmarks.report import machine, replace_between
from benchmarks.selections import Selection
from plada_format import accel
from plada_format.digest import content_digest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAIRS = (("golomb", "huffman"), ("rans", "rans"), ("runs", "runs"), ("golomb", "fixed"), ("adaptive", "adaptive"))
PAPER = "paper's layout"
NATIVE = {
    "C": [str(ROOT / "ports/c/build/plada-bench")],
    "Rust": [str(ROOT / "ports/rust/target/release/bench")],
    "Node": ["node", str(ROOT / "ports/js/bench.mjs")],
}


def best_of(call: Callable[[], object], repeats: int) -> float:
    """Smallest CPU time of ``repeats`` calls, in milliseconds."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return 1000 * min(times)


def native(name: str, path: Path) -> dict[str, float]:
    """Milliseconds of a port's own bench program: the whole, and without the digest or of the digest."""
    more = {"Rust": ["30"], "Node": ["--n", "200"]}.get(name, ["1"])
    done = subprocess.run([*NATIVE[name], str(path), *more], capture_output=True, text=True, check=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(done.stdout)
    if name.startswith("C"):
        return {
            "whole": found["decode_ms"],
            "decode": found["decode_without_digest_ms"],
            "zstd layout": found.get("zstd_layout_ms", 0.0),
        }
    if name == "Rust":
        return {"whole": found["total_ms"], "digest": found["digest_ms"]}
    parts = found["milliseconds"]
    return {"whole": parts["whole"]["best"], "digest": parts["digest"]["best"]}


def python(mode: str, data: bytes, s: Selection) -> dict[str, float]:
    """Milliseconds of plada_format, without and of the digest."""
    repeats = 10 if mode == "numba" else 1
    with accel.use(mode):
        if mode == "numba":
            pf.decode(data)  # compiles
        whole = best_of(lambda: pf.decode(data), repeats)
    digest = best_of(lambda: content_digest(s.pool_size, s.num_classes, s.indices, s.labels), repeats)
    return {"whole": whole, "digest": digest}


def layouts(s: Selection) -> Iterator[tuple[str, Callable[[], object]]]:
    """What reads the paper's layout: gaps and labels in the narrowest width, in zstd -19 and Brotli 11."""
    import brotli
    import zstandard

    gaps = np.diff(s.indices.astype(np.int64), prepend=0)
    wide = np.dtype("u1" if gaps.max() < 1 << 8 else "<u2" if gaps.max() < 1 << 16 else "<u4")
    raw = gaps.astype(wide).tobytes() + s.labels.astype(np.uint8).tobytes()
    k = len(s.indices)

    def parse(content: bytes) -> tuple[Any, Any]:
        indices = np.cumsum(np.frombuffer(content, wide, k), dtype=np.uint32)
        return indices, np.frombuffer(content, np.uint8, k, k * wide.itemsize).astype(np.uint16)

    frame, stream = zstandard.ZstdCompressor(level=19).compress(raw), brotli.compress(raw, quality=11)
    assert np.array_equal(parse(brotli.decompress(stream))[0], s.indices)
    yield "zstd -19 + NumPy", lambda: parse(zstandard.ZstdDecompressor().decompress(frame))
    yield "brotli 11 + NumPy", lambda: parse(brotli.decompress(stream))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--docs", action="store_true", help="measure nothing")
    args = parser.parse_args()
    if args.docs:
        write_docs()
        return 0
    if shutil.which("clang"):
        built = ["make", "-s", "-C", str(ROOT / "ports/c"), "build/plada-bench-clang"]
        subprocess.run(built, check=True)
        NATIVE["C, clang"] = [str(ROOT / "ports/c/build/plada-bench-clang")]
    case = next(c for c in selections.cases([0.01]) if c.setting.classes == 101 and c.seed == 1)
    s = selections.load(case)
    best: dict[tuple[str, str], dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for index, label in PAIRS:
            settings = {"pool_size": s.pool_size, "num_classes": s.num_classes}
            data = pf.encode(s.indices, s.labels, index_codec=index, label_codec=label, **settings)
            path = Path(folder) / f"{index}-{label}.plada"
            path.write_bytes(data)
            files[f"{index} + {label}"] = (data, path)
        for _ in range(args.rounds):
            for name, (data, path) in files.items():
                for port in NATIVE:
                    _keep(best, (name, port), native(port, path))
                for mode in ("numba", "python") if name.startswith("adaptive") else ("numba", "numpy"):
                    _keep(best, (name, f"Python, {mode}"), python(mode, data, s))
            for name, call in layouts(s):
                _keep(best, (PAPER, name), {"whole": best_of(call, 20)})
    rows = []
    for (file, who), found in best.items():
        if "decode" in found:  # timed by itself
            found["digest"] = found["whole"] - found["decode"]
        else:
            found["decode"] = found["whole"] - found.get("digest", 0.0)  # each the best of its own
        rows.append({"file": file, "decoder": who, **{part: f"{ms:.3f}" for part, ms in found.items()}})
    with open(HERE / "results.csv", "w", newline="") as out:
        writer = csv.DictWriter(out, ["file", "decoder", "decode", "digest", "whole", "zstd layout"], restval="")
        writer.writeheader()
        writer.writerows(rows)
    (HERE / "machine.json").write_text(json.dumps(machine(), indent=1) + "\n", encoding="utf-8")
    for row in rows:
        print(f"{row['file']:22} {row['decoder']:18} {row['decode']:>9} ms, digest {row.get('digest', ''):>7}")
    write_docs()
    return 0


def write_docs() -> None:
    """The table of docs/benchmarks.md from results.csv: milliseconds without the digest, and over C's zstd layout."""
    with open(HERE / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    scale = min(float(row["zstd layout"]) for row in rows if row["zstd layout"])
    times = {(row["file"], row["decoder"]): float(row["decode"]) for row in rows}
    files = [name for name in dict.fromkeys(row["file"] for row in rows) if name != PAPER]
    who = list(dict.fromkeys(row["decoder"] for row in rows if row["file"] != PAPER))
    lines = ["| decoder | " + " | ".join(files) + " |", "|---|" + "---:|" * len(files)]
    for name in who:
        cells = [f"{times[file, name]:.2f} ms" if (file, name) in times else "" for file in files]
        if name.startswith("C"):
            cells = [f"{cell} ({times[file, name] / scale:.2f})" for cell, file in zip(cells, files)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    digests = {row["decoder"]: row["digest"] for row in rows if row["digest"]}
    cpu = json.loads((HERE / "machine.json").read_text(encoding="utf-8"))["cpu"]
    others = ", ".join(f"{row['decoder']} {row['decode']} ms" for row in rows if row["file"] == PAPER)
    lines += [
        "",
        f"For scale, the paper's layout under Zstandard 19, decompressed and parsed in C: {scale:.2f} ms, to which the",
        f"numbers in brackets relate; in Python: {others}. The content digest (SHA-256 of 852 kB) comes on top:",
        ", ".join(f"{name} {ms} ms" for name, ms in digests.items()) + f". {cpu}.",
    ]
    replace_between(ROOT / "docs/benchmarks.md", "ports", "\n".join(lines))


def _keep(best: dict[Any, dict[str, float]], key: Any, found: dict[str, float]) -> None:
    known = best.setdefault(key, found)
    for part, value in found.items():
        known[part] = min(known.get(part, value), value)


if __name__ == "__main__":
    sys.exit(main())
