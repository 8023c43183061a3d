"""A small real world: 300 pool images, CIFAR-10, a frozen backbone with fixed random weights, a teacher on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DATA = Path(__file__).resolve().parents[1] / "data"
POOL = 300


@dataclass
class World:
    """Everything that a contest needs."""

    pool: Any
    task: Any
    table: Any
    manifest: Path
    backbone: Any
    pool_features: np.ndarray
    target: Any
    test: Any
    test_features: np.ndarray

    def student(self, **options: Any) -> Any:
        from plada_select.baselines import HeadStudent

        given: dict[str, Any] = {
            "class_names": self.task.class_names,
            "pool_features": self.pool_features,
            "test_features": self.test_features,
            "test_labels": self.test.labels,
            "recipe": quick,
            **options,
        }
        return HeadStudent(given.pop("backbone", self.backbone), **given)

    def contest(self, policy: Any = None, *, count: int = 40, **options: Any) -> Any:
        from plada_select import Policy, SafetyNet, select_payload
        from plada_select.baselines import Contest

        chosen = policy or Policy(safety_net=SafetyNet("0", "1"))
        outcome = select_payload(self.table, chosen, count=count)
        given: dict[str, Any] = {"seeds": (0, 1), "draws": 2, "target": self.target, **options}
        return Contest(given.pop("student", None) or self.student(), self.table, chosen, outcome.data, **given)


def quick(count: int, seed: int) -> Any:
    """A recipe of a few steps."""
    from plada_train import Recipe

    return Recipe(epochs=12, lr=3e-3, weight_decay=0.1, batch_size=32, seed=seed, keep="last", amp="off")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    import torch

    import plada_format as pf
    from plada_select.baselines import Target
    from plada_select.criteria import score_columns
    from plada_select.scoretable import COLUMNS, Provenance, write_table
    from plada_train import Recipe, SubsetSource, Targets, extract_features, load_model, open_source, open_task
    from plada_train import train_head as train

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("world")
    pool = SubsetSource(open_source(str(DATA / "pool_2k.npz")), np.arange(POOL))
    task = open_task(str(DATA / "cifar10_ci.npz"))
    torch.manual_seed(0)
    backbone = load_model("test_efficientnet", "none", num_classes=0, input_size=64)
    with torch.no_grad():  # fresh batch norm and random kernels already tell colours and edges apart
        for parameter in backbone.module.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    features = {
        name: extract_features(backbone, source, progress=False).values
        for name, source in (
            ("pool", pool),
            ("train", task.split("trainval").source),
            ("test", task.split("test").source),
        )
    }
    train_set, test = task.split("trainval"), task.split("test")
    teacher = train(features["train"], Targets(train_set.labels, 10), recipe=Recipe.head(len(train_set)))
    columns = {**score_columns(teacher.logits(features["pool"])), "status": np.zeros(POOL, np.uint8)}
    columns["status"][:3] = (1, 2, 132)  # grey, palette, undecodable
    manifest = folder / "pool.pladapool"
    with pf.ManifestBuilder(manifest, name="tiny pool") as builder:
        for i in range(POOL):
            builder.add(pool.key(i), pool.image_digest(i))
    provenance = Provenance(
        pool_fingerprint=pf.Manifest.open(manifest).fingerprint.hex(),
        pool_size=POOL,
        num_classes=10,
        teacher_digest="ab" * 32,
        preprocessing="cd" * 32,
        dtype="float32",
        batch_size=64,
        versions={"torch": "1"},
    )
    names = {
        "class_names": list(task.class_names),
        "preprocess": {"input_size": 64, "mean": [0.5] * 3, "std": [0.5] * 3},
        "teacher": "test_efficientnet",
        "teacher_digest": "ab" * 32,
    }
    table = write_table(folder / "table", provenance, names, {name: columns[name] for name in COLUMNS})
    target = Target(train_set, features["train"], train_set.labels)
    return World(pool, task, table, manifest, backbone, features["pool"], target, test, features["test"])
