"""Makes the real selections of the size table anew.

    python -m benchmarks.size.make_real --data FOLDER [--cache FOLDER]

FOLDER is that of ``python -m benchmarks.experiment.run`` and holds ``tin64_labels_ANALYSIS_ONLY.npz`` (folder and file
number of each pool image) too. The backbone runs once per image; features that the experiment has cached are used.
Writes ``benchmarks/size/real/*.npz``: index and label numbers, no image and no name.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.experiment.run import POOL, SETTINGS, TASKS, find
from plada_select.criteria import score_columns
from plada_select.safety_net import SafetyNet
from plada_select.scoretable import Provenance, ScoreTable, write_table
from plada_select.select import Policy, rank

from .order import cluster, path_order, ranks_by
from .real import FOLDER

if TYPE_CHECKING:
    from plada_train import ImageSource, LoadedModel

LABELS = "tin64_labels_ANALYSIS_ONLY.npz"
COUNTS = (50, 200, 500, 2500, 5000)
CLUSTERS = 256
#: A teacher sees at most so many training images, drawn with seed 0.
TRAINED_ON = 1500
POLICIES = {"lowest": Policy(), "quota": Policy(safety_net=SafetyNet())}
_UNUSABLE = 128


def load() -> LoadedModel:
    """The experiment's teacher without classifier."""
    from plada_train import load_model

    size = int(SETTINGS["--input-size"][0])
    return load_model(SETTINGS["--teacher"][0], SETTINGS["--teacher-weights"][0], num_classes=0, input_size=size)


def features(
    model: LoadedModel, source: ImageSource, cache: Path, what: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """float32 (n, D); every image must be readable."""
    from plada_train import extract_features

    found = extract_features(model, source, what, cache=cache, device="cpu", description=model.arch)
    if (found.status >= _UNUSABLE).any():
        raise SystemExit(f"{source.spec}: {(found.status >= _UNUSABLE).sum()} images cannot be read")
    return found.values


def score(
    teacher: LoadedModel, pool: NDArray[np.float32], data: Path, cache: Path, name: str, folder: Path
) -> ScoreTable:
    """A linear teacher on the task's training images, and what it says of the pool."""
    from plada_train import Recipe, Targets, open_task, train_head

    task = open_task(f"npz:{find(data, TASKS[name])}", seed=0, name=name)
    train = np.sort(np.random.default_rng(0).permutation(task.positions("train"))[:TRAINED_ON])
    inputs = features(teacher, task.source, cache, train)
    head = train_head(inputs, Targets(task.labels[train], task.num_classes), recipe=Recipe.head(len(train), 0))
    columns = score_columns(head.logits(pool))
    columns["status"] = np.zeros(len(pool), np.uint8)
    provenance = Provenance("0" * 32, len(pool), task.num_classes, "0" * 64, "0" * 64, "float32")
    return write_table(folder, provenance, {"class_names": list(task.class_names)}, columns)


def selections(table: ScoreTable) -> Iterator[tuple[str, NDArray[np.uint16], NDArray[np.uint16]]]:
    """Name, indices in the shipped order and labels of every policy and count; one image per class at least."""
    for policy, rule in POLICIES.items():
        ranking = rank(table, rule)
        for count in COUNTS:
            kept = ranking.select(max(count, table.num_classes))
            yield f"{policy}-k{len(kept):04d}", kept.indices.astype(np.uint16), kept.labels


def write_pool(data: Path, seen: NDArray[np.float32]) -> None:
    """``pool.npz``: its size, and rank of every image and start of every group for both orders."""
    with np.load(find(data, LABELS)) as stored:
        wnid, number = stored["label"][: len(seen)], stored["file_number"][: len(seen)]
    folder_rank, folder_starts = ranks_by(wnid, number)
    centres, owner = cluster(seen, CLUSTERS)
    place = np.argsort(path_order(centres))
    clustered_rank, clustered_starts = ranks_by(place[owner], np.arange(len(seen)))
    np.savez_compressed(
        FOLDER / "pool.npz",
        **{
            "size": np.uint32(len(seen)),
            "folder-rank": folder_rank.astype(np.uint16),
            "folder-starts": folder_starts.astype(np.uint16),
            "clustered-rank": clustered_rank.astype(np.uint16),
            "clustered-starts": clustered_starts.astype(np.uint16),
        },
    )


def main() -> int:
    """Entry point of ``python -m benchmarks.size.make_real``."""
    from plada_train import open_source

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(".cache/experiment/cache"), help="features, kept and reused")
    args = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    pool = open_source("npz:" + ",".join(str(find(args.data, name)) for name in POOL))
    teacher = load()
    seen = features(teacher, pool, args.cache)
    write_pool(args.data, seen)
    for name in TASKS:
        with tempfile.TemporaryDirectory() as folder:
            table = score(teacher, seen, args.data, args.cache, name, Path(folder) / "table")
            arrays: dict[str, NDArray[np.generic]] = {"classes": np.uint16(table.num_classes)}
            for key, indices, labels in selections(table):
                arrays |= {f"{key}-indices": indices, f"{key}-labels": labels.astype(np.uint8)}
        np.savez_compressed(FOLDER / f"{name}.npz", **arrays)
        print(f"{name}: {(FOLDER / f'{name}.npz').stat().st_size:,} bytes", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
