"""Every layout and every peer gives back what went in; the growing table continues where it stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import report
from benchmarks.layouts import INDEX_LAYOUTS, LABEL_LAYOUTS, facts_of, from_leb128, gaps_of, indices_of, to_leb128
from benchmarks.measure import best_of, peak_memory
from benchmarks.peers import subjects
from benchmarks.selections import Selection, uniform


@given(st.lists(st.integers(0, 2**32 - 1), max_size=60))
def test_leb128(values: list[int]) -> None:
    array = np.array(values, np.uint32)
    data = to_leb128(array)
    assert len(data) == sum(max(1, -(-value.bit_length() // 7)) for value in values)
    assert np.array_equal(from_leb128(data), array)


@given(st.sets(st.integers(0, 200_000), min_size=1, max_size=60), st.sampled_from([2, 256, 257, 1000]))
def test_layouts(indices: set[int], classes: int) -> None:
    rng = np.random.default_rng(len(indices))
    labels = rng.integers(classes, size=len(indices)).astype(np.uint16)
    s = Selection("drawn", np.array(sorted(indices), np.uint32), labels, 200_001, classes)
    facts = facts_of(s)
    assert np.array_equal(indices_of(gaps_of(s.indices)), s.indices)
    for layout in INDEX_LAYOUTS:
        assert np.array_equal(layout.unpack(layout.pack(s), facts), s.indices), layout.name
    for layout in LABEL_LAYOUTS:
        assert np.array_equal(layout.unpack(layout.pack(s), facts), s.labels), layout.name


@pytest.mark.parametrize("classes", [10, 1000])
def test_peers(classes: int) -> None:
    s = uniform(40_000, 400, classes)
    facts = facts_of(s)
    found, _ = subjects(facts_of)
    assert len({subject.column for subject in found}) == len(found) >= 24
    for subject in found:
        result = subject.decode(subject.encode(s), facts)
        parts = result if subject.stream == "both" else (result,)
        wanted = {"index": [s.indices], "label": [s.labels], "both": [s.indices, s.labels]}[subject.stream]
        for got, want in zip(parts, wanted):
            assert np.array_equal(got, want), subject.column


def test_table_grows_and_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    report.Table("t.csv", ["file", "size"], key="file").add({"file": "a", "size": 1})
    table = report.Table("t.csv", ["file", "size"], key="file")
    assert table.done == {"a"}
    table.add({"file": "b", "size": 2})
    assert [row["size"] for row in report.read_csv("t.csv")] == ["1", "2"]
    assert report.Table("t.csv", ["file", "other"], key="file").done == set()
    assert "measured anew" in capsys.readouterr().err


def test_best_of_and_peak_memory() -> None:
    calls = []
    seconds, runs = best_of(lambda: calls.append(1), repeats=5)
    assert runs == 5 and len(calls) == 6 and 0 <= seconds < 1
    peak = peak_memory(lambda: np.ones(4 << 20, np.uint8))
    assert peak is None or 3 << 20 < peak < 32 << 20
