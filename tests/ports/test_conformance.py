"""A short run of the conformance runner with every decoder that is built, and tests that it sees differences."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from conformance import cases, findings
from conformance.compare import Panel, Verdicts
from conformance.protocol import DIED, HANGS, Answer, Case, answer_of, case_of
from conformance.run import main
from conformance.workers import ROOT, SPECS, Spec, Worker, WorkerError, available, capabilities
from fuzz.anatomy import parse
from plada_format import ErrorCode

GOLOMB = ROOT / "vectors" / "valid" / "index-golomb_sparse.plada"
BUILDS = {
    "rust": (("cargo", "make", "cc"), ("make", "-C", "ports/rust")),
    "c": (("make", "cc"), ("make", "-C", "ports/c")),
    "js": (("npm", "node"), ("npm", "--prefix", "ports/js", "run", "build:lib")),
}


def _build() -> None:
    """Build what can be built: in CI everything, elsewhere what has its tools."""
    for name, (tools, command) in BUILDS.items():
        if not (ROOT / "ports" / name).is_dir() or not all(shutil.which(tool) for tool in tools):
            continue
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0 and os.environ.get("CI"):
            pytest.fail(f"{' '.join(command)}: {(done.stdout + done.stderr)[-2000:]}")


def _named(name: str) -> Spec:
    return next(spec for spec in SPECS if spec.name == name)


@pytest.mark.slow
def test_decoders_agree(tmp_path: Path) -> None:
    """Every vector and 3,000 fresh mutants. In CI a decoder that is missing is an error."""
    _build()
    result = tmp_path / "result.json"
    assert main(["--count", "3000", "--seed", "20261127", "--result", str(result), "--fresh"]) == 0
    said = json.loads(result.read_text())
    assert said["mutants"]["files"] == 3000 and said["mutants"]["disagreements"] == 0
    assert said["vectors"]["files"] >= 700
    assert len(said["mutants"]["by_code"]) > 25, "mutants reach too little"
    if not os.environ.get("CI"):
        built = set(said["run"]["workers"])
        print(f"compared: {', '.join(sorted(built))}")


def test_requests_come_back() -> None:
    for case in (
        Case(b"abc"),
        Case(b"", 7, b"f" * 16, (0, 3, 9), 100, 5),
        Case(bytes(range(256)), 0, None, (), 0, 0),
    ):
        request = case.request()
        assert int.from_bytes(request[:4], "little") == len(request) - 4
        assert case_of(request[4:]) == case
    for answer in (Answer(0, b"12345678", 99), Answer(20)):
        assert answer_of(answer.pack()) == answer
    with pytest.raises(ValueError, match="length"):
        case_of(Case(b"abc").request()[4:] + b"x")


def test_codecs_of_a_table() -> None:
    for path in sorted((ROOT / "vectors" / "valid").glob("*.plada")):
        file = parse(path.read_bytes())
        assert file is not None
        kinds = {p.type for p in file.pieces} | {p.body[0] for p in file.pieces if p.type in (0x82, 0x83)}
        found = cases.codecs_of(path.read_bytes())
        assert found.zstd == bool(kinds & {0x10, 0x11, 0x30}), path.name
        assert found.adaptive == bool(kinds & {0x08, 0x09, 0x28, 0x29}), path.name


def test_same_seed_same_mutants() -> None:
    start = cases.start_files()
    one, two, other = (cases.Mutants(seed, 5, start).take(100) for seed in (1, 1, 2))
    assert one == two != other
    assert any(case.groups for case in one)


def test_right_digest_follows() -> None:
    data = bytearray(GOLOMB.read_bytes())
    data[38] ^= 1
    file = parse(bytes(data))
    assert file is not None
    source = cases.Mutants(1, 1, [])
    case = Case(file.build())
    source.waiting.clear()
    source.learn(case, Answer(int(ErrorCode.CONTENT_DIGEST)))
    assert source.take(1)[0].file == GOLOMB.read_bytes()


def test_differences_are_seen() -> None:
    a, b = Answer(0, b"x" * 8, 3), Answer(0, b"y" * 8, 3)
    assert Verdicts({"p": a, "q": a}, False).agree
    assert not Verdicts({"p": a, "q": b}, False).agree
    assert not Verdicts({"p": a, "q": replace(a, count=4)}, False).agree
    assert not Verdicts({"p": Answer(DIED), "q": Answer(DIED)}, False).agree
    frame = Answer(int(ErrorCode.ZSTD_FRAME))
    assert Verdicts({"p": a, "q": frame}, True).about_frame
    assert not Verdicts({"p": a, "q": frame}, False).about_frame
    assert not Verdicts({"p": a, "q": frame, "r": b}, True).about_frame
    other = Answer(int(ErrorCode.CONTENT_DIGEST))  # one library makes other bytes of a damaged frame
    assert Verdicts({"p": frame, "q": other, "r": Answer(0, b"12345678", 1)}, True).about_frame
    assert not Verdicts({"p": frame, "q": Answer(0, b"87654321", 1), "r": Answer(0, b"12345678", 1)}, True).about_frame
    hanging = Verdicts({"p": frame, "q": Answer(HANGS)}, True)
    assert not hanging.about_frame and hanging.frame_hangs
    assert not Verdicts({"p": frame, "q": Answer(HANGS)}, False).frame_hangs
    assert not Verdicts({"p": Answer(0), "q": Answer(HANGS)}, True).frame_hangs


LIAR = '''#!{python}
"""Answers as the real worker does, but wrongly where k is odd; dies of a file that begins with "die"."""
import json, os, sys
sys.path.insert(0, {root!r})
from conformance.protocol import case_of
from conformance.worker_python import answer
if "--capabilities" in sys.argv:
    print(json.dumps({{"name": "liar", "zstd": True, "adaptive": True}}))
    sys.exit()
while head := sys.stdin.buffer.read(4):
    case = case_of(sys.stdin.buffer.read(int.from_bytes(head, "little")))
    if case.file.startswith(b"die"):
        os._exit(3)
    out = bytearray(answer(case).pack())
    if case.file[16:17] and case.file[16] & 1 and out[0] == 0:
        out[0] = 20
    sys.stdout.buffer.write(out)
    sys.stdout.buffer.flush()
'''


@pytest.fixture
def liar(tmp_path: Path) -> Spec:
    program = tmp_path / "liar"
    program.write_text(LIAR.format(python=sys.executable, root=str(ROOT)))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Spec("liar", (str(program),), "")


def test_a_wrong_decoder_is_found_and_the_file_made_smaller(liar: Spec, tmp_path: Path) -> None:
    panel = Panel([_named("python"), liar])
    try:
        data = (ROOT / "vectors" / "valid" / "all_sections.plada").read_bytes()
        file = parse(data)
        assert file is not None and file.count % 2 == 0
        files = [path.read_bytes() for path in sorted(GOLOMB.parent.glob("index-golomb_*.plada"))]
        odd = next(data for data in files if data[16] & 1)
        right, wrong = Case(data), Case(odd, int.from_bytes(odd[12:16], "little"))
        verdicts = panel.start([right, wrong]).verdicts()
        assert verdicts[0].agree and not verdicts[1].agree and not verdicts[1].about_frame
        line = findings.keep(panel, wrong, verdicts[1], "test", folder=tmp_path / "found")
        kept = (tmp_path / "found" / str(line["file"])).read_bytes()
        assert len(kept) <= len(wrong.file) and line["pool_size"] is None
        assert line["answers"] == {"python": line["answers"]["python"], "liar": "STREAM_TRUNCATED"}  # type: ignore[index]
        assert not panel.ask(replace(wrong, file=kept, pool_size=None), ["python", "liar"]).agree
    finally:
        panel.close()


def test_a_worker_that_dies_is_named_and_the_others_go_on(liar: Spec) -> None:
    worker = Worker(liar)
    try:
        good = Case(GOLOMB.read_bytes()).request()
        bad = Case(b"die").request()
        answers = worker.ask([good, bad, good, good, bad])
        assert [a.code for a in answers] == [answers[0].code, DIED, answers[0].code, answers[0].code, DIED]
        assert worker.ask([good]) == answers[:1]
    finally:
        worker.close()


def test_two_threads_may_ask(liar: Spec) -> None:
    worker = Worker(_named("python"))
    good, bad = Case(GOLOMB.read_bytes()).request(), Case(b"nothing").request()
    found: dict[str, list[Answer]] = {}
    try:
        threads = [
            threading.Thread(target=lambda n=n, r=r: found.update({n: worker.ask([r] * 200)}))  # type: ignore[misc]
            for n, r in (("good", good), ("bad", bad))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        worker.close()
    assert len(set(found["good"])) == 1 and found["good"][0].code == 0
    assert set(found["bad"]) == {Answer(int(ErrorCode.NOT_PLADA))}


def test_missing_workers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    gone = {"gone": "/nowhere/worker"}
    assert available(["python", "gone"], gone, strict=False) == [_named("python")]
    assert "worker gone is left out" in capsys.readouterr().err
    with pytest.raises(WorkerError, match="gone"):
        available(["gone"], gone, strict=True)
    with pytest.raises(WorkerError, match="no worker is called nobody"):
        available(["nobody"], {}, strict=False)
    monkeypatch.setenv("CI", "1")
    assert main(["--count", "1", "--workers", "python,gone", "--with", "gone=/nowhere/worker"]) == 2
    monkeypatch.delenv("CI")
    assert main(["--count", "1", "--workers", "python"]) == 2
    assert "fewer than two" in capsys.readouterr().err
    with pytest.raises(WorkerError, match="does not say"):
        capabilities(Spec("true", ("true",), ""))


REFUSER = '''#!{python}
"""Refuses every file."""
import sys
if "--capabilities" in sys.argv:
    print('{{"name": "refuser", "zstd": true, "adaptive": true}}')
    sys.exit()
while head := sys.stdin.buffer.read(4):
    sys.stdin.buffer.read(int.from_bytes(head, "little"))
    sys.stdout.buffer.write(bytes([1]) + bytes(12))
    sys.stdout.buffer.flush()
'''


def test_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "refuser"
    program.write_text(REFUSER.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr(cases, "vectors", lambda: iter(()))
    result = tmp_path / "r.json"
    twins = [f"--with={name}={program}" for name in ("one", "two")]
    arguments = ["--workers", "one,two", *twins, "--result", str(result)]
    assert main([*arguments, "--count", "500", "--fresh"]) == 0
    first = json.loads(result.read_text())
    assert first["mutants"]["by_code"] == {"NOT_PLADA": 500} and first["batches"] == [0]
    assert main([*arguments, "--count", "500"]) == 0
    again = json.loads(result.read_text())
    assert again["mutants"] == first["mutants"] and again["run"] == first["run"]
