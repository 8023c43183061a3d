"""Fixtures of the selection tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from score_tables import MakeTable, make_columns, make_provenance, make_task

from plada_select.scoretable import ScoreTable, write_table


@pytest.fixture
def make_table(tmp_path: Path) -> MakeTable:
    def make(
        pool_size: int = 3000,
        num_classes: int = 10,
        *,
        seed: int = 0,
        skew: float = 0.0,
        name: str = "table",
        edit: Callable[[dict[str, np.ndarray]], None] | None = None,
    ) -> ScoreTable:
        columns = make_columns(pool_size, num_classes, seed, skew)
        if edit is not None:
            edit(columns)
        return write_table(tmp_path / name, make_provenance(pool_size, num_classes), make_task(num_classes), columns)

    return make
