"""Loading: order, content, padding, odd sizes; the same in threads and processes, whatever the batch."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from plada_format.errors import UserError
from plada_train import BatchLoader, Normalise, Preprocess, SubsetSource, auto_source_size, open_source
from plada_train.decode import Status

RULE = Preprocess(96, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


@pytest.fixture
def mixed(tmp_path: Path, pool_images: list[bytes]) -> str:
    """A folder with images of several sizes, a broken one and an empty one."""
    for number in range(12):
        data = pool_images[number]
        if number in (3, 7):
            image = Image.open(io.BytesIO(data)).convert("RGB").resize((100, 70) if number == 3 else (30, 30))
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            data = buffer.getvalue()
        (tmp_path / f"{number:02d}.png").write_bytes({5: data[: len(data) // 2], 9: b""}.get(number, data))
    return f"folder:{tmp_path}"


def run(source: str, rule: Preprocess, **options: object) -> tuple[np.ndarray, np.ndarray]:
    normalise = Normalise(rule)
    loader = BatchLoader(open_source(source), None, rule, **options)
    batches = list(loader)
    rows = [normalise(batch)[: len(batch.indices)].numpy() for batch in batches]
    assert np.concatenate([batch.indices for batch in batches]).tolist() == list(range(12))
    return np.concatenate(rows), np.concatenate([batch.status for batch in batches])


def expected(source: str, rule: Preprocess) -> np.ndarray:
    """The rule, written down a second time with Pillow alone."""
    opened = open_source(source)
    out = np.zeros((len(opened), 3, rule.input_size, rule.input_size), np.float32)
    for index in range(len(opened)):
        try:
            image = Image.open(io.BytesIO(opened.read(index))).convert("RGB")
        except OSError:
            image = Image.new("RGB", (8, 8))
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side)).resize(
            (rule.input_size,) * 2, Image.Resampling.BICUBIC
        )
        out[index] = ((np.asarray(image) / 255 - rule.mean) / rule.std).transpose(2, 0, 1)
    return out


@pytest.mark.parametrize("source_size", [None, 64])
def test_result_is_the_stated_rule(mixed: str, source_size: int | None) -> None:
    rule = Preprocess(RULE.input_size, RULE.mean, RULE.std, source_size=source_size)
    found, status = run(mixed, rule, batch_size=5)
    assert status[5] == Status.TRUNCATED and status[9] == Status.EMPTY
    step = 1 / 255 / min(rule.std)
    assert np.abs(found - expected(mixed, rule)).max() <= 1.01 * step


@pytest.mark.parametrize(
    "options", [{"batch_size": 1}, {"batch_size": 12}, {"batch_size": 5, "pad_last": True}, {"workers": 2}]
)
def test_batches_do_not_matter(mixed: str, options: dict[str, object]) -> None:
    rule = Preprocess(96, source_size=64)
    one, status = run(mixed, rule, batch_size=4, threads=1)
    other, other_status = run(mixed, rule, **options)
    assert (one == other).all() and (status == other_status).all()


def test_padding_and_digests(pool_spec: str) -> None:
    source = open_source(pool_spec)
    batches = list(BatchLoader(source, np.arange(70), Preprocess(64), batch_size=32, pad_last=True, digests=True))
    assert [tuple(batch.images.shape) for batch in batches] == [(32, 64, 64, 3)] * 3
    assert [len(batch.indices) for batch in batches] == [32, 32, 6] and not batches[2].images[6:].any()
    assert batches[2].digests is not None and batches[2].digests[5].tobytes() == source.image_digest(69)


def test_unreadable_image_is_a_status(tmp_path: Path, pool_images: list[bytes]) -> None:
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_bytes(pool_images[0])
    source = open_source(f"folder:{tmp_path}")
    (tmp_path / "b.jpg").unlink()
    (batch,) = BatchLoader(source, None, Preprocess(64))
    assert batch.status.tolist() == [0, Status.UNREADABLE, 0] and not batch.images[1].any() and batch.images[2].any()


def test_stopping_early_leaves_no_threads(pool_spec: str) -> None:
    import threading

    before = threading.active_count()
    for _ in BatchLoader(open_source(pool_spec), None, Preprocess(64), batch_size=16, threads=3):
        break
    assert threading.active_count() == before


def test_an_error_in_the_source_reaches_the_caller(pool_spec: str) -> None:
    class Broken(SubsetSource):
        def read(self, index: int) -> bytes:
            raise RuntimeError("bug")

    with pytest.raises(RuntimeError, match="bug"):
        list(BatchLoader(Broken(open_source(pool_spec), [0, 1]), None, Preprocess(64)))


def test_auto_source_size(pool_spec: str, cifar_spec: str, mixed: str) -> None:
    assert auto_source_size(open_source(pool_spec), 96) == 64
    assert auto_source_size(open_source(cifar_spec), 96) == 32
    assert auto_source_size(open_source(pool_spec), 64) is None
    assert auto_source_size(open_source(mixed), 96) is None


def test_preprocess_round_trip_and_checks() -> None:
    rule = Preprocess(128, (0.5,) * 3, (0.25,) * 3, "bilinear", 64)
    assert Preprocess.from_json(rule.to_json()) == rule and len(rule.digest()) == 64
    assert rule.digest() != Preprocess(128, (0.5,) * 3, (0.25,) * 3, "bilinear", 63).digest()
    for bad in (
        {"input_size": 0},
        {"input_size": 8, "std": (0, 1, 1)},
        {"input_size": 8, "interpolation": "x"},
        {"input_size": 9, "source_size": 0},
    ):
        with pytest.raises(UserError):
            Preprocess(**bad)
    with pytest.raises(UserError, match="damaged"):
        Preprocess.from_json({"input_size": 8})


def test_float_path_of_other_devices_agrees(pool_spec: str) -> None:
    """GPUs resize in float; on the CPU we can run the same code and compare it with the integer kernel."""
    rule = Preprocess(128, source_size=64)
    (batch,) = BatchLoader(open_source(pool_spec), np.arange(16), rule)
    integer = Normalise(rule)
    other = Normalise(rule)
    other.on_cuda = True
    resized = other._resized(batch.images.permute(0, 3, 1, 2))
    assert resized.dtype == torch.float32
    difference = (resized - integer._resized(batch.images.permute(0, 3, 1, 2)).float()).abs()
    assert (
        float(difference.mean()) < 0.25 and float(difference.max()) <= 25
    )  # the integer kernel clips between its two passes
