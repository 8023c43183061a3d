"""The harness on plada itself: every registered codec is a subject, a wrong result stops it, figures can be missed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmarks import figures, formats, ours, report
from benchmarks.layouts import facts_of
from benchmarks.paper_layouts import COMPRESSED
from benchmarks.selections import cases, uniform
from plada_format.codecs import INDEX_CODECS, LABEL_CODECS

SMALL = uniform(20_000, 300, 12)


def test_every_codec_that_needs_no_groups_is_a_subject() -> None:
    found = {(subject.stream, subject.layout): subject for subject in ours.streams()}
    facts = facts_of(SMALL)
    for stream, codecs, wanted in (("index", INDEX_CODECS, SMALL.indices), ("label", LABEL_CODECS, SMALL.labels)):
        for codec in codecs.values():
            if not ours.needs_groups(codec):
                subject = found[stream, codec.name]
                assert np.array_equal(subject.decode(subject.encode(SMALL), facts), wanted)
    assert ("index", "adaptive") in found and ("label", "adaptive") in found


def test_a_wrong_result_stops_the_run() -> None:
    subject = ours.streams()[0]
    broken = dataclasses.replace(subject, decode=lambda data, facts: subject.decode(data, facts) + np.uint32(1))
    with pytest.raises(RuntimeError, match="does not give back"):
        formats.check(broken, subject.encode(SMALL), SMALL, facts_of(SMALL))


def test_measure_has_times_and_bytes() -> None:
    row = formats.measure(ours.streams()[0], SMALL, "numpy", repeats=2, memory=False)
    assert {row["decode_runs"], row["encode_runs"]} <= {1, 2}  # 1 where a busy machine spends the budget on one run
    assert row["bytes"] > 0 and row["decode_ms"] > 0


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
