"""The fuzzer itself: its parts do what they say, it finds planted faults, a short run of everything finds nothing."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plada_format as pf
from fuzz import batch, marathon, mutate, oracle, seeds
from fuzz.anatomy import parse, repair
from plada_format import container
from plada_format.engines import rans
from plada_format.engines.stream import Stream

ROOT = Path(__file__).resolve().parents[2]


@given(st.integers(0, 2**32 - 1))
def test_fresh_payloads_are_valid_and_come_back(seed: int) -> None:
    data = seeds.fresh(random.Random(seed))
    assert seeds.fresh(random.Random(seed)) == data
    assert oracle.examine(data).error is None
    file = parse(data)
    assert file is not None
    assert file.build() == data == repair(data)


@given(st.integers(0, 2**32 - 1))
def test_mutants_depend_on_the_seed_alone(seed: int) -> None:
    data = seeds.fresh(random.Random(seed))
    first, second = (mutate.mutate(random.Random(seed), data, [data]) for _ in range(2))
    assert first == second
    assert len(first) <= mutate.LARGEST


def test_repair_makes_damage_pass_the_checksums() -> None:
    data = pf.encode([1, 5, 6], [0, 1, 1], pool_size=40, num_classes=2, index_codec="bitmap", label_codec="fixed")
    damaged = bytearray(data)
    damaged[pf.inspect(data).sections[0].offset] ^= 1
    assert oracle.examine(bytes(damaged)).name == "SECTION_CRC"
    assert oracle.examine(repair(bytes(damaged))).name == "INDEX_RANGE"
    damaged[pf.inspect(data).sections[0].offset] ^= 2  # another image in place of the first
    assert oracle.examine(repair(bytes(damaged))).name == "CONTENT_DIGEST"
    right = oracle.with_right_digest(repair(bytes(damaged)))
    assert right is not None
    assert oracle.examine(right).error is None


def run_batch(number: int, size: int = 3000) -> batch.Result:
    return batch.Batch(11, number, batch.start_files(), lambda _: None).run(size)


def test_batches_can_be_repeated() -> None:
    one, two = run_batch(3, 1500), run_batch(3, 1500)
    assert one.counts == two.counts
    assert one.mutants >= 1500
    assert one.findings == two.findings == []
    assert one.counts != run_batch(4, 1500).counts


def findings(size: int = 3000) -> list[str]:
    found: list[str] = []
    for number in range(1, 6):
        found += [message for message, _ in run_batch(number, size).findings]
        if found:
            break
    return found


def test_a_missing_padding_check_is_found() -> None:
    def careless(self: Stream, bit: int, what: str) -> None:
        self.pos = (bit + 7) >> 3

    with mock.patch.object(Stream, "end_padding", careless):
        assert any("not canonical" in message or "SPEC.md says PADDING" in message for message in findings())


def test_a_missing_check_of_final_states_is_found() -> None:
    original = rans.decode

    def careless(st: Stream, table: rans.FrequencyTable, n: int) -> object:
        try:
            return original(st, table, n)
        except pf.PladaError as problem:
            if problem.code is pf.ErrorCode.CODER_STATE:
                raise ZeroDivisionError from problem
            raise

    with mock.patch.object(rans, "decode", careless):
        assert any("ZeroDivisionError" in message for message in findings())


def test_a_missing_checksum_is_found() -> None:
    with mock.patch.object(container, "check_sections", lambda header, data: None):
        assert any("SPEC.md says SECTION_CRC" in message or "not canonical" in message for message in findings())


def test_memory_beyond_the_bound_is_found() -> None:
    original = container.check_sections

    def greedy(header: container.Header, data: memoryview) -> None:
        bytes(20 << 20)
        original(header, data)

    with mock.patch.object(container, "check_sections", greedy), pytest.raises(oracle.Finding, match="memory"):
        oracle.memory_of(pf.encode([1, 2], [0, 1], pool_size=5, num_classes=2))


def test_slow_files_are_found() -> None:
    with mock.patch.object(batch, "SLOW", 0.0):
        assert any("takes" in message for message in findings(50))


@pytest.mark.slow
def test_ten_seconds_of_everything(tmp_path: Path) -> None:
    """Through the command, with a resumed second half."""
    result = tmp_path / "result.json"
    command = [sys.executable, "fuzz/marathon.py", "--seed", "5", "--result", str(result)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    first = subprocess.run([*command, "--seconds", "5"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert first.returncode == 0, first.stdout + first.stderr
    half = json.loads(result.read_text())
    assert half["mutants"] > 0
    assert half["findings"] == []
    second = subprocess.run([*command, "--seconds", "5"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert second.returncode == 0, second.stdout + second.stderr
    assert f"goes on after {half['mutants']}" in second.stderr
    whole = json.loads(result.read_text())
    assert whole["batches"]["first"] > half["batches"]["first"]
    assert whole["mutants"] == sum(whole["by_code"].values()) > half["mutants"]
    assert "findings: 0" in second.stdout


def test_a_dying_or_hanging_worker_is_a_finding(tmp_path: Path) -> None:
    """A worker that is killed stands for a crash of the interpreter: the file in hand is kept."""
    worker = marathon.Worker(1, 500)
    try:
        worker.give(0)
        assert worker.pipe.poll(120)
        assert worker.pipe.recv()[0] == 0
        assert len(worker.file()) > 0
        assert not worker.hangs()
        with mock.patch.object(marathon, "HANG", -1.0):
            assert worker.hangs()
    finally:
        worker.process.kill()
        worker.process.join()
    with mock.patch.object(marathon, "CRASHES", tmp_path):
        kept = marathon.save_crash(worker.file())
    assert kept.read_bytes() == worker.file()


@pytest.mark.skipif(not find_spec("atheris"), reason="Atheris is not installed")
@pytest.mark.parametrize("target", ["decode", "structured", "roundtrip"])
def test_coverage_guided_targets_run(target: str) -> None:
    command = [sys.executable, "fuzz/run.py", "--target", target, "--seconds", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "stat::number_of_executed_units" in done.stderr


def test_corpus_is_small_and_each_file_is_there_for_a_reason() -> None:
    files = seeds.corpus()
    assert 50 < len(files) < 2000
    assert sum(map(len, files)) < 300_000
    outcomes = {oracle.examine(data).name for data in files}
    assert len(outcomes) > 20
