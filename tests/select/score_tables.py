"""Score tables without a teacher: random logits, as a scorer would have written them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from plada_select.criteria import score_columns
from plada_select.scoretable import COLUMNS, Provenance, ScoreTable

MakeTable = Callable[..., ScoreTable]
FINGERPRINT = bytes(range(16))


def make_provenance(pool_size: int, num_classes: int, **changes: Any) -> Provenance:
    values: dict[str, Any] = {
        "pool_fingerprint": FINGERPRINT.hex(),
        "pool_size": pool_size,
        "num_classes": num_classes,
        "teacher_digest": "ab" * 32,
        "preprocessing": "cd" * 32,
        "dtype": "float32",
        "batch_size": 64,
        "versions": {"torch": "1", "timm": "1"},
    }
    return Provenance(**{**values, **changes})


def make_columns(pool_size: int, num_classes: int, seed: int = 0, skew: float = 0.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(pool_size, num_classes)) * 3 - skew * np.arange(num_classes)
    columns = {**score_columns(logits), "status": np.zeros(pool_size, np.uint8)}
    return {name: columns[name] for name in COLUMNS}


def make_task(num_classes: int) -> dict[str, Any]:
    return {
        "class_names": [f"class {c}" for c in range(num_classes)],
        "preprocess": {"input_size": 128, "mean": [0.5] * 3, "std": [0.5] * 3},
        "teacher": "test_resnet",
        "teacher_digest": "ab" * 32,
    }
