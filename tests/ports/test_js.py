"""Builds ports/js and runs its tests: the library in Node, the inspector page in headless Chromium."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import zstandard

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


def _frame(rng: np.random.Generator) -> tuple[bytes, bytes]:
    """A Zstandard frame as a payload may hold it, and its content: gaps, labels, bits, text, noise; any level."""
    size = int(2 ** rng.uniform(0, 18))
    kind = rng.integers(5)
    if kind == 0:  # byte planes of gaps
        gaps = rng.geometric(2.0 ** -rng.uniform(0.5, 14), size // 4 + 1).astype("<u4")
        content = gaps.view(np.uint8).reshape(-1, 4)[:, : rng.integers(1, 5)].T.tobytes()
    elif kind == 1:
        content = (
            np.repeat(rng.integers(0, 200, size // 9 + 1), rng.integers(1, 40, size // 9 + 1)).astype("u1").tobytes()
        )
    elif kind == 2:
        content = np.packbits(rng.random(8 * size) < rng.choice([0.001, 0.01, 0.3])).tobytes()
    elif kind == 3:
        content = bytes((rng.geometric(rng.uniform(0.02, 0.9), size) % 256).astype("u1"))
    else:
        content = rng.bytes(size // 20) * int(rng.integers(1, 20))
    options: dict[str, int] = {"strategy": int(rng.integers(1, 8))} if rng.random() < 0.5 else {}
    parameters = zstandard.ZstdCompressionParameters.from_level(
        int(rng.choice([-7, 1, 3, 6, 9, 19 if size < 1 << 14 else 12])),
        source_size=len(content),
        write_content_size=True,
        **options,
    )
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj(size=len(content))
    frame = b""
    step = max(1, int(size * rng.uniform(0.1, 1.5)))
    for at in range(0, len(content), step):
        frame += stream.compress(content[at : at + step])
        if rng.random() < 0.5:  # blocks that repeat the tables of the ones before
            frame += stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return frame + stream.flush(), content


def _rare_frame() -> tuple[bytes, bytes]:
    """Forms that libzstd reads and hardly ever writes: literals of one byte, and 40,000 sequences in one block."""
    literals = b"\xa1A\0"  # 20 times A, no sequences
    sequences = b"\x08B\xff" + struct.pack("<H", 40_000 - 0x7F00) + b"\x54\0\0\0\1"  # three bytes each, then B
    blocks = [struct.pack("<I", len(b) << 3 | 4 | (b is sequences))[:3] + b for b in (literals, sequences)]
    frame = b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", 120_021) + b"".join(blocks)
    return frame, zstandard.ZstdDecompressor().decompress(frame)


def test_zstd_frames(built: Path, tmp_path: Path) -> None:
    """No frame that libzstd writes is refused, and all come out right."""
    rng = np.random.default_rng(5)
    frames = [_rare_frame(), *(_frame(rng) for _ in range(299))]
    path = tmp_path / "frames"
    with path.open("wb") as file:
        for frame, content in frames:
            file.write(struct.pack("<II", len(frame), len(content)) + frame + content)
    assert _run("node", "test-zstd/frames.mjs", str(path)) == "300 frames\n"


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
