"""What the documents tell a reader to type works as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _run(command: list[str], folder: Path, stdin: str | None = None) -> str:
    done = subprocess.run(command, cwd=folder, input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr}"
    return done.stdout


def _plada(line: str, folder: Path) -> str:
    return _run([sys.executable, "-m", "plada_format.cli.main", *shlex.split(line)[1:]], folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pool of forty files and a table of six."""
    (tmp_path / "pool").mkdir()
    for number in range(40):
        (tmp_path / "pool" / f"{number:02}.jpg").write_bytes(b"image %d" % number)
    (tmp_path / "kept.csv").write_text("index,label\n3,2\n4,2\n5,0\n17,1\n18,1\n31,2\n")
    return tmp_path


def test_the_readme_in_python_and_on_the_command_line(folder: Path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert _run([sys.executable, "-c", block + "\nprint(list(keys), labels.tolist())"], folder) == (
        "['03.jpg', '04.jpg', '05.jpg', '17.jpg', '18.jpg', '31.jpg'] [2, 2, 0, 1, 1, 2]\n"
    )
    lines = [re.split(r" {2,}", line.strip())[0] for line in re.findall(r"^    plada .*$", text, re.MULTILINE)]
    assert [line.split()[1] for line in lines] == ["encode", "info", "verify", "decode", "recode"]
    for line in lines:
        _plada(line, folder)
    assert (folder / "images.csv").read_text().splitlines()[1] == "3,03.jpg,2,2"


def test_the_ten_lines_of_the_command_line(tmp_path: Path):
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    block = text.partition("## Ten lines\n")[2].partition("\n## ")[0].partition("\nEncoded")[0]
    lines = [line.strip() for line in block.splitlines() if line.strip()]
    said = ""
    for line in (line.removeprefix("$ ") for line in lines if line.startswith("$ ")):
        said = _plada(line, tmp_path) if line.startswith("plada ") else _run(["sh", "-c", line], tmp_path)
    shown = lines[max(i for i, line in enumerate(lines) if line.startswith("$ ")) + 1 :]
    assert said.split() == shown
