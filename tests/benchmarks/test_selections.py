"""The generator of the benchmark selections: same numbers for the same settings, and what it promises."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest

from benchmarks import selections
from benchmarks.selections import ACCEPTANCE, POOL_SIZE, Case, Setting, Synset


@pytest.fixture(scope="module")
def table() -> list[Synset]:
    """300 synsets in a small tree; some name a parent that is not in the table."""
    rng = np.random.default_rng(5)
    parents = ["", "n99999998"] + [f"n{int(rng.integers(i)):08d}" for i in range(1, 299)]
    return [Synset(f"n{i:08d}", int(rng.integers(1, 40)), parents[i]) for i in range(300)]


@pytest.mark.parametrize("setting", [Setting(10, 0.4, "far"), Setting(37, 0.35, "near")])
def test_same_seed_same_selection(table: list[Synset], setting: Setting) -> None:
    first = selections.score_pool(table, setting, 3)
    again = selections.score_pool(table, setting, 3)
    other = selections.score_pool(table, setting, 4)
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])
    assert first[1].max() < setting.classes


def test_embeddings_are_the_defined_ones(table: list[Synset]) -> None:
    """The draws do not depend on BLAS, so their digest is the same everywhere."""
    z = selections.diffuse(table, np.random.default_rng(0))
    assert z.shape == (300, 16)
    digest = hashlib.sha256(np.round(z, 9).tobytes()).hexdigest()
    assert digest == "530e38c1a4f262c2e72fa66aacb524f77f1176bbe5cf2215a7005d393583de78"


def test_energy_is_minus_logsumexp_of_the_logits(table: list[Synset], monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the plain formula in float64, over more than one chunk and block."""
    monkeypatch.setattr(selections, "CHUNK", 2500)
    setting = Setting(12, 0.3, "near")
    energy, label = selections.score_pool(table, setting, 1)
    rng = np.random.default_rng(1)
    synset_z = selections.diffuse(table, rng).astype(np.float32)
    centres = selections.class_centres(synset_z, setting, rng).astype(np.float64)
    owner = np.repeat(np.arange(len(table)), [synset.images for synset in table])
    assert len(energy) == len(owner) > 2 * 2500
    noise = [
        rng.standard_normal((min(2500, len(owner) - at), 16), dtype=np.float32) for at in range(0, len(owner), 2500)
    ]
    z = synset_z[owner].astype(np.float64) + 0.3 * np.concatenate(noise)
    logits = -((z[:, None] - centres) ** 2).sum(2) * 6 / 16
    expected = -np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) - logits.max(1)
    assert np.allclose(energy, expected, atol=2e-4)
    assert (label == logits.argmax(1)).mean() > 0.999


def test_blocks_cover_all_rows_without_a_short_one() -> None:
    for rows in (1, 2047, 2048, 8192, 197_114, 400_000):
        for classes in (10, 365):
            ranges = list(selections._blocks(rows, classes))
            assert ranges[0][0] == 0 and ranges[-1][1] == rows
            assert all(low < high for low, high in ranges)
            assert all(a[1] == b[0] for a, b in pairwise(ranges))
            assert min(high - low for low, high in ranges) >= min(rows, 2048)


def test_keep_lowest_takes_the_floor_and_sorts() -> None:
    energy = np.array([5, 1, 4, 2, 3, 0, 9], np.float32)
    indices, labels = selections.keep_lowest(energy, np.arange(7, dtype=np.uint16), 0.45)
    assert indices.tolist() == [1, 3, 5] and labels.tolist() == [1, 3, 5]
    assert indices.dtype == np.uint32 and labels.dtype == np.uint16


def test_uniform_set() -> None:
    drawn = selections.uniform(10_000, 200, 10, seed=7)
    assert len(drawn.indices) == 200 and (np.diff(drawn.indices.astype(int)) > 0).all() and drawn.indices[-1] < 10_000
    assert set(drawn.labels.tolist()) <= set(range(10))
    assert np.array_equal(drawn.indices, selections.uniform(10_000, 200, 10, seed=7).indices)
    assert not np.array_equal(drawn.indices, selections.uniform(10_000, 200, 10, seed=8).indices)


def test_the_table_and_the_acceptance_set() -> None:
    rows = selections.read_synsets()
    assert len(rows) == 21_841 and sum(synset.images for synset in rows) == POOL_SIZE
    assert [synset.name for synset in rows] == sorted(synset.name for synset in rows)
    starts = selections.group_starts(rows)
    assert starts[0] == 0 and starts[-1] == POOL_SIZE - rows[-1].images and (np.diff(starts.astype(int)) > 0).all()
    names = [case.name for case in selections.cases()]
    assert len(names) == len(set(names)) == 105
    assert Case(ACCEPTANCE[3], 2, 0.005).name == "c101-n0.25-near-s2-p0.005"
    small = selections.small_cases()
    assert len({case.name for case in small}) == 42 and small[0].name == "c010-n0.40-far-s0-k100"
    assert all(int(POOL_SIZE * case.keep) == case.count for case in small)  # what keep_lowest counts


def test_generate_writes_what_load_reads(
    table: list[Synset], tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLADA_SELECTIONS", str(tmp_path))
    monkeypatch.setattr(selections, "read_synsets", lambda: table)
    monkeypatch.setattr(selections, "ACCEPTANCE", ACCEPTANCE[:1])
    monkeypatch.setattr(selections, "SEEDS", (0,))
    case = Case(ACCEPTANCE[0], 0, 0.1)
    with pytest.raises(FileNotFoundError, match=r"python -m benchmarks\.selections"):
        selections.load(case)
    selections.generate(keep=(0.1,), counts=())
    loaded = selections.load(case)
    energy, label = selections.score_pool(table, ACCEPTANCE[0], 0)
    indices, labels = selections.keep_lowest(energy, label, 0.1)
    assert np.array_equal(loaded.indices, indices) and np.array_equal(loaded.labels, labels)
    assert "1 files" in capsys.readouterr().out
    selections.generate(keep=(0.1,), counts=())
    assert capsys.readouterr().out == ""  # nothing left to do
