"""What bad input gets: one line that says what and where, a code, and nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from plada_format import atomic

OPTIONS = ["--pool-size", "1000", "--num-classes", "3"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("index,label\n1,0\n2,x\n", "line 3: label 'x'"),
        ("index,label\n1,0\n-2,1\n", "line 3: index '-2'"),
        ("index,label\n1,0\n2.5,1\n", "line 3: index '2.5'"),
        ("index,label\n1,0\n,1\n", "line 3: index ''"),
        ("index,label\n1,0\n1_0,1\n", "line 3: index '1_0'"),
        ("index,label\n1,0\n99999999999999999999999,1\n", "line 3: index '99999999999999999999999'"),
        ("index,label\n1,0\n2\n", "line 3: 1 fields instead of 2"),
        ("index,label\n1,0,9\n", "line 2: 3 fields instead of 2"),
        ("index,label,weight\n1,0,heavy\n", "line 2: weight 'heavy'"),
        ("index,label,lable\n1,0,0\n", "unknown column 'lable'"),
        ("index,weight\n1,0\n", "no column 'label'"),
        ("1\n2\n", "no column 'label'"),
        ("1,2,3,4\n", "4 columns and no header line"),
        ("index,index,label\n1,1,0\n", "occurs twice"),
        ("", "an empty file"),
        ('index,label\n"1,0\n', "line 2"),
        ("index,label\n5,0\n5,1\n", "[INVALID_ARGUMENT]"),
        ("index,label\n6,0\n5,1\n", "[INVALID_ARGUMENT]"),
        ("index,label\n5,3\n", "[INVALID_ARGUMENT]"),
        ("index,label\n1000,0\n", "[INVALID_ARGUMENT]"),
        ("index,label\n4294967296,0\n", "[INVALID_ARGUMENT]"),
        ("index,label,weight\n1,0,nan\n", "[INVALID_ARGUMENT]"),
        ("index,label,weight\n1,0,-1\n", "[INVALID_ARGUMENT]"),
    ],
)
def test_bad_csv(plada, tmp_path, text, expected):
    (tmp_path / "t.csv").write_text(text)
    message = plada("encode", "t.csv", "t.plada", *OPTIONS, cwd=tmp_path, code=1).stderr.decode()
    assert expected in message
    assert "t.csv" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv"]


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"index": np.array([1.5]), "label": np.array([0])}, "[INVALID_ARGUMENT]"),
        ({"index": np.array([[1]]), "label": np.array([0])}, "[INVALID_ARGUMENT]"),
        ({"index": np.array([1, 2]), "label": np.array([0])}, "[INVALID_ARGUMENT]"),
        ({"index": np.array(["a"]), "label": np.array([0])}, "[INVALID_ARGUMENT]"),
        ({"index": np.array([1])}, "no column 'label'"),
        ({"index": np.array([1]), "label": np.array([0]), "logits": np.zeros(3)}, "unknown array 'logits'"),
        ({"index": np.array([1]), "label": np.array([0]), "metadata": np.array("[]")}, "metadata must be"),
        (
            {"index": np.array([1]), "label": np.array([0]), "pool_fingerprint": np.array("ab")},
            "not a pool fingerprint",
        ),
    ],
)
def test_bad_npz(plada, tmp_path, arrays, expected):
    np.savez(tmp_path / "t.npz", **arrays)
    assert expected in plada("encode", "t.npz", "t.plada", *OPTIONS, cwd=tmp_path, code=1).stderr.decode()
    assert not (tmp_path / "t.plada").exists()


def test_pickles_are_not_opened(plada, tmp_path):
    np.savez(tmp_path / "t.npz", index=np.array([{}], object), label=np.array([0]))
    assert b"no readable NPZ" in plada("encode", "t.npz", "t.plada", *OPTIONS, cwd=tmp_path, code=1).stderr


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.npz", b"nonsense", "not a npz file"),
        ("t.npz", b"PK\x03\x04nonsense", "no readable NPZ"),
        ("t.parquet", b"nonsense", "not a parquet file"),
        ("t.parquet", b"PAR1nonsense", "no readable Parquet"),
        ("t.csv", b"index,label\n\xff\xfe,1\n", "no UTF-8 text"),
        ("t.csv", b"index,label\n1,\x00\n", "line 2"),
    ],
)
def test_files_of_another_kind(plada, tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    assert expected in plada("encode", name, "t.plada", *OPTIONS, cwd=tmp_path, code=1).stderr.decode()


def test_bad_parquet_columns(plada, tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for columns, expected in (
        ({"index": ["a"], "label": [1]}, "holds string"),
        ({"index": [1, None], "label": [1, 1]}, "1 empty entries"),
        ({"label": [1]}, "no column 'index'"),
    ):
        parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
        assert expected in plada("encode", "t.parquet", "t.plada", *OPTIONS, cwd=tmp_path, code=1).stderr.decode()


def test_missing_facts(plada, samples, tmp_path):
    table, out = samples / "plain.csv", tmp_path / "t.plada"
    assert b"--manifest FILE or --pool-size N" in plada("encode", table, out, "--num-classes", "3", code=1).stderr
    assert b"--num-classes K or --class-names" in plada("encode", table, out, "--pool-size", "1000", code=1).stderr
    both = ["--manifest", samples / "pool.pladapool", "--pool-size", "1000", "--num-classes", "3"]
    assert b"leave out --pool-size" in plada("encode", table, out, *both, code=1).stderr
    names = [*OPTIONS, "--class-names", samples / "kept.csv"]
    assert b"[INVALID_ARGUMENT]" in plada("encode", table, out, *names, code=1).stderr
    assert not out.exists()


@pytest.mark.parametrize("command", ["info", "verify", "decode", "recode"])
def test_missing_file_and_directory(plada, tmp_path, command):
    rest = [tmp_path / "out"] if command in ("decode", "recode") else []
    message = plada(command, tmp_path / "absent.plada", *rest, code=1).stderr.decode()
    assert "absent.plada: No such file or directory" in message
    assert "Is a directory" in plada(command, tmp_path, *rest, code=1).stderr.decode()
    assert not list(tmp_path.iterdir())


def test_outputs_that_cannot_be(plada, samples, tmp_path):
    assert b"is a directory" in plada("decode", samples / "plain.plada", tmp_path, "--force", code=1).stderr
    assert b"there is no folder" in plada("decode", samples / "plain.plada", tmp_path / "a" / "b", code=1).stderr
    assert b"/dev/full: No space left" in plada("decode", samples / "plain.plada", "/dev/full", code=1).stderr


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/usr/bin/setpriv"), reason="root may do everything")
def test_no_permission(samples, tmp_path, environment):
    """Another user's folder: neither readable nor writable."""
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "t.plada").write_bytes((samples / "plain.plada").read_bytes())
    closed.chmod(0)
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    try:
        for args in (["info", closed / "t.plada"], ["decode", samples / "plain.plada", closed / "t.csv"]):
            done = subprocess.run(
                [*drop, sys.executable, "-m", "plada_format.cli.main", *args],
                env=environment,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 1, done.stderr
            assert done.stderr.count("\n") == 1
            assert "Permission denied" in done.stderr or "there is no folder" in done.stderr
    finally:
        closed.chmod(0o700)
    assert [path.name for path in closed.iterdir()] == ["t.plada"]


def test_full_disk_leaves_nothing_behind(plada, samples, tmp_path, environment):
    """A file size limit fails like a full disk, in the middle of writing."""
    import resource

    rng = np.random.default_rng(0)
    index = np.flatnonzero(rng.random(400_000) < 0.5)
    np.savez(tmp_path / "t.npz", index=index, label=index % 5)
    plada("encode", "t.npz", "t.plada", "--pool-size", "400000", "--num-classes", "5", cwd=tmp_path)

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, "-m", "plada_format.cli.main", "decode", "t.plada", "out.csv"]
    quiet = {name: value for name, value in environment.items() if not name.startswith("COV")}  # writes files, too
    done = subprocess.run(command, cwd=tmp_path, env=quiet, capture_output=True, text=True, preexec_fn=small_files)
    assert done.returncode == 1, done.stderr
    assert "out.csv: File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.npz", "t.plada"]


