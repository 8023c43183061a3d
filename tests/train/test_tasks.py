"""Labelled datasets: three layouts of one dataset are the same; the validation split is stratified and stable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_format.errors import UserError
from plada_train import LabelledImages, Task, open_task
from plada_train.sources import stratified_holdout

SOME = range(510, 610)  # the last training and the first test images


def rewrite(task: Task, folder: Path) -> tuple[Path, Path]:
    """Some images of a task as class folders and as Hugging Face Parquet."""
    names = ["train", "test", "validation"]
    rows: dict[str, list[tuple[bytes, int]]] = {name: [] for name in names}
    for index in SOME:
        split, label = names[task.split_of[index]], int(task.labels[index])
        data = task.source.read(index)
        rows[split].append((data, label))
        path = folder / "folders" / split / task.class_names[label] / f"{index:05d}.webp"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "hf").mkdir()
    features = {"label": {"names": list(task.class_names), "_type": "ClassLabel"}}
    for split, pairs in rows.items():
        if pairs:
            table = pa.table(
                {"img": [{"bytes": data, "path": None} for data, _ in pairs], "label": [label for _, label in pairs]}
            )
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
            pq.write_table(table, folder / "hf" / f"{split}-00000-of-00001.parquet")
    return folder / "folders", folder / "hf"


def contents(task: Task, split: str) -> set[tuple[bytes, str]]:
    images = task.split(split)
    return {(images.source.read(row), task.class_names[images.labels[row]]) for row in range(len(images))}


def test_three_layouts_are_one_dataset(cifar_spec: str, tmp_path: Path) -> None:
    packed = open_task(cifar_spec, val_fraction=0)
    folders, parquet = rewrite(packed, tmp_path)
    others = [open_task(str(folders), val_fraction=0), open_task(str(parquet), val_fraction=0)]
    for other in others:
        assert other.class_names == packed.class_names
        for name, split in (("train", 0), ("test", 1)):
            wanted = {
                (packed.source.read(index), packed.class_names[packed.labels[index]])
                for index in SOME
                if packed.split_of[index] == split
            }
            assert contents(other, name) == wanted


def test_class_folders_alone_are_all_training(cifar_spec: str, tmp_path: Path) -> None:
    folders, _ = rewrite(open_task(cifar_spec, val_fraction=0), tmp_path)
    task = open_task(f"folder:{folders / 'train'}", val_fraction=0)
    assert set(task.split_of) == {0} and task.num_classes == len(list((folders / "train").iterdir()))


def test_given_validation_split_is_kept(cifar_spec: str, tmp_path: Path) -> None:
    folders, _ = rewrite(open_task(cifar_spec, val_fraction=0), tmp_path)
    first = sorted((folders / "train").rglob("*.webp"))[0]
    target = folders / "val" / first.parent.name / first.name
    target.parent.mkdir(parents=True)
    first.rename(target)
    assert len(open_task(str(folders)).split("val")) == 1


def test_split_is_stratified_and_disjoint(cifar_spec: str) -> None:
    task = open_task(cifar_spec, val_fraction=0.25)
    assert np.bincount(task.split("val").labels).tolist() == [14] * 10
    assert np.bincount(task.split("train").labels).tolist() == [42] * 10
    parts = [set(task.positions(name).tolist()) for name in ("train", "val", "test")]
    assert set.union(*parts) == set(range(len(task.source))) and sum(map(len, parts)) == len(task.source)
    assert set(task.positions("trainval").tolist()) == parts[0] | parts[1]
    again = open_task(cifar_spec, val_fraction=0.25)
    assert (again.split_of == task.split_of).all()
    assert (open_task(cifar_spec, val_fraction=0.25, seed=1).split_of != task.split_of).any()


def test_holdout_is_fixed_for_all_time() -> None:
    """The split is part of published numbers: it must not change with versions of anything."""
    assert stratified_holdout(np.arange(20) % 2, 0.3, seed=0).tolist() == HOLDOUT


HOLDOUT = [0, 8, 9, 13, 15, 16]


@given(st.lists(st.integers(0, 4), max_size=60), st.floats(0.05, 0.9), st.integers(0, 3))
def test_holdout_properties(labels: list[int], fraction: float, seed: int) -> None:
    array = np.array(labels, np.int64)
    held = stratified_holdout(array, fraction, seed)
    assert (np.diff(held) > 0).all()
    for label in range(5):
        total, out = int((array == label).sum()), int((array[held] == label).sum())
        if total < 2:
            assert out == 0
        else:
            assert 1 <= out < total and abs(out - fraction * total) <= 1


def test_bad_tasks(tmp_path: Path, pool_spec: str, cifar_spec: str) -> None:
    with pytest.raises(UserError, match="labels"):
        open_task(pool_spec)
    with pytest.raises(UserError, match="split 'tset'"):
        open_task(cifar_spec).split("tset")
    with pytest.raises(UserError, match="share"):
        open_task(cifar_spec, val_fraction=1.0)
    with pytest.raises(UserError, match="tar"):
        open_task("tar:x.tar")
    data, offsets = np.zeros(4, np.uint8), np.array([0, 2, 4])
    for extra, match in (
        ({"labels": np.array([0])}, "one integer for each"),
        ({"labels": np.array([0, 3]), "names": np.array(["a", "b"])}, "only 2 class names"),
        ({"labels": np.array([-1, 0])}, "negative"),
        ({"labels": np.array([0, 1]), "names": np.array(["a", "a"])}, "same name"),
        ({"labels": np.array([0, 1]), "split": np.array([1, 1])}, "no training image"),
        ({"labels": np.array([0, 1]), "split": np.array([0, 9])}, "'split' must be"),
    ):
        np.savez(tmp_path / "x.npz", data=data, offsets=offsets, **extra)
        with pytest.raises(UserError, match=match):
            open_task(str(tmp_path / "x.npz"))


def test_empty_split_is_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", data=np.zeros(2, np.uint8), offsets=np.array([0, 1, 2]), labels=np.array([0, 1]))
    task = open_task(str(tmp_path / "x.npz"))  # one image per class: nothing can be held out
    for split in ("val", "test"):
        with pytest.raises(UserError, match="empty"):
            task.split(split)
    assert task.class_names == ("class 0", "class 1")


def test_parquet_labels_of_other_kinds(tmp_path: Path) -> None:
    """Text labels become sorted classes; class names may be a mapping; a split needs no particular file name."""
    image = pa.array([{"bytes": b"x", "path": None}] * 3)
    pq.write_table(pa.table({"image": image, "label": ["dog", "ant", "dog"]}), tmp_path / "some.parquet")
    task = open_task(str(tmp_path / "some.parquet"), val_fraction=0)
    assert task.class_names == ("ant", "dog") and task.labels.tolist() == [1, 0, 1] and set(task.split_of) == {0}
    names = {"huggingface": json.dumps({"info": {"features": {"fine_label": {"names": {"1": "b", "0": "a"}}}}})}
    table = pa.table({"img": image, "fine_label": [0, 1, 1]}).replace_schema_metadata(names)
    pq.write_table(table, tmp_path / "train.parquet")
    assert open_task(str(tmp_path / "train.parquet"), val_fraction=0).class_names == ("a", "b")
    (tmp_path / "repo" / "data").mkdir(parents=True)
    pq.write_table(table, tmp_path / "repo" / "data" / "train-0.parquet")
    pq.write_table(table, tmp_path / "repo" / "data" / "test-0.parquet")
    assert (
        len(open_task(f"parquet:{tmp_path}/repo").split("test"))
        == len(open_task(f"{tmp_path}/repo").split("test"))
        == 3
    )


def test_parquet_without_labels(tmp_path: Path) -> None:
    image = pa.array([{"bytes": b"x", "path": None}] * 2)
    for columns, match in (
        ({"image": image}, "no column 'label'"),
        ({"image": image, "label": pa.array([1, None])}, "row 1 has no label"),
    ):
        pq.write_table(pa.table(columns), tmp_path / "x.parquet")
        with pytest.raises(UserError, match=match):
            open_task(str(tmp_path / "x.parquet"))


def test_images_and_labels_must_fit(cifar_spec: str) -> None:
    train = open_task(cifar_spec).split("train")
    for labels, match in ((train.labels[:-1], "labels of shape"), (train.labels + 1, "between 0 and 9")):
        with pytest.raises(UserError, match=match):
            LabelledImages(train.source, labels, train.class_names)


def test_packed_files_must_agree(tmp_path: Path) -> None:
    base = {"data": np.zeros(2, np.uint8), "offsets": np.array([0, 1, 2]), "labels": np.array([0, 1])}
    np.savez(tmp_path / "a.npz", **base, names=np.array(["x", "y"]))
    np.savez(tmp_path / "b.npz", **base, names=np.array(["y", "x"]))
    with pytest.raises(UserError, match="class names differ"):
        open_task(f"npz:{tmp_path}/a.npz,{tmp_path}/b.npz")
    np.savez(tmp_path / "b.npz", **base, names=np.array(["x", "y"]), split=np.array([0, 1]))
    with pytest.raises(UserError, match="some files have 'split'"):
        open_task(f"npz:{tmp_path}/a.npz,{tmp_path}/b.npz")
