"""The files around the code."""

from __future__ import annotations

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Put together here, so that this file does not hold them itself.
_HOST = r"(?:pypi\.|registry\.npm|files\.python" + r"hosted|conda\.ana" + r"conda)"
FORBIDDEN = (
    r"(?<![\w.])/(?:wo" + r"rk|tmp/venv|ro" + r"ot)/",
    r"\.\./sha" + r"red\b",
    _HOST,
    r"--(?:extra-)?index" + r"-url",
)


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_machine_paths_and_no_registry_hosts():
    found = []
    for path in _tracked():
        content = path.read_bytes()
        if b"\0" in content[:8192]:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            found += [
                f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}" for bad in FORBIDDEN if re.search(bad, line)
            ]
    assert found == []


def test_the_forbidden_words_would_be_found():
    for line in ("see /wo" + "rk/main", "pip install --index" + "-url x", "https://py" + "pi.org/simple"):
        assert any(re.search(bad, line) for bad in FORBIDDEN), line


def test_tracked_files_are_small():
    large = [path for path in _tracked() if path.stat().st_size > 31_000_000]
    assert large == []


def test_changelog_has_the_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(PROJECT['version'])}\] - (unreleased|\d{{4}}-\d\d-\d\d)$", text, re.M)
    assert "## [Unreleased]" in text


def test_version_is_the_same_everywhere():
    assert importlib.import_module("plada_format").__version__ == PROJECT["version"]


def test_licence_is_apache():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_constraints_are_exact_and_cover_every_requirement():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert all(re.fullmatch(r"[\w.]+", version) for version in pins.values())
    assert pins["torch"] == "2.13.0"
    normal = {re.sub(r"[-_.]+", "-", name).lower() for name in pins}
    wanted = [
        *PROJECT["dependencies"],
        *(line for lines in PROJECT["optional-dependencies"].values() for line in lines),
    ]
    for line in wanted:
        name = re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", line).group()).lower()
        assert name == "plada" or name in normal, f"{name} has no exact version"


def test_all_holds_every_extra_for_users():
    extras = PROJECT["optional-dependencies"]
    (line,) = extras["all"]
    assert set(re.search(r"\[(.*)\]", line).group(1).split(",")) == set(extras) - {"all", "dev"}


def test_ci_calls_the_readme_command():
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().endswith("exec make test")
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    assert "browser_ok || missing+=(chromium)" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "chromium" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["test", "demo", "lint", "fuzz", "conformance", "bench", "vectors", "dist", "clean"])
def test_makefile_targets_parse(target):
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_makefile_is_where_contributing_says():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make (\w+)", text)):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_every_exit_code_is_documented():
    from plada_format.cli.exits import Exit
    from plada_format.errors import ErrorCode

    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    table = text.partition("## Exit codes")[2].partition("\n## ")[0]
    documented = {
        int(number)
        for row in table.splitlines()
        for number in re.findall(r"\d+", row.split("|")[1] if "|" in row else "")
    }
    assert documented == {int(code) for code in Exit}
    # Codes named in a row have that exit code; all others have 4.
    from plada_format.cli.exits import for_exception
    from plada_format.errors import error

    named = {}
    for row in table.splitlines():
        cells = [cell.strip() for cell in row.split("|")]
        if len(cells) > 3 and cells[1].isdigit():
            named |= {name: int(cells[1]) for name in re.findall(r"[A-Z_]{5,}", cells[3])}
    for code in ErrorCode:
        assert int(for_exception(error(code, "x"))) == named.get(code.name, 4), code.name
