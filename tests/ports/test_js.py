"""Builds ports/js and runs its tests: the library in Node, the inspector page in headless Chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import plada_format

PORT = Path(__file__).parents[2] / "ports" / "js"
OLDEST_NODE = (20, 15)
BROWSERS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")


def _missing(what: str) -> None:
    """Missing tools are an error in CI, and a reason to skip elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(f"ports/js: {what}")
    pytest.skip(f"ports/js: {what}")


def _run(*command: str, **environment: str) -> str:
    """Run a command in ports/js and return what it prints; its end is shown if it fails."""
    done = subprocess.run(
        command, cwd=PORT, env=os.environ | environment, capture_output=True, text=True, timeout=600, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{_failures(output)}"
    return output


def _failures(output: str) -> str:
    """The failed tests in the output of node's test runner, or the end of any other output."""
    failed = re.findall(r"^not ok .*?(?=^(?:ok|not ok|# tests) )", output, flags=re.MULTILINE | re.DOTALL)
    return "\n".join(failed)[:8000] or output[-4000:]


def _passed(output: str) -> int:
    found = re.findall(r"^# (tests|pass|fail|skipped) (\d+)$", output, flags=re.MULTILINE)
    counts = {name: int(count) for name, count in found}
    assert counts["fail"] == 0 and counts["pass"] + counts["skipped"] == counts["tests"], output[-2000:]
    return counts["pass"]


@pytest.fixture(scope="module")
def built() -> Path:
    """The port's folder, with dist/ built."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            _missing(f"{tool} is not installed (Debian: apt-get install nodejs npm)")
    version = subprocess.run(("node", "--version"), capture_output=True, text=True, check=True).stdout
    found = tuple(int(part) for part in version.strip().removeprefix("v").split(".")[:2])
    if found < OLDEST_NODE:
        _missing(f"node is {version.strip()}, at least {'.'.join(map(str, OLDEST_NODE))} is needed")
    _run("npm", "run", "--silent", "build")
    return PORT


@pytest.fixture(scope="module")
def real_payload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clustered selection with class names, metadata and weights, as `plada encode` writes it."""
    rng = np.random.default_rng(7)
    pool_size, count = 200_000, 5_000
    centres = rng.integers(0, pool_size, 60)
    near = (rng.choice(centres, 4 * count) + rng.geometric(0.01, 4 * count)) % pool_size
    indices = np.sort(rng.permutation(np.unique(near))[:count])
    labels = (indices // 9_000 + (rng.random(len(indices)) < 0.1)) % 12
    data = plada_format.encode(
        indices,
        labels,
        pool_size=pool_size,
        num_classes=12,
        class_names=[f"class <b>{i}</b>" for i in range(12)],
        metadata={"task": "test"},
        weights=rng.uniform(0.5, 2.0, len(indices)),
    )
    path = tmp_path_factory.mktemp("js") / "real.plada"
    path.write_bytes(data)
    return path


def test_library(built: Path) -> None:
    """Vectors, truncations, properties, manifests, package content, command and worker."""
    output = _run("node", "--test", "--test-reporter=tap", "test/")
    vectors = len(list((PORT / "../../vectors").glob("*valid/*.plada")))
    assert _passed(output) > vectors > 400


def test_same_content_as_python(built: Path, real_payload: Path) -> None:
    """The command prints the indices and labels that Python decodes."""
    payload = plada_format.decode(real_payload.read_bytes())
    expected = [f"{index},{label}" for index, label in zip(payload.indices, payload.labels, strict=True)]
    assert _run("node", "dist/cli.js", "--csv", str(real_payload)).split() == ["index,label", *expected]


def test_page(built: Path, real_payload: Path) -> None:
    """The inspector page from file://: every vector, hostile text, keyboard, contrast, folders, CSV."""
    browser = os.environ.get("CHROMIUM") or next((path for path in BROWSERS if Path(path).exists()), None)
    if browser is None:
        _missing("no Chromium (Debian: apt-get install chromium)")
    output = _run(
        "node", "--test", "--test-reporter=tap", "test-page/page.test.mjs",
        CHROMIUM=str(browser), PLADA_JS_PAYLOAD=str(real_payload),
    )  # fmt: skip
    assert _passed(output) >= 15


def test_bench(built: Path, real_payload: Path) -> None:
    """The benchmark prints one line of JSON with the content's size."""
    output = _run("node", "bench.mjs", str(real_payload), "--n", "3")
    assert f'"count":{len(plada_format.decode(real_payload.read_bytes()).indices)}' in output
