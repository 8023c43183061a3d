"""Figures of the adaptive codecs.

    python -m benchmarks.adaptive.run ours      # our streams on the acceptance set, uniform sets and small sets
    python -m benchmarks.adaptive.run peers     # the best competitors' streams on the acceptance set (about an hour)
    python -m benchmarks.adaptive.run pools     # small pools, in folder order and shuffled, beside all other codecs
    python -m benchmarks.adaptive.run times     # seconds to encode and decode, plain Python and numba
    python -m benchmarks.adaptive.run report    # the table of figures, from the files of the first two

Results lie beside this file. Rows that are there already are kept, so ``peers`` can be stopped and started again. The
competitors get everything for nothing that a decoder needs besides the two streams; zpaq's archive is counted whole.
"""

from __future__ import annotations

import csv
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks import layouts, paper_layouts, peers, selections
from benchmarks.selections import Selection
from plada_format import accel
from plada_format.codecs import INDEX_CODECS, LABEL_CODECS
from plada_format.codecs.index_adaptive import CODEC as INDEX
from plada_format.codecs.index_adaptive_groups import CODEC as INDEX_GROUPS
from plada_format.codecs.label_adaptive import CODEC as LABEL
from plada_format.codecs.label_adaptive_groups import CODEC as LABEL_GROUPS
from plada_format.engines import adaptive
from plada_format.engines.stream import Stream

#: Codecs of format 1.0.
STATIC_INDEX = [codec for codec in INDEX_CODECS.values() if not codec.name.startswith("adaptive")]
STATIC_LABEL = [codec for codec in LABEL_CODECS.values() if not codec.name.startswith("adaptive")]
HERE = Path(__file__).resolve().parent
SMALL = (100, 1000)


def small_sets() -> Iterator[tuple[Selection, Selection]]:
    """Selections of 100 and 1,000 images of the acceptance generator (scores the 21 pools again: minutes)."""
    synsets = selections.read_synsets()
    for setting in selections.ACCEPTANCE:
        for seed in selections.SEEDS:
            energy, label = selections.score_pool(synsets, setting, seed)
            pair = []
            for count in SMALL:
                indices, labels = selections.keep_lowest(energy, label, (count + 0.5) / len(energy))
                name = selections.Case(setting, seed, 0.0).name.rsplit("-", 1)[0] + f"-k{count}"
                pair.append(Selection(name, indices, labels, len(energy), setting.classes))
            yield pair[0], pair[1]


def uniform_sets() -> Iterator[Selection]:
    """Sets without structure."""
    for rate in (0.001, 0.01, 0.05, 0.1):
        yield selections.uniform(selections.POOL_SIZE, int(selections.POOL_SIZE * rate), 10, seed=5)
    for count in (100, 300, 1000, 3000, 10_000):
        for seed in range(3):
            yield selections.uniform(selections.POOL_SIZE, count, 10, seed=seed)


def sizes_of(s: Selection, groups: np.ndarray | None) -> dict[str, object]:
    """Bytes of our streams, mixed decisions per image, and the bound of a set without structure."""
    n, k = s.pool_size, len(s.indices)
    row: dict[str, object] = {"file": s.name, "count": k, "classes": s.num_classes}
    row["index"] = len(INDEX.encode(s.indices, n))
    row["label"] = len(LABEL.encode(s.labels, s.num_classes, indices=s.indices))
    row["decisions"] = round(decisions(s) / k, 3)
    row["bound"] = round(adaptive.bound(n, k), 1)
    if groups is not None:
        row["index_groups"] = len(INDEX_GROUPS.encode(s.indices, n, groups=groups))
        row["label_groups"] = len(
            LABEL_GROUPS.encode(s.labels, s.num_classes, indices=s.indices, pool_size=n, groups=groups)
        )
    return row


def decisions(s: Selection) -> int:
    """Mixed binary decisions of both streams (none in an index set that is coded without structure)."""
    total = 0

    def count(run: Callable[[adaptive.Coder], int]) -> None:
        nonlocal total

        def wrapped(coder: adaptive.Coder) -> int:
            nonlocal total
            status = run(coder)
            total += coder.decisions
            return status

        adaptive.encode(len(s.indices), wrapped)

    count(lambda coder: adaptive.index(coder, 1, s.pool_size, coder.numbers(s.indices)))
    count(lambda coder: adaptive.labels(coder, 1, s.num_classes, s.indices, coder.numbers(s.labels), None))
    return total


def ours() -> None:
    """Write ours.csv."""
    groups = selections.load_groups()
    rows = []
    with accel.use("numba"):
        for case in selections.cases():
            rows.append(sizes_of(selections.load(case), groups))
        rows += [sizes_of(s, None) for s in uniform_sets()]
        for pair in small_sets():
            rows += [sizes_of(s, groups) for s in pair]
    _write("ours.csv", rows)


