"""Manifests of real pools: built, resumed, verified; damage found and named. Payloads joined, exported, trained on."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader

import plada_format as pf
import plada_train.pool as pool_module
from plada_format.errors import PoolMismatchError, UserError
from plada_train import (
    PayloadDataset,
    SubsetSource,
    build_manifest,
    export_csv,
    export_folder,
    export_parquet,
    open_source,
    open_task,
    resolve_keys,
    verify_pool,
)
from plada_train.sources import FolderSource


@pytest.fixture
def folder(tmp_path: Path, pool_images: list[bytes]) -> Path:
    root = tmp_path / "images"
    for number, data in enumerate(pool_images):
        path = root / f"g{number // 15}" / f"{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


@pytest.fixture
def manifest_path(folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "p.pladapool"
    build_manifest(open_source(str(folder)), path, name="test", progress=False)
    return path


@pytest.fixture
def payload(manifest_path: Path) -> bytes:
    with pf.Manifest.open(manifest_path) as manifest:
        return pf.encode(
            np.arange(0, 60, 3),
            np.arange(20) % 4,
            pool_size=60,
            num_classes=4,
            pool_fingerprint=manifest.fingerprint,
            class_names=["a", "b/c", "..", "dé"],
            weights=np.linspace(0.5, 2, 20),
            soft_labels=np.eye(4) * 0.9 + 0.025,
            metadata={"dirichlet_precision": "[1.5, 2, 2.5, 3]", "input": "32"},
        )


def test_manifest_is_what_a_plain_loop_gives(folder: Path, manifest_path: Path, tmp_path: Path) -> None:
    source = open_source(str(folder))
    with pf.ManifestBuilder(tmp_path / "plain", name="test") as builder:
        for index in range(len(source)):
            builder.add(source.key(index), source.image_digest(index), source.group(index))
    assert manifest_path.read_bytes() == (tmp_path / "plain").read_bytes()
    with pf.Manifest.open(manifest_path) as manifest:
        assert manifest.group_names == ["g0", "g1", "g2", "g3"] and len(manifest) == 60
    assert not list(tmp_path.glob("*.parts"))


def test_build_options(folder: Path, tmp_path: Path) -> None:
    source = open_source(str(folder))
    found = build_manifest(source, tmp_path / "x", name="n", groups=False, decode=True, progress=False)
    assert (
        found["count"] == 60
        and found["status"] == {"ok": 60}
        and found["bytes"] == sum(len(source.read(index)) for index in range(60))
    )
    with pf.Manifest.open(tmp_path / "x") as manifest:
        assert not manifest.has_groups and manifest.fingerprint.hex() == found["fingerprint"]
    with pytest.raises(UserError, match="exists"):
        build_manifest(source, tmp_path / "x", name="n", progress=False)
    build_manifest(source, tmp_path / "x", name="n", overwrite=True, progress=False)


def test_unreadable_image_stops_the_build_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    source = open_source(str(folder))
    (folder / "g1" / "020.jpg").unlink()
    with pytest.raises(UserError, match=r"image 20 \(g1/020\.jpg\) cannot be read"):
        build_manifest(source, tmp_path / "x", name="n", progress=False)
    assert not (tmp_path / "x").exists()


SCRIPT = """
import sys, time
import plada_train.pool as pool
pool.BLOCK_ENTRIES = 65536
from plada_train import build_manifest, open_source, SubsetSource
from plada_train.sources import ImageSource
import numpy as np

