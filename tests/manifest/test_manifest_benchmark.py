"""The benchmark runs, and says what its table promises."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["what"]: row for row in csv.DictReader(file)}


def test_small_run(tmp_path: Path) -> None:
    out = tmp_path / "results.csv"
    script = ROOT / "benchmarks/manifest/run.py"
    command = [sys.executable, str(script), "--images", "70000", "--folder", str(tmp_path), "--out", str(out)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    rows = rows_of(out)
    assert rows["join 1 % spread"]["note"] == "700 images in 2 of 2 blocks"
    assert float(rows["join 1 % in one run: read"]["value"]) < 0.95 * float(rows["join 1 % spread: read"]["value"])
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]


def test_shipped_results_hold_the_targets() -> None:
    rows = rows_of(ROOT / "benchmarks/manifest/results.csv")
    assert {row["images"] for row in rows.values()} == {"14197087"}
    assert float(rows["file"]["value"]) <= 600 and rows["file"]["unit"] == "MB"
    for step in ("build", "merge of 4 shards", "verify all", "join 1 % spread"):
        memory = rows[f"{step}: peak memory"]
        assert float(memory["value"]) <= 1024 and memory["unit"] == "MiB"
