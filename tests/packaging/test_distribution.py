"""Wheel and source distribution: they build, install, work, and hold what they should."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(wheel, sdist), the wheel built from the sdist, in a copy of the tree so that no build folder is left here."""
    out = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source") / "plada"
    _copy(source)
    (source / "plada_select" / "stray.npz").write_bytes(b"data")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def _copy(target: Path) -> None:
    """What git would put into a clone of the working tree, less the images: test_no_data_is_shipped adds one."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file() and not name.endswith(".npz"):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def test_names_and_sizes(built):
    wheel, sdist = built
    assert wheel.name == f"plada-{PROJECT['version']}-py3-none-any.whl"
    assert sdist.name == f"plada-{PROJECT['version']}.tar.gz"
    assert wheel.stat().st_size < 1_000_000
    assert sdist.stat().st_size < 2_000_000


def test_what_the_wheel_holds(built):
    with zipfile.ZipFile(built[0]) as file:
        names = file.namelist()
        tops = {name.partition("/")[0] for name in names}
        metadata = email.message_from_bytes(file.read(next(name for name in names if name.endswith("/METADATA"))))
        entry_points = file.read(next(name for name in names if name.endswith("/entry_points.txt"))).decode()
    assert {"plada_format", "plada_train", "plada_select", "plada_distill"} <= tops
    assert tops <= {
        "plada_format",
        "plada_train",
        "plada_select",
        "plada_distill",
        f"plada-{PROJECT['version']}.dist-info",
    }
    assert {f"{part}/py.typed" for part in tops if part.startswith("plada_")} <= set(names)
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert metadata["License-Expression"] == "Apache-2.0"
    needed = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert sorted(line.partition(">")[0] for line in needed) == ["numpy", "zstandard"]
    for extra in ("fast", "train", "select", "report", "distill", "bench", "dev", "all"):
        assert extra in metadata.get_all("Provides-Extra")
    assert "plada = plada_format.cli.main:main" in entry_points
    assert "[plada.commands]" in entry_points


def test_no_data_is_shipped(built):
    wheel, sdist = built
    with zipfile.ZipFile(wheel) as packed, tarfile.open(sdist) as packed_source:
        names = packed.namelist() + packed_source.getnames()
    data = [name for name in names if name.endswith((".npz", ".safetensors", ".parquet", ".jpg", ".png", ".pth"))]
    assert data == []


def test_the_source_distribution_has_the_documents(built):
    with tarfile.open(built[1]) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert {"README.md", "SPEC.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "docs/cli.md"} <= names


def _venv(folder: Path) -> Path:
    """A fresh environment that borrows numpy and zstandard from this one, so that no network is needed."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    import numpy
    import zstandard

    python = folder / "bin" / "python"
    ask = [python, "-c", "import site; print(site.getsitepackages()[0])"]
    site = subprocess.run(ask, capture_output=True, text=True, check=True)
    folder = Path(site.stdout.strip())
    for module in (numpy, zstandard):
        package = Path(str(module.__file__)).parent
        for path in (
            package,
            package.with_name(f"{package.name}.libs"),
            *package.parent.glob(f"{package.name}-*.dist-info"),
        ):
            if path.exists():
                (folder / path.name).symlink_to(path)
    return python


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_installs_and_works_with_the_base_libraries_only(built, tmp_path, kind):
    python = _venv(tmp_path / "venv")
    package = built[0] if kind == "wheel" else built[1]
    if kind == "sdist":  # built again from its own content, with this environment's setuptools
        flags = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "-q", "-w", tmp_path]
        command = [sys.executable, "-m", "pip", "wheel", *flags, package]
        subprocess.run(command, check=True, capture_output=True)
        (package,) = tmp_path.glob("*.whl")
    install = [python, "-m", "pip", "install", "--no-deps", "--no-index", "-q", "--disable-pip-version-check", package]
    subprocess.run(install, check=True, capture_output=True)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH" and not name.startswith("COV")}
    plada = tmp_path / "venv" / "bin" / "plada"

    def run(*args: str, code: int = 0) -> str:
        done = subprocess.run([plada, *args], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    assert run("--version") == f"plada {PROJECT['version']}\n"
    assert "could not be loaded" not in run("--help")
    (tmp_path / "t.csv").write_text("index,label\n3,0\n8,1\n")
    run("encode", "t.csv", "t.plada", "--pool-size", "10", "--num-classes", "2")
    run("verify", "t.plada")
    assert run("decode", "t.plada") == "index,label\n3,0\n8,1\n"
    assert "not installed" in run("doctor")
    # Commands whose extra is absent still explain themselves, and say which extra they want.
    assert run("teach", "--help").startswith("usage: plada teach")
    message = run("teach", ".", "-o", "teacher", code=7)
    assert 'pip install "plada[' in message
    assert message.count("\n") == 1
    assert not (tmp_path / "teacher").exists()