def _large_payload(plada, tmp_path, size):
    np.savez(tmp_path / "t.npz", index=np.arange(size), label=np.zeros(size, np.uint8))
    plada("encode", "t.npz", "t.plada", "--pool-size", size, "--num-classes", "1", cwd=tmp_path)


def test_a_reader_that_goes_away(plada, tmp_path, environment):
    _large_payload(plada, tmp_path, 3_000_000)
    command = [sys.executable, "-m", "plada_format.cli.main", "decode", "t.plada"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"index,label\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interruption_leaves_nothing_behind(plada, tmp_path, environment, number, code):
    _large_payload(plada, tmp_path, 16_000_000)  # seconds of writing, so that it is not over too soon
    command = [sys.executable, "-m", "plada_format.cli.main", "decode", "t.plada", "out.csv"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        # a shell starts background jobs with SIGINT ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # no threads here
    ) as process:
        assert process.stderr is not None
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".out.csv.*")):  # writing has begun
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(number)
        errors = process.stderr.read().decode()
        assert process.wait() == code, errors
    assert "Traceback" not in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.npz", "t.plada"]


def test_interruption_while_the_temporary_file_is_made(tmp_path, monkeypatch):
    """A signal may arrive when the file is there and ``with`` has not begun."""

    def made(*arguments):
        open(*arguments).close()
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic, "open", made, raising=False)
    with pytest.raises(KeyboardInterrupt), atomic.atomic_write(tmp_path / "out.csv"):
        raise AssertionError("not reached")
    assert not list(tmp_path.iterdir())


def test_closed_streams(samples, environment):
    """Closed stdin or stdout is an error of one line, or none where they are not needed."""
    base = f"{sys.executable} -m plada_format.cli.main"
    for tail, code in (
        (f"info {samples}/plain.plada >&-", (0, 1)),
        (f"decode {samples}/plain.plada - >&-", (1,)),
        ("info - <&-", (1,)),
    ):
        done = subprocess.run(f"{base} {tail}", shell=True, env=environment, capture_output=True, text=True)
        assert done.returncode in code, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.count("\n") <= 1


def test_parquet_without_pyarrow(samples, tmp_path, environment):
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from plada_format.cli.main import main\n"
        f"sys.exit(main(['decode', {str(samples / 'plain.plada')!r}, {str(tmp_path / 't.parquet')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 7
    assert "pip install pyarrow" in done.stderr
    assert not list(tmp_path.iterdir())


def test_yaml_without_pyyaml(samples, tmp_path, environment):
    (tmp_path / "c.yaml").write_text("format: csv\n")
    code = (
        "import sys; sys.modules['yaml'] = None\n"
        "from plada_format.cli.main import main\n"
        f"sys.exit(main(['decode', {str(samples / 'plain.plada')!r}, '--config', {str(tmp_path / 'c.yaml')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "PyYAML" in done.stderr
