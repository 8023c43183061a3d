"""The code in docs/trainers.md runs as it stands, as far as its libraries are installed here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import plada_format as pf
from plada_format.cli.main import main
from plada_train import open_source

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "trainers.md").read_text(encoding="utf-8"), re.S | re.M)


def test_every_block_runs(pool_images: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pool").mkdir()
    for number in range(12):
        (tmp_path / "pool" / f"{number:02d}.jpg").write_bytes(pool_images[number])
    assert main(["pool", "build", "folder:pool", "pool.pladapool", "--quiet"]) == 0
    with pf.Manifest.open("pool.pladapool") as manifest:
        pf.write("task.plada", range(0, 12, 2), [0, 1, 2] * 2, pool_size=12, num_classes=3,
                 pool_fingerprint=manifest.fingerprint, class_names=["a", "b", "c"])  # fmt: skip
    pool = ["--pool", "folder:pool", "--manifest", "pool.pladapool"]
    for target in ("train.parquet", "train", "train.csv"):
        assert main(["export", "task.plada", target, *pool, "--quiet"]) == 0
    names: dict[str, object] = {}
    ran, absent = 0, set()
    for block in BLOCKS:
        assert len([line for line in block.splitlines() if not line.startswith("import")]) <= 3
        try:
            exec(compile(block, "docs/trainers.md", "exec"), names)
            ran += 1
        except ModuleNotFoundError as missing:
            absent.add(missing.name)
    assert absent <= {"sklearn", "datasets", "keras"} and ran >= 2
    assert names["images"].shape == (6, 32, 32, 3)  # type: ignore[attr-defined]
    assert names["labels"].tolist() == [0, 1, 2, 0, 1, 2]  # type: ignore[attr-defined]
    assert len(list((tmp_path / "train").rglob("*.jpg"))) == 6
    assert [open_source("parquet:train.parquet").read(row) for row in range(6)] == pool_images[0:12:2]
    if "train" in names:
        assert names["train"][3]["label"] == 0  # type: ignore[index]
