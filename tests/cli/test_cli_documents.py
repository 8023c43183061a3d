"""What docs/cli.md shows is what happens."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import plada_format as pf

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def _block(title: str) -> list[str]:
    """The indented lines of a section."""
    section = TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return [line[4:] for line in section.splitlines() if line.startswith("    ")]


def test_the_ten_lines(environment, tmp_path):
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "plada"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m plada_format.cli.main "$@"\n')
    script.chmod(0o755)
    env = environment | {"PATH": f"{script.parent}:{os.environ['PATH']}"}
    lines = _block("Ten lines")
    commands = [line[2:] for line in lines if line.startswith("$ ")]
    assert len(commands) == 6
    for command in commands:
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)
    assert done.stdout.splitlines() == lines[lines.index(f"$ {commands[-1]}") + 1 :]
    payload = pf.read(tmp_path / "task.plada")
    assert (payload.class_names, dict(payload.metadata)) == (("cat", "dog", "bird"), {"input_size": "224"})


def test_the_config_file(plada, samples, tmp_path):
    (tmp_path / "plada.yaml").write_text("\n".join(line[4:] for line in _block("Common to all commands")))
    shutil.copy(samples / "names.txt", tmp_path / "names.txt")
    plada("encode", samples / "plain.csv", "t.plada", "--config", "plada.yaml", cwd=tmp_path)
    payload = pf.read(tmp_path / "t.plada")
    assert payload.header.pool_size == 10_000
    assert dict(payload.metadata) == {"input_size": "224", "mean": "0.5"}
    assert plada("decode", "t.plada", "--config", "plada.yaml", cwd=tmp_path).stdout[:4] == b"PAR1"


def test_the_command_table_is_complete(plada):
    documented = set(re.findall(r"^\| `plada (\w+)", TEXT, re.M))
    assert documented == {"encode", "decode", "info", "verify", "recode", "doctor"}
    help_text = plada("--help").stdout.decode()
    assert all(f"\n    {name} " in help_text for name in documented)


def test_limits_are_those_documented(plada, samples):
    assert (pf.Limits().max_pool, pf.Limits().max_kept) == (2**28, 2**25)
    assert "2^28 images and 2^25" in TEXT
    assert json.loads(plada("info", "--json", samples / "plain.plada").stdout)["kind"] == "payload"
