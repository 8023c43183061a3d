"""The Rust port: its own tests, and its programs on a few files. Needs cargo; a Debian package is enough."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import plada_format as pf

ROOT = Path(__file__).resolve().parents[2]
PORT = ROOT / "ports" / "rust"
PROGRAMS = PORT / "target" / "release"


def _make(*targets: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CARGO_NET_OFFLINE": "true", "CARGO_TERM_COLOR": "never"}
    return subprocess.run(["make", "-C", str(PORT), *targets], capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def built() -> None:
    """The port's programs, built; skips where the tools are missing, which in CI is a failure."""
    missing = [tool for tool in ("cargo", "make", "cc") if shutil.which(tool) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"not installed: {', '.join(missing)} (Debian packages: cargo, make, gcc)")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    done = _make("all")
    assert done.returncode == 0, done.stderr[-3000:]


def _decode(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAMS / "plada-decode", *arguments], capture_output=True, text=True)


def _capabilities() -> dict[str, object]:
    done = subprocess.run([PROGRAMS / "worker", "--capabilities"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.slow
def test_own_tests(built: None) -> None:
    """All vectors with exact codes and digests, every cut, mutants with overflow checks; with and without features."""
    done = _make("test")
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert "test every_vector ... ok" in done.stdout
    assert "test mutants_of_every_vector ... ok" in done.stdout


@pytest.mark.slow
def test_clippy_is_silent(built: None) -> None:
    done = _make("lint")
    assert done.returncode == 0, done.stderr[-4000:]


def test_no_dependencies_and_no_unsafe_code() -> None:
    lock = (PORT / "Cargo.lock").read_text()
    assert "version = 3\n" in lock  # what cargo of Debian 12 reads
    assert lock.count("[[package]]") == 2 and "source" not in lock
    assert "#![forbid(unsafe_code)]" in (PORT / "src" / "lib.rs").read_text()
    for path in (PORT / "src").rglob("*.rs"):
        text = path.read_text()
        assert "extern crate" not in text and "alloc::" not in text, path


def test_capabilities(built: None) -> None:
    said = _capabilities()
    assert said["name"] == "rust" and said["adaptive"] is True
    if os.environ.get("CI"):
        assert said["zstd"] is True, "libzstd is not installed (Debian package: libzstd-dev)"


@pytest.mark.parametrize("index_codec", ["golomb", "rans", "adaptive", "adaptive-groups"])
def test_csv_is_the_content(built: None, tmp_path: Path, index_codec: str) -> None:
    rng = np.random.default_rng(7)
    indices = np.sort(rng.choice(5000, 300, replace=False)).astype(np.uint32)
    labels = rng.integers(0, 7, 300).astype(np.uint16)
    groups = np.arange(0, 5000, 77, dtype=np.uint32)
    file = tmp_path / "a.plada"
    label_codec = index_codec if index_codec.startswith("adaptive") else "huffman"
    content = {"indices": indices, "labels": labels, "pool_size": 5000, "num_classes": 7}
    file.write_bytes(pf.encode(**content, groups=groups, index_codec=index_codec, label_codec=label_codec))
    starts = tmp_path / "groups.txt"
    starts.write_text("".join(f"{start}\n" for start in groups))
    done = _decode("--pool-size", "5000", "--groups", str(starts), "csv", str(file))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "index,label"
    assert lines[1:] == [f"{i},{label}" for i, label in zip(indices, labels)]


def test_messages(built: None, tmp_path: Path) -> None:
    file = ROOT / "vectors" / "valid" / "index-golomb_sparse.plada"
    done = _decode("info", str(file))
    assert done.returncode == 0 and "index-golomb" in done.stdout and "right" in done.stdout
    done = _decode("--pool-size", "3", "info", str(file))
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "POOL_SIZE_MISMATCH" in done.stderr
    done = _decode("info", str(tmp_path / "none.plada"))
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "none.plada" in done.stderr
    done = _decode("--fingerprint", "xyz", "info", str(file))
    assert done.returncode == 2 and "32 hexadecimal digits" in done.stderr
    done = _decode()
    assert done.returncode == 2 and done.stderr.startswith("usage:")


def test_bench_prints_json(built: None) -> None:
    file = ROOT / "vectors" / "valid" / "index-golomb_sparse.plada"
    done = subprocess.run([PROGRAMS / "bench", file, "5"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["rounds"] == 5 and said["count"] > 0 and said["total_ms"] > 0