def zpaq(data: bytes) -> int:
    """Bytes of a zpaq archive of method 5."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x").write_bytes(data)
        subprocess.run(["zpaq", "a", "a.zpaq", "x", "-m5", "-t1"], cwd=folder, check=True, capture_output=True)
        return (Path(folder) / "a.zpaq").stat().st_size


def peer_row(s: Selection) -> dict[str, object]:
    """The best layout of each competitor for each stream."""
    row: dict[str, object] = {"file": s.name, "paper": paper_layouts.best_paper_size(paper_layouts.paper_sizes(s))[1]}
    facts = layouts.facts_of(s)
    for tool in peers.general():
        for stream, choice in (("index", layouts.INDEX_LAYOUTS), ("label", layouts.LABEL_LAYOUTS)):
            row[f"{tool.name}.{stream}"] = min(len(tool.compress(c.pack(s), c.width(facts))) for c in choice)
    if shutil.which("zpaq"):
        for stream, choice in (("index", layouts.INDEX_LAYOUTS[1:]), ("label", layouts.LABEL_LAYOUTS)):
            row[f"zpaq-m5.{stream}"] = min(zpaq(c.pack(s)) for c in choice)
    return row


def compare() -> None:
    """Write peers.csv, the 1 % files first, then the small sets."""
    rows = {str(row["file"]): row for row in _read("peers.csv")}

    def add(s: Selection) -> None:
        if s.name not in rows:
            rows[s.name] = {key: str(value) for key, value in peer_row(s).items()}
            _write("peers.csv", list(rows.values()))

    for rate in (0.01, 0.001, 0.005, 0.05, 0.1):
        for case in selections.cases([rate]):
            if case.name not in rows:
                add(selections.load(case))
    for pair in small_sets():
        for s in pair:
            add(s)


POOLS = ((10_000, 50, 7), (10_000, 200, 7), (10_000, 500, 10), (20_000, 200, 7), (20_000, 1000, 10), (25_000, 250, 10))
POOLS += ((25_000, 1000, 8), (50_000, 500, 7), (50_000, 500, 101), (50_000, 1000, 101), (50_000, 2000, 101))
POOLS += ((50_000, 5000, 37),)


def small_pools() -> Iterator[Selection]:
    """Selections from pools of 200 folders, in folder order and shuffled; images scatter widely about their folder."""
    rng = np.random.default_rng(3)
    for n, count, classes in POOLS:
        folder = rng.integers(200, size=n)
        places, centres = rng.normal(size=(200, 6)), rng.normal(size=(classes, 6))
        for order, owner in (("folders", np.sort(folder)), ("shuffled", folder)):
            image = places[owner] + 0.7 * rng.normal(size=(n, 6))
            logits = 2 * image @ centres.T - (centres**2).sum(1) - (image**2).sum(1, keepdims=True)
            indices, labels = selections.keep_lowest(
                -np.logaddexp.reduce(logits, axis=1).astype(np.float32),
                logits.argmax(1).astype(np.uint16),
                (count + 0.5) / n,
            )
            yield Selection(f"pool-N{n}-k{count}-c{classes}-{order}", indices, labels, n, classes)


def pools() -> None:
    """Write pools.csv: our streams in each mode, the smallest of the other codecs and of the general compressors."""
    rows: list[dict[str, object]] = []
    with accel.use("numba"):
        for s in small_pools():
            facts = layouts.facts_of(s)
            row: dict[str, object] = {"file": s.name}
            for mode in (0, 1):
                row[f"index.{mode}"] = len(INDEX.encode(s.indices, s.pool_size, mode))
            row["index.static"] = min(len(c.encode(s.indices, s.pool_size)) for c in STATIC_INDEX)
            row["index.general"] = _general(s, layouts.INDEX_LAYOUTS, facts)
            for mode in (0, 1):
                row[f"label.{mode}"] = len(LABEL.encode(s.labels, s.num_classes, mode, indices=s.indices))
            row["label.static"] = min(len(c.encode(s.labels, s.num_classes)) for c in STATIC_LABEL)
            row["label.general"] = _general(s, layouts.LABEL_LAYOUTS, facts)
            row["label.entropy"] = round(adaptive.entropy(s.labels), 1)
            rows.append(row)
    _write("pools.csv", rows)


def _general(s: Selection, choice: Sequence[layouts.Layout], facts: layouts.Facts) -> int:
    return min(len(tool.compress(c.pack(s), c.width(facts))) for tool in peers.general() for c in choice)


def times() -> None:
    """Write times.csv: best of four for numba, one run for plain Python; 1 % files of seed 1 and a uniform set."""
    rows = []
    groups = selections.load_groups()
    sets = [selections.load(case) for case in selections.cases([0.01]) if case.seed == 1]
    sets.append(selections.uniform(selections.POOL_SIZE, len(sets[0].indices), 10, seed=5))
    for s in sets:
        for mode, repeat in (("numba", 4), ("python", 1)):
            with accel.use(mode):
                best: dict[str, float] = {}
                for _ in range(repeat):
                    for name, seconds in _timed(s, groups):
                        best[name] = min(best.get(name, math.inf), seconds)
            rows.append({"file": s.name, "mode": mode} | {name: f"{value:.4f}" for name, value in best.items()})
    _write("times.csv", rows)


def _timed(s: Selection, groups: np.ndarray) -> Iterator[tuple[str, float]]:
    n, k = s.pool_size, len(s.indices)
    tasks: list[tuple[str, Callable[[], object]]] = []
    a = INDEX.encode(s.indices, n)
    b = LABEL.encode(s.labels, s.num_classes, indices=s.indices)
    c = INDEX_GROUPS.encode(s.indices, n, groups=groups)
    d = LABEL_GROUPS.encode(s.labels, s.num_classes, indices=s.indices, pool_size=n, groups=groups)
    more = {"indices": s.indices, "pool_size": n, "groups": groups}
    tasks.append(("encode_index", lambda: INDEX.encode(s.indices, n)))
    tasks.append(("encode_label", lambda: LABEL.encode(s.labels, s.num_classes, indices=s.indices)))
    tasks.append(("decode_index", lambda: INDEX.decode(Stream(a), n, k)))
    tasks.append(("decode_label", lambda: LABEL.decode(Stream(b), s.num_classes, k, indices=s.indices)))
    tasks.append(("decode_index_groups", lambda: INDEX_GROUPS.decode(Stream(c), n, k, groups=groups)))
    tasks.append(("decode_label_groups", lambda: LABEL_GROUPS.decode(Stream(d), s.num_classes, k, **more)))
    for name, task in tasks:
        began = time.process_time()
        task()
        yield name, time.process_time() - began


def report() -> None:
    """Print the figures."""
    ours_rows = _read("ours.csv")
    peer_rows = {row["file"]: row for row in _read("peers.csv")}
    for rate in ("0.001", "0.005", "0.010", "0.050", "0.100", "k100", "k1000"):
        table: list[list[float]] = []
        worse = []
        for row in ours_rows:
            peer = peer_rows.get(row["file"])
            if peer is None or row["file"].rsplit("-", 1)[1].lstrip("p") != rate:
                continue
            own = int(row["index"]) + int(row["label"])
            grouped = int(row["index_groups"]) + int(row["label_groups"])
            modern = _best(peer, ("brotli-11", "xz-9e"))
            pack = _best(peer, ("zpaq-m5",))
            everything = min(int(peer["paper"]), sum(_best_each(peer)))
            paper = int(peer["paper"])
            table.append([own / paper, own / modern, own / pack, grouped / paper, own / everything])
            if own >= everything:
                worse.append(f"{row['file']} ({own} against {everything})")
        if table:
            means = [mean(column) for column in zip(*table, strict=True)]
            figures = [f"{value:.4f}" if value else "not run" for value in means]
            print(f"{rate:>6} files {len(table):2d}: against Zstd-19/Huffman layouts {figures[0]}", end=", ")
            print(f"brotli/xz {figures[1]}, zpaq {figures[2]}, the best of all for each stream {figures[4]}", end="; ")
            print(f"with groups, Zstd-19/Huffman {figures[3]}", end="; ")
            print(f"not smaller than every competitor: {worse or 'none'}")
    for row in ours_rows:
        if row["file"].startswith("uniform"):
            excess = int(row["index"]) - float(row["bound"])
            ratio = int(row["index"]) / float(row["bound"])
            print(f"{row['file']}: {row['index']} bytes, {excess:+.1f} to the bound, ratio {ratio:.5f}")
    realistic = [float(row["decisions"]) for row in ours_rows if row["file"].endswith("p0.010")]
    print(f"mixed decisions per image at 1 %: mean {mean(realistic):.2f}, most {max(realistic):.2f}")


def _best(row: dict[str, str], names: Sequence[str]) -> float:
    """Best of the named compressors for each stream, added up; infinite where none was run."""
    total = 0.0
    for stream in ("index", "label"):
        total += min((int(row[f"{n}.{stream}"]) for n in names if row.get(f"{n}.{stream}")), default=math.inf)
    return total


def _best_each(row: dict[str, str]) -> tuple[int, int]:
    """The smallest index stream and the smallest label stream of all compressors."""
    found = {stream: [int(v) for key, v in row.items() if v and key.endswith(stream)] for stream in ("index", "label")}
    return min(found["index"]), min(found["label"])


def _read(name: str) -> list[dict[str, str]]:
    path = HERE / name
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _write(name: str, rows: Sequence[dict[str, object] | dict[str, str]]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with open(HERE / name, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m benchmarks.adaptive.run``."""
    parts = {"ours": ours, "peers": compare, "pools": pools, "times": times, "report": report}
    arguments = list(sys.argv[1:] if argv is None else argv)
    if len(arguments) != 1 or arguments[0] not in parts:
        print(f"usage: python -m benchmarks.adaptive.run {'|'.join(parts)}", file=sys.stderr)
        return 2
    parts[arguments[0]]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
