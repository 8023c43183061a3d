"""Building: in shards, with duplicates, interrupted, into places that are taken."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

import plada_format.atomic
from plada_format.errors import ChecksumError, InvalidInputError, UserError
from plada_format.manifest import BLOCK_ENTRIES, MAX_GROUPS, Manifest, ManifestBuilder, merge_manifests
from plada_format.manifest import text as text_module
from plada_format.manifest import unique as unique_module

TOTAL = 2 * BLOCK_ENTRIES + 321


def entry(place: int) -> tuple[str, bytes, str]:
    key = f"folder{place // 50_000}/{place}.jpg"
    return key, hashlib.sha256(key.encode()).digest(), key.split("/")[0]


def build_range(task: tuple[Path, int, int]) -> Path:
    path, first, last = task
    with ManifestBuilder(path, name="sharded") as builder:
        for place in range(first, last):
            builder.add(*entry(place))
    return path


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_range((tmp_path_factory.mktemp("single") / "one.pladapool", 0, TOTAL))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Each block by a process of its own, with another seed of Python's string hash."""
    folder = tmp_path_factory.mktemp("shards")
    edges = [0, BLOCK_ENTRIES, 2 * BLOCK_ENTRIES, TOTAL]
    tasks = [(folder / f"{number}.pladapool", edges[number], edges[number + 1]) for number in range(3)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(build_range, tasks))


def test_shards_give_the_single_build(tmp_path: Path, single: Path, shards: list[Path]) -> None:
    whole = tmp_path / "whole.pladapool"
    fingerprint = merge_manifests(whole, shards)
    assert whole.read_bytes() == single.read_bytes()
    with Manifest.open(single) as manifest:
        assert manifest.fingerprint == fingerprint
        # a group that spans shards is one run
        assert manifest.group_names == ["folder0", "folder1", "folder2"]
    # merging in steps gives the same bytes, too
    merge_manifests(tmp_path / "half.pladapool", shards[:2])
    merge_manifests(whole, [tmp_path / "half.pladapool", shards[2]], overwrite=True)
    assert whole.read_bytes() == single.read_bytes()


def test_merge_refuses(tmp_path: Path, shards: list[Path]) -> None:
    out = tmp_path / "out.pladapool"
    with pytest.raises(UserError, match="no manifests"):
        merge_manifests(out, [])
    with pytest.raises(InvalidInputError, match="no multiple of 65536"):
        merge_manifests(out, [shards[2], shards[0]])
    with pytest.raises(InvalidInputError, match=f"images 0 and {BLOCK_ENTRIES} have the same key 'folder0/0.jpg'"):
        merge_manifests(out, [shards[0], shards[0]])
    with ManifestBuilder(tmp_path / "named.pladapool", name="other") as builder:
        builder.add("x", bytes(32), "g")
    with pytest.raises(UserError, match="different pool names"):
        merge_manifests(out, [shards[0], tmp_path / "named.pladapool"])
    merge_manifests(out, [shards[0], tmp_path / "named.pladapool"], name="both")
    with Manifest.open(out) as manifest:
        assert (manifest.name, len(manifest)) == ("both", BLOCK_ENTRIES + 1)
    with ManifestBuilder(tmp_path / "bare.pladapool", name="sharded") as builder:
        builder.add("x", bytes(32))
    with pytest.raises(UserError, match=r"has groups and .* has none"):
        merge_manifests(tmp_path / "c.pladapool", [shards[0], tmp_path / "bare.pladapool"])
    data = bytearray(shards[2].read_bytes())
    data[-1] ^= 1
    (tmp_path / "damaged.pladapool").write_bytes(data)
    with pytest.raises(ChecksumError, match="images 0 to 320"):
        merge_manifests(tmp_path / "c.pladapool", [shards[0], tmp_path / "damaged.pladapool"])
    assert not (tmp_path / "c.pladapool").exists()


def test_duplicate_in_one_block(tmp_path: Path) -> None:
    builder = ManifestBuilder(tmp_path / "a.pladapool", name="a")
    for key in ("x", "y", "z", "y", "x"):
        builder.add(key, bytes(32))
    with pytest.raises(InvalidInputError, match="images 1 and 3 have the same key 'y'"):
        builder.finish()
    assert list(tmp_path.iterdir()) == []


