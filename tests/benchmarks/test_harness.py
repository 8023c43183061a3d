"""The harness on plada itself: every registered codec is a subject, a wrong result stops it, figures can be missed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmarks import figures, formats, ours, report
from benchmarks.layouts import facts_of
from benchmarks.selections import uniform
from plada_format.codecs import INDEX_CODECS, LABEL_CODECS

SMALL = uniform(20_000, 300, 12)
WANTED = [("index", "adaptive"), ("index", "rans")]


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
    monkeypatch.setattr(figures, "timed_selections", lambda: [SMALL, dataclasses.replace(SMALL, name="c012")])
    monkeypatch.setattr(figures, "REPEATS", 1)
    monkeypatch.setattr(ours, "backends", lambda: iter(["numpy"]))
    few = [subject for subject in ours.streams() if (subject.stream, subject.layout) in WANTED]
    monkeypatch.setattr(ours, "streams", lambda: few)
    monkeypatch.setattr(ours, "files", list)
    rows = {str(one["figure"]): one for one in figures.times()}
    assert rows["decode index adaptive, numpy"]["asked"] == "<= 2000 ms"
    assert rows["decode index rans, numpy"]["asked"] == "<= 60 ms"
    monkeypatch.setattr(figures, "LIMITS", {kind: {"numpy": 0.0} for kind in (False, True)})
    decodes = [one for one in figures.times() if str(one["figure"]).startswith("decode")]
    assert decodes and all(one["ok"] == "NO" for one in decodes)
