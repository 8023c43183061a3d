"""The harness on plada itself: every registered codec is a subject, rows add up, a wrong result stops it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmarks import figures, formats, ours, plots, report
from benchmarks.layouts import facts_of
from benchmarks.peers import subjects
from benchmarks.selections import cases, uniform
from plada_format.codecs import INDEX_CODECS, LABEL_CODECS

SMALL = uniform(20_000, 300, 12)


def test_every_codec_is_measured() -> None:
    row = formats.plada_row("small", SMALL)
    for codec in INDEX_CODECS.values():
        assert int(row[f"plada.index.{codec.name}"]) > 0
    for codec in LABEL_CODECS.values():
        assert int(row[f"plada.label.{codec.name}"]) > 0
    for profile in ours.PROFILES:
        name = f"plada.both.{profile}"
        streams = row[f"{name}.index_bytes"] + row[f"{name}.label_bytes"]
        assert row[name] == streams + row[f"{name}.overhead"]
        assert row[f"{name}.index_bytes"] <= min(v for k, v in row.items() if k.startswith("plada.index.golomb"))
    assert row["plada.both.full"] <= row["plada.both.baseline"]


def test_a_wrong_result_stops_the_run() -> None:
    subject = ours.streams()[0]
    broken = dataclasses.replace(subject, decode=lambda data, facts: subject.decode(data, facts) + np.uint32(1))
    with pytest.raises(RuntimeError, match="does not give back"):
        formats.check(broken, subject.encode(SMALL), SMALL, facts_of(SMALL))


def test_rows_of_all_selections_have_the_same_columns() -> None:
    peers, absent = subjects(facts_of)
    first = formats.peer_row("a", SMALL, peers)
    second = formats.peer_row("b", uniform(3000, 40, 700), peers)
    assert list(first) == list(second)
    sizes = plots.totals({name: str(value) for name, value in first.items()})
    assert sizes["zstd-19"] <= first["zstd-19.index.bitmap"] + first["zstd-19.label.bytes"]
    assert all(size > 0 for size in sizes.values()) and (absent or len(sizes) == 10)


def test_selections_are_all_there() -> None:
    names = [name for name, _ in formats.selections()]
    assert len(names) == len(set(names)) == 117
    assert {case.name for case in cases()} <= set(names)


def test_measure_has_times_and_bytes() -> None:
    row = formats.measure(ours.streams()[0], SMALL, "numpy", repeats=2, memory=False)
    assert row["decode_runs"] == row["encode_runs"] == 2 and row["bytes"] > 0 and row["decode_ms"] > 0


def test_figures_can_be_missed(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    (nothing,) = figures.acceptance()
    assert nothing["ok"] == "NO" and "benchmarks.acceptance" in str(nothing["note"])
    stored = [
        {"file": case.name, **dict.fromkeys(COMPRESSED, "1000")}
        | {
            f"{profile}_{part}": size
            for profile in ("full", "baseline")
            for part, size in (("bytes", "1066"), ("overhead", "66"))
        }
        for case in cases()
    ]
    monkeypatch.setattr(figures, "read_csv", lambda name: stored)
    full, baseline = figures.acceptance()
    assert full["ok"] == baseline["ok"] == "yes"
    stored[7]["full_bytes"] = "1067"
    assert next(iter(figures.acceptance()))["ok"] == "NO"
    stored[7]["full_bytes"] = "1066"
    del stored[9]
    assert next(iter(figures.acceptance()))["ok"] == "NO"  # a file was not measured
