"""Times of the adaptive codecs, and their modes on small pools. Sizes beside other formats: ``benchmarks.size``.

    python -m benchmarks.adaptive.run pools     # small pools, in folder order and shuffled, beside all other codecs
    python -m benchmarks.adaptive.run times     # seconds to encode and decode, plain Python and numba

Results lie beside this file.
"""

from __future__ import annotations

import csv
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks import layouts, peers, selections
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


def _write(name: str, rows: Sequence[dict[str, object] | dict[str, str]]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with open(HERE / name, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m benchmarks.adaptive.run``."""
    parts = {"pools": pools, "times": times}
    arguments = list(sys.argv[1:] if argv is None else argv)
    if len(arguments) != 1 or arguments[0] not in parts:
        print(f"usage: python -m benchmarks.adaptive.run {'|'.join(parts)}", file=sys.stderr)
        return 2
    parts[arguments[0]]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
