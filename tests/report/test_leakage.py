"""Duplicates between pool and test set: planted ones are found, real data has none."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageOps

from plada_select.baselines import leakage_check
from plada_select.baselines.jpeg import EncodedImages
from plada_select.baselines.leakage import popcount


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def test_planted_copies_are_found(world: Any) -> None:
    test = world.pool
    opened = [Image.open(io.BytesIO(test.read(i))).convert("RGB") for i in range(10, 16)]
    pool = EncodedImages(
        [
            encoded(opened[0]),  # 0: same pixels, other encoding
            encoded(opened[1], "JPEG", quality=60),  # 1: near
            encoded(opened[2].resize((96, 96), Image.Resampling.BICUBIC), "JPEG", quality=85),  # 2: near
            encoded(ImageOps.mirror(opened[3])),  # 3: not found, as the docs say
            encoded(Image.new("RGB", (64, 64), (90, 90, 90))),  # 4: flat
            b"not an image",  # 5
            test.read(14),  # 6: the very file
        ]
    )
    found = leakage_check(pool, test, kept=[1, 3, 5], threads=2, progress=False)
    assert found.exact.tolist() == [[0, 10], [6, 14]]
    assert {(1, 11), (2, 12)} <= {(int(a), int(b)) for a, b, _ in found.near}
    assert not (found.near[:, 0] == 3).any() and not (found.near[:, 0] == 4).any()
    assert (found.near[:, 2] <= found.threshold).all() and (np.diff(found.near[:, 2]) >= 0).all()
    assert found.pool_count == 6 and found.test_count == len(test) and found.kept == 1 and found.flat["pool"] == 1
    text = found.to_json()
    assert text["exact_pairs"] == 2 and text["near_pairs"] == len(found.near) and text["test_images"] >= 4


def test_real_pool_and_test_set_have_no_duplicates(world: Any) -> None:
    found = leakage_check(world.pool, world.test.source, progress=False)
    assert len(found.exact) == 0 and len(found.near) == 0
    assert found.closest is not None and found.closest > found.threshold and found.kept is None
    wide = leakage_check(world.pool, world.test.source, threshold=found.closest, progress=False)
    assert len(wide.near) and wide.near[:, 2].min() == found.closest


def test_an_empty_side() -> None:
    found = leakage_check(EncodedImages([]), EncodedImages([b"x"]), progress=False)
    assert found.pool_count == 0 and len(found.exact) == 0 and found.closest is None and not len(found.pool_indices)


@settings(max_examples=50)
@given(hnp.arrays(np.uint64, st.integers(0, 20)))
def test_popcount(values: np.ndarray) -> None:
    assert popcount(values).tolist() == [int(value).bit_count() for value in values.tolist()]