class Many(ImageSource):
    '''Real images under many names, so that there is more than one block.'''
    spec, has_groups = "many", True
    def __init__(self, inner): self.inner = inner
    def __len__(self): return 65536 + 40000
    def key(self, index): return f"{index:09d}"
    def group(self, index): return str(index // 50000)
    def read(self, index): return self.inner.read(index % 2000)

build_manifest(Many(open_source(sys.argv[1])), sys.argv[2], name="many", progress=False)
"""


@pytest.mark.slow
def test_build_killed_and_resumed(pool_spec: str, tmp_path: Path) -> None:
    def start(name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", SCRIPT, pool_spec, str(tmp_path / name)])

    assert start("whole").wait(400) == 0
    job = start("killed")
    parts = tmp_path / "killed.parts"
    deadline = time.monotonic() + 200
    while not list(parts.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    assert not (tmp_path / "killed").exists()
    stamps = {path: path.stat().st_mtime_ns for path in parts.glob("*.json")}
    assert stamps
    job = start("killed")
    job.wait(400)
    assert (tmp_path / "killed").read_bytes() == (tmp_path / "whole").read_bytes() and not parts.exists()


def test_parts_of_another_source_are_not_used(folder: Path, tmp_path: Path, pool_spec: str) -> None:
    target = tmp_path / "x"
    parts = pool_module._Parts(target, SubsetSource(open_source(pool_spec), range(60)), "n", True, False)

    class NoBar:
        def update(self, count: int) -> None: ...

    parts.build(0, 1, NoBar())
    assert parts.done(0)
    build_manifest(open_source(str(folder)), target, name="n", progress=False)
    with pf.Manifest.open(target) as manifest:
        assert manifest.key(0) == "g0/000.jpg"


def test_parts_are_made_anew_where_one_name_differs(pool_spec: str, tmp_path: Path) -> None:
    inner = open_source(pool_spec)

    class Named(type(inner)):  # type: ignore[misc]
        odd = "x"

        def key(self, index: int) -> str:
            return self.odd if index == 777 else super().key(index)

    class NoBar:
        def update(self, count: int) -> None: ...

    source = Named(pool_spec.removeprefix("npz:"))
    first = pool_module._Parts(tmp_path / "p", source, "n", False, False)
    assert first.build(0, 1, NoBar()) == first.done(0)
    assert pool_module._Parts(tmp_path / "p", source, "n", False, False).done(0) == first.done(0)
    Named.odd = "y"
    assert pool_module._Parts(tmp_path / "p", source, "n", False, False).done(0) is None


def test_whole_pool_is_as_it_says(folder: Path, manifest_path: Path) -> None:
    with pf.Manifest.open(manifest_path) as manifest:
        report = verify_pool(open_source(str(folder)), manifest, progress=False, decode=True)
    assert (
        report.ok
        and report.checked == 60
        and report.status == {"ok": 60}
        and "all as the manifest says" in report.summary()
    )


def test_damage_is_found_and_told(folder: Path, manifest_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "g0" / "003.jpg").unlink()
    (folder / "g2" / "030.jpg").unlink()
    changed = folder / "g1" / "017.jpg"
    changed.write_bytes(changed.read_bytes()[:-1] + b"!")
    (folder / "g0" / "zzz.jpg").write_bytes(b"a new one moves all positions")
    source = open_source(str(folder))
    (folder / "g3" / "055.jpg").unlink()  # after listing: it exists for the source, and cannot be read
    with pf.Manifest.open(manifest_path) as manifest:
        report = verify_pool(source, manifest, progress=False)
        assert (
            report.missing.tolist() == [3, 30]
            and report.changed.tolist() == [17]
            and report.unreadable.tolist() == [55]
        )
        assert report.summary() == "2 missing, 1 changed, 1 unreadable of 60 images checked"
        assert report.bad.tolist() == [3, 17, 30, 55] and not report.ok
        some = verify_pool(source, manifest, np.array([2, 3, 17]), progress=False)
        assert some.checked == 3 and some.bad.tolist() == [3, 17]
        assert resolve_keys(source, manifest, np.array([0, 3, 20])).tolist() == [0, -1, 20]


def test_renamed_packed_file_is_compared_by_position(tmp_path: Path, pool_images: list[bytes]) -> None:
    offsets = np.cumsum([0] + [len(data) for data in pool_images[:9]])
    data = np.frombuffer(b"".join(pool_images[:9]), np.uint8)
    np.savez(tmp_path / "old.npz", data=data, offsets=offsets)
    build_manifest(open_source(str(tmp_path / "old.npz")), tmp_path / "m", name="n", progress=False)
    (tmp_path / "old.npz").rename(tmp_path / "new.npz")
    with pf.Manifest.open(tmp_path / "m") as manifest:
        report = verify_pool(open_source(str(tmp_path / "new.npz")), manifest, progress=False)
        assert report.ok and report.by_position
        shorter = offsets[:-1]
        np.savez(tmp_path / "short.npz", data=data[: shorter[-1]], offsets=shorter)
        assert len(verify_pool(open_source(str(tmp_path / "short.npz")), manifest, progress=False).missing) == 9


def test_verify_resumes(folder: Path, manifest_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "BLOCK_ENTRIES", 20)
    (folder / "g0" / "003.jpg").write_bytes(b"x")
    source = open_source(str(folder))
    state = tmp_path / "state.json"
    reads: list[int] = []

    class Counting(FolderSource):
        def __init__(self) -> None:
            self.__dict__ = source.__dict__

        limit = 45

        def read(self, index: int) -> bytes:
            reads.append(index)
            if index >= self.limit:
                raise KeyboardInterrupt
            return super().read(index)

    with pf.Manifest.open(manifest_path) as manifest:
        with pytest.raises(KeyboardInterrupt):
            verify_pool(Counting(), manifest, threads=1, progress=False, state_file=state)
        assert state.exists()
        reads.clear()
        Counting.limit = 100
        report = verify_pool(Counting(), manifest, threads=1, progress=False, state_file=state)
        assert min(reads) == 40 and report.changed.tolist() == [3] and report.checked == 60
        assert not state.exists()


def test_verify_needs_no_place_for_its_state(folder: Path, manifest_path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pf.Manifest.open(manifest_path) as manifest:
        state = tmp_path / "file" / "state.json"
        assert verify_pool(open_source(str(folder)), manifest, progress=False, state_file=state).ok


# ---- payload + pool


def test_dataset(payload: bytes, folder: Path, manifest_path: Path) -> None:
    data = PayloadDataset(payload, str(folder), manifest_path, return_weight=True)
    assert (
        len(data) == 20
        and data.class_names == ("a", "b/c", "..", "dé")
        and data.indices.tolist() == list(range(0, 60, 3))
    )
    image, label, weight = data[5]
    assert image.mode == "RGB" and image.size == (64, 64) and label == 1 and weight == pytest.approx(data.weights[5])
    assert data.images.source.key(5) == "g1/015.jpg"
    with pytest.raises(IndexError):
        data[20]
    assert data[-1][1] == data[19][1] and "20 images" in repr(data)


def test_dataset_feeds_a_torch_loader(payload: bytes, folder: Path, manifest_path: Path) -> None:
    data = PayloadDataset(
        payload, str(folder), manifest_path, transform=lambda image: torch.from_numpy(np.asarray(image).copy())
    )
    batches = list(DataLoader(data, batch_size=8))
    assert [tuple(images.shape) for images, _ in batches] == [(8, 64, 64, 3), (8, 64, 64, 3), (4, 64, 64, 3)]
    assert torch.cat([labels for _, labels in batches]).tolist() == (np.arange(20) % 4).tolist()


def test_targets_from_the_payload(payload: bytes, folder: Path, manifest_path: Path) -> None:
    data = PayloadDataset(payload, str(folder), manifest_path)
    hard = data.targets()
    assert hard.mode == "hard" and hard.weights is not None and hard.soft_labels is None
    assert data.targets(use_weights=False).weights is None
    soft = data.targets("dirichlet")
    assert soft.precision.tolist() == [1.5, 2, 2.5, 3] and np.allclose(soft.soft_labels.sum(1), 1)
    bare = pf.recode(payload, drop=["soft labels"])
    with pytest.raises(UserError, match="soft labels"):
        PayloadDataset(bare, str(folder), manifest_path).targets("average")


def test_missing_images_fail_or_drop(payload: bytes, folder: Path, manifest_path: Path) -> None:
    (folder / "g0" / "006.jpg").unlink()
    (folder / "g0" / "009.jpg").write_bytes(b"other")
    (folder / "g0" / "001.jpg").unlink()  # not one of the payload's
    with pytest.raises(
        UserError, match=r"1 missing, 1 changed of 20 images checked, the first is image 6 \(g0/006\.jpg\)"
    ):
        PayloadDataset(payload, str(folder), manifest_path)
    data = PayloadDataset(payload, str(folder), manifest_path, missing="drop")
    assert len(data) == 18 and data.report.bad.tolist() == [6, 9] and len(data.weights) == 18
    assert [data.images.source.key(row) for row in range(3)] == ["g0/000.jpg", "g0/003.jpg", "g0/012.jpg"]
    assert data.images.labels[:3].tolist() == [0, 1, 0]
    trusting = PayloadDataset(payload, str(folder), manifest_path, missing="drop", check="none")
    assert len(trusting) == 19


def test_nothing_left_is_an_error(payload: bytes, folder: Path, manifest_path: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy(folder / "g0" / "000.jpg", tmp_path / "other" / "q.jpg")
    with pytest.raises(UserError, match="none of the 20 images"):
        PayloadDataset(payload, str(tmp_path / "other"), manifest_path, missing="drop")


def test_payload_of_another_pool(payload: bytes, folder: Path, manifest_path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pladapool"
    (folder / "g0" / "000.jpg").write_bytes(b"changed")
    build_manifest(open_source(str(folder)), other, name="other", progress=False)
    with pytest.raises(PoolMismatchError):
        PayloadDataset(payload, str(folder), other)
    anonymous = pf.recode(payload, pool_fingerprint=None)
    with pytest.raises(PoolMismatchError):
        PayloadDataset(anonymous, str(folder), manifest_path)
    assert len(PayloadDataset(anonymous, str(folder), manifest_path, allow_unidentified=True, missing="drop")) == 19


def test_undecodable_image_of_the_pool_is_named(tmp_path: Path, pool_images: list[bytes]) -> None:
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / "1.jpg").write_bytes(pool_images[0][:300])
    build_manifest(open_source(str(tmp_path / "i")), tmp_path / "m", name="n", progress=False)
    with pf.Manifest.open(tmp_path / "m") as manifest:
        data = pf.encode([0], [0], pool_size=1, num_classes=1, pool_fingerprint=manifest.fingerprint)
        with pytest.raises(UserError, match=r"image 0 of the pool \(1\.jpg\) is truncated"):
            PayloadDataset(data, str(tmp_path / "i"), manifest)[0]


def test_export_parquet_is_read_back_as_a_task(
    payload: bytes, folder: Path, manifest_path: Path, tmp_path: Path
) -> None:
    data = PayloadDataset(payload, str(folder), manifest_path)
    path = tmp_path / "train.parquet"
    assert export_parquet(data, path, progress=False) == 20
    with pytest.raises(UserError, match="exists"):
        export_parquet(data, path, progress=False)
    task = open_task(str(path), val_fraction=0)
    assert task.class_names == data.class_names and (task.labels == data.images.labels).all()
    assert all(task.source.read(row) == data.images.source.read(row) for row in range(20))
    table = pq.read_table(path)
    assert np.allclose(table["weight"].to_numpy(), data.weights)
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"} and features["label"]["names"] == list(data.class_names)


def test_export_csv_and_folder(payload: bytes, folder: Path, manifest_path: Path, tmp_path: Path) -> None:
    data = PayloadDataset(payload, str(folder), manifest_path)
    assert export_csv(data, tmp_path / "l.csv") == 20
    rows = list(csv.DictReader((tmp_path / "l.csv").open()))
    assert [int(row["label"]) for row in rows] == data.images.labels.tolist() and rows[3]["class"] == "dé"
    assert all(Path(row["file"]).read_bytes() == data.images.source.read(number) for number, row in enumerate(rows))
    out = tmp_path / "out"
    assert export_folder(data, out, progress=False) == 20
    assert sorted(path.name for path in out.iterdir()) == ["a", "b_c", "class_2", "dé"]  # ".." must not escape
    task = open_task(f"folder:{out}", val_fraction=0)
    assert sorted(task.source.read(row) for row in range(20)) == sorted(
        data.images.source.read(row) for row in range(20)
    )
    with pytest.raises(UserError, match="exists"):
        export_folder(data, out, progress=False)
    export_folder(data, out, overwrite=True, progress=False)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_failed_export_leaves_nothing(payload: bytes, folder: Path, manifest_path: Path, tmp_path: Path) -> None:
    data = PayloadDataset(payload, str(folder), manifest_path)
    (folder / "g3" / "057.jpg").unlink()
    before = set(tmp_path.rglob("*"))
    for export, name in ((export_parquet, "x.parquet"), (export_folder, "x")):
        with pytest.raises(OSError):
            export(data, tmp_path / name, progress=False)
    assert set(tmp_path.rglob("*")) == before
