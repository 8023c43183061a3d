"""The command line as users run it: real processes, real files."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """The environment of the tests, with this source tree importable and no setting that changes plada's behaviour."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PLADA_")}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}


@pytest.fixture(scope="session")
def plada(environment: dict[str, str]) -> Run:
    """Run ``plada ARGS`` and return what came of it. A traceback is never acceptable, nor an error of several lines."""

    def run(
        *args: object,
        stdin: bytes = b"",
        cwd: Path | None = None,
        code: int | None = 0,
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "plada_format.cli.main", *map(str, args)]
        done = subprocess.run(
            command, input=stdin, capture_output=True, cwd=cwd, env=environment | (env or {}), timeout=120
        )
        errors = done.stderr.decode()
        assert "Traceback" not in errors, errors
        assert "Exception ignored" not in errors, errors
        if code is not None:
            assert done.returncode == code, (done.returncode, errors)
        if code and "verify" not in args:
            assert errors.startswith("plada: error: "), errors
            assert errors.count("\n") == 1, errors
        return done

    return run


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory, plada: Run) -> Path:
    """A folder with a table (kept.csv), class names, a pool manifest and payloads made from them. Read only."""
    folder = tmp_path_factory.mktemp("samples")
    rng = np.random.default_rng(7)
    index = np.sort(rng.choice(1000, 60, replace=False))
    label = rng.integers(0, 3, 60)
    weight = np.exp2(rng.integers(-16, 16, 60) / 16)
    rows = [f"{i},{c},{w!r}" for i, c, w in zip(index.tolist(), label.tolist(), weight.tolist())]
    (folder / "kept.csv").write_text("index,label,weight\n" + "\n".join(rows) + "\n")
    (folder / "plain.csv").write_text("index,label\n" + "\n".join(row.rpartition(",")[0] for row in rows) + "\n")
    (folder / "names.txt").write_text("cat\ndog, large\nbird ü\n", encoding="utf-8")
    build_pool(folder / "pool.pladapool", 1000, "one")
    build_pool(folder / "other.pladapool", 1000, "two")
    plada("encode", "plain.csv", "plain.plada", "--pool-size", 1000, "--num-classes", 3, cwd=folder)
    plada(
        *("encode", "kept.csv", "full.plada", "--manifest", "pool.pladapool", "--class-names", "names.txt"),
        *("--metadata", "input_size=224", "--metadata", "task=pets=animals"),
        cwd=folder,
    )
    return folder


def build_pool(path: Path, size: int, seed: str) -> None:
    """A pool manifest of ``size`` made-up images in ten groups."""
    from plada_format import ManifestBuilder

    with ManifestBuilder(path, name=f"pool {seed}") as builder:
        for number in range(size):
            key = f"group{number * 10 // size}/image {number:06}.jpg"
            builder.add(key, hashlib.sha256(f"{seed}{number}".encode()).digest(), key.partition("/")[0])