def test_duplicate_far_apart(tmp_path: Path) -> None:
    builder = ManifestBuilder(tmp_path / "a.pladapool", name="a")
    for place in (*range(TOTAL), 7, 6):
        builder.add(*entry(place))
    with pytest.raises(InvalidInputError, match=f"images 7 and {TOTAL} have the same key 'folder0/7.jpg'"):
        builder.finish()
    assert list(tmp_path.iterdir()) == []


def test_equal_hashes_are_no_duplicates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a hash of three values every key collides, and only true duplicates are refused."""
    names = [f"{place}".encode() for place in range(60)]
    hashes = [unique_module.np.array([int(name) % 3 for name in names], "int64")]
    assert unique_module.first_duplicate(hashes, names.__getitem__) is None
    names[50] = names[14]  # same residue, so same hash
    assert unique_module.first_duplicate(hashes, names.__getitem__) == (14, 50)
    assert unique_module.first_duplicate([], names.__getitem__) is None


def test_too_long_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than 2^25 bytes of keys in a block: 65,536 keys of 511 bytes just fit."""
    with ManifestBuilder(tmp_path / "a.pladapool", name="a") as builder:
        for place in range(BLOCK_ENTRIES):
            builder.add(f"{place:0511d}", bytes(32))
    with Manifest.open(tmp_path / "a.pladapool") as manifest:
        manifest.verify_blocks()
        assert manifest.key(BLOCK_ENTRIES - 1) == f"{BLOCK_ENTRIES - 1:0511d}"
    with ManifestBuilder(tmp_path / "b.pladapool", name="b") as builder:
        for place in range(BLOCK_ENTRIES - 1):
            builder.add(f"{place:0511d}", bytes(32))
        with pytest.raises(InvalidInputError, match="take more than 33554432 bytes: shorten them"):
            builder.add(f"{BLOCK_ENTRIES:0512d}", bytes(32))
        builder.add("short", bytes(32))


def test_too_many_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_GROUPS == 2**22
    monkeypatch.setattr("plada_format.manifest.writer.MAX_GROUPS", 3)
    with ManifestBuilder(tmp_path / "a.pladapool", name="a") as builder:
        for place in range(3):
            builder.add(str(place), bytes(32), str(place % 2))
        with pytest.raises(InvalidInputError, match=r"at image 3: order the pool by group"):
            builder.add("3", bytes(32), "1")
        builder.add("4", bytes(32), "0")


def test_refuses_to_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "a.pladapool"
    path.write_bytes(b"mine")
    with pytest.raises(UserError, match="--force"):
        ManifestBuilder(path, name="a")
    with ManifestBuilder(path, name="a", overwrite=True) as builder:
        builder.add("x", bytes(32))
    with Manifest.open(path) as manifest:
        assert len(manifest) == 1
    with pytest.raises(FileNotFoundError):
        ManifestBuilder(tmp_path / "missing" / "a.pladapool", name="a")


def test_exception_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), ManifestBuilder(tmp_path / "a.pladapool", name="a") as builder:
        builder.add("x", bytes(32))
        raise KeyError("caller's own")
    with pytest.raises(InvalidInputError, match="given up"):
        builder.finish()
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pladapool"
    path.write_bytes(b"old")

    def fail(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"), ManifestBuilder(path, name="a", overwrite=True) as builder:
        builder.add("x", bytes(32))
        monkeypatch.setattr(plada_format.atomic.os, "fsync", fail)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.pladapool", b"old")]


KILLED = """
import sys
from plada_format.manifest import ManifestBuilder
with ManifestBuilder(sys.argv[1], name="killed") as builder:
    for place in range(100_000_000):
        builder.add(f"{place}.jpg", bytes(32))
        if place == 150_000:
            print("under way", flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_kill_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.pladapool"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None and process.stdout.readline() == b"under way\n"
    time.sleep(0.05)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert list(tmp_path.iterdir()) == []
    with ManifestBuilder(path, name="again") as builder:
        builder.add("x", bytes(32))
    assert [file.name for file in tmp_path.iterdir()] == ["a.pladapool"]


def test_same_bytes_twice_and_level_is_fixed(tmp_path: Path, single: Path) -> None:
    assert build_range((tmp_path / "b.pladapool", 0, TOTAL)).read_bytes() == single.read_bytes()
    assert text_module.LEVEL == 6
