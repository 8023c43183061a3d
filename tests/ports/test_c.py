"""ports/c: every vector, agreement with plada_format on random and on damaged files, the programs, the sizes."""

from __future__ import annotations

import csv
import io
import json
import os
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import c_decoder
import numpy as np
import pytest
from c_decoder import PORT, CDecoder
from hypothesis import given, settings
from hypothesis import strategies as st

import plada_format
from plada_format import ErrorCode, PladaError

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
MANIFEST = json.loads((VECTORS / "manifest.json").read_text())["vectors"]
INDEX_CODECS = ["bitmap", "golomb", "runs", "rans", "adaptive", "adaptive-groups", "delta-zstd", "bitmap-zstd"]
LABEL_CODECS = ["fixed", "huffman", "runs", "rans", "adaptive", "adaptive-groups", "zstd"]
UNSUPPORTED_CODEC = 10
LARGEST_DEFAULT_POOL = 1 << 28


@pytest.fixture(scope="session")
def c_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder for what ports/c/Makefile builds. Without a toolchain: skip, but fail in CI."""
    reason = c_decoder.missing()
    if reason and os.environ.get("CI"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    return tmp_path_factory.mktemp("ports-c")


@pytest.fixture(scope="session")
def c_port(c_build: Path) -> CDecoder:
    """The C decoder."""
    return c_decoder.load(c_build)


def caller(vector: dict[str, Any]) -> dict[str, Any]:
    """What the manifest says that the reader is told, as arguments of CDecoder.decode and plada_format.decode."""
    given = dict(vector.get("caller", {}))
    arguments: dict[str, Any] = {"groups": given.get("groups"), "pool_size": given.get("pool_size")}
    if arguments["pool_size"] is None and vector.get("pool_size", 0) > LARGEST_DEFAULT_POOL:
        arguments["pool_size"] = vector["pool_size"]
    if "pool_fingerprint" in given:
        arguments["fingerprint"] = bytes.fromhex(given["pool_fingerprint"])
    return arguments


def reference(data: bytes, *, fingerprint: bytes | None = None, **arguments: Any) -> tuple[int, Any]:
    """Error code of plada_format.decode, and its payload."""
    try:
        return 0, plada_format.decode(data, pool_fingerprint=fingerprint, **arguments)
    except PladaError as error:
        return int(error.code), None


@pytest.mark.parametrize("vector", MANIFEST, ids=lambda vector: vector["file"])
def test_vector(c_port: CDecoder, vector: dict[str, Any]) -> None:
    data = (VECTORS / vector["file"]).read_bytes()
    answer = c_port.decode(data, **caller(vector))
    assert (answer.code, c_port.error_name(answer.code)) == (vector.get("error", 0), vector.get("error_name", "OK"))
    if answer.code:
        return
    code, payload = reference(data, **caller(vector))
    assert code == 0
    assert np.array_equal(answer.indices, payload.indices)
    assert np.array_equal(answer.labels, payload.labels)
    assert c_port.metadata(data) == payload.metadata
    if payload.class_names is not None:
        names = [c_port.class_name(data, number) for number in range(len(payload.class_names))]
        assert names == [(0, name) for name in payload.class_names]
    if payload.weights is not None:
        assert np.allclose(c_port.weights(data), payload.weights, rtol=1e-6)
    if payload.soft_labels is not None:
        assert np.allclose(c_port.soft_labels(data), payload.soft_labels, atol=1e-6)


@pytest.mark.parametrize("vector", MANIFEST[::5], ids=lambda vector: vector["file"])
def test_header_alone_says_the_same(c_port: CDecoder, vector: dict[str, Any]) -> None:
    """255 bytes are enough for the header."""
    data = (VECTORS / vector["file"]).read_bytes()
    code, info = c_port.read_header(data[:255])
    assert code == c_port.read_header(data)[0]
    if "error" not in vector:
        assert (info.pool_size, info.count, info.num_classes) == (
            vector["pool_size"],
            vector["count"],
            vector["num_classes"],
        )
        assert bytes(info.content_digest).hex() == vector["content_digest"]
        assert info.file_size == len(data)


@st.composite
def payloads(draw: st.DrawFn) -> tuple[bytes, dict[str, Any]]:
    """A file of any content and codecs, and what its reader must be told."""
    pool_size = draw(st.integers(1, 3000))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    density = draw(st.sampled_from([0.002, 0.05, 0.3, 0.9, 1.0]))
    weight = rng.random(pool_size)
    if draw(st.booleans()):  # clusters
        weight = np.repeat(rng.random(pool_size // 17 + 1), 17)[:pool_size] + 0.1 * weight
    indices = np.sort(np.argsort(weight)[: round(density * pool_size)]).astype(np.uint32)
    classes = draw(st.sampled_from([1, 2, 3, 10, 255, 256, 257, 5000, 65536]))
    labels = (rng.random(len(indices)) ** draw(st.sampled_from([1, 6])) * classes).astype(np.uint16)
    if draw(st.booleans()):
        labels = np.repeat(labels, 9)[: len(labels)]
    groups = np.unique(np.append(rng.integers(0, pool_size, draw(st.integers(0, 40))), 0)).astype(np.uint32)
    arguments: dict[str, Any] = {}
    if draw(st.booleans()):
        arguments["metadata"] = {"a": "1", "é": "x" * draw(st.integers(0, 300))}
    if draw(st.booleans()) and len(indices):
        arguments["weights"] = 2.0 ** rng.normal(0, 2, len(indices))
    if draw(st.booleans()) and 2 <= classes <= 10:
        arguments["soft_labels"] = rng.dirichlet(np.ones(classes), classes)
    index_codec, label_codec = draw(st.sampled_from(INDEX_CODECS)), draw(st.sampled_from(LABEL_CODECS))
    data = plada_format.encode(
        indices,
        labels,
        pool_size=pool_size,
        num_classes=classes,
        groups=groups,
        index_codec=index_codec,
        label_codec=label_codec,
        **arguments,
    )
    return data, {"groups": groups}


@settings(max_examples=200)
@given(payloads())
def test_random_payloads(c_port: CDecoder, payload: tuple[bytes, dict[str, Any]]) -> None:
    data, arguments = payload
    answer = c_port.decode(data, **arguments)
    code, expected = reference(data, **arguments)
    assert (answer.code, code) == (0, 0)
    assert np.array_equal(answer.indices, expected.indices)
    assert np.array_equal(answer.labels, expected.labels)
    if expected.weights is not None:
        assert np.allclose(c_port.weights(data), expected.weights, rtol=1e-6)
    if expected.soft_labels is not None:
        assert np.allclose(c_port.soft_labels(data), expected.soft_labels, atol=1e-6)


def repaired(data: bytes) -> bytes:
    """The file with all CRC-32 made right, as far as its section table can be followed."""
    if len(data) < 54 or not 54 <= data[10] <= len(data):
        return data
    out = bytearray(data)
    end = data[10]
    out[end - 4 : end] = struct.pack("<I", zlib.crc32(out[: end - 4]))
    at, body = 54 if data[11] & 1 else 46, end
    while at < end - 4:
        kind, length, shift = out[at], 0, 0
        at += 1
        while at < end - 4:
            byte = out[at]
            at += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if body + length + 4 > len(out):
            break
        crc = zlib.crc32(bytes([kind]) + out[body : body + length])
        out[body + length : body + length + 4] = struct.pack("<I", crc)
        body += length + 4
    return bytes(out)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[bytes, dict[str, Any]]:
    """A vector with a few bytes changed and, mostly, its checksums repaired."""
    vector = draw(st.sampled_from([v for v in MANIFEST if v["size"] < 3000]))
    data = bytearray((VECTORS / vector["file"]).read_bytes())
    for _ in range(draw(st.integers(1, 3))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        data[at] = draw(st.one_of(st.just(data[at] ^ (1 << draw(st.integers(0, 7)))), st.integers(0, 255)))
    raw = bytes(data)
    return (repaired(raw) if draw(st.integers(0, 9)) else raw), caller(vector)


@settings(max_examples=1000)
@given(damaged())
def test_damaged_files_get_the_same_code(c_port: CDecoder, case: tuple[bytes, dict[str, Any]]) -> None:
    """What is in a Zstandard frame is left to the library, whose versions differ; all else must agree exactly."""
    data, arguments = case
    limits = plada_format.Limits(max_pool=1 << 24, max_kept=1 << 16)
    code, payload = reference(data, limits=limits, **arguments)
    answer = c_port.decode(data, limit_pool_size=1 << 24, limit_count=1 << 16, **arguments)
    zstd = c_port.read_header(data)[1]
    frames = zstd.index_codec in (0x10, 0x11) or zstd.label_codec == 0x30
    if not (frames and ErrorCode.ZSTD_FRAME in (code, answer.code)):
        assert answer.code == code, data.hex()
    if payload is not None and answer.code == 0:
        assert np.array_equal(answer.indices, payload.indices)
        assert np.array_equal(answer.labels, payload.labels)


def request(data: bytes, *, pool_size: Any = None, fingerprint: Any = None, groups: Any = None) -> bytes:
    """One request of the worker's protocol."""
    flags = (pool_size is not None) | (fingerprint is not None) << 1 | (groups is not None) << 2
    starts = np.asarray(groups if groups is not None else [], "<u4").tobytes()
    body = struct.pack("<BI16sII", flags, pool_size or 0, fingerprint or bytes(16), 1 << 28, 1 << 25)
    body += struct.pack("<I", len(starts) // 4) + starts + struct.pack("<I", len(data)) + data
    return struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("program, adaptive", [("plada-worker", True), ("plada-worker-baseline", False)])
def test_worker(c_build: Path, c_port: CDecoder, program: str, adaptive: bool) -> None:
    c_decoder.build(c_build, program)
    done = subprocess.run([c_build / program, "--capabilities"], capture_output=True, check=True, text=True)
    capabilities = json.loads(done.stdout)
    assert capabilities["name"] == "c" and capabilities["adaptive"] is adaptive
    vectors = [vector for vector in MANIFEST if vector["size"] < 20000]
    stream = b"".join(request((VECTORS / v["file"]).read_bytes(), **caller(v)) for v in vectors)
    done = subprocess.run([c_build / program], input=stream, capture_output=True, check=True)
    assert len(done.stdout) == 13 * len(vectors)
    left_out = set() if adaptive else {0x08, 0x09, 0x28, 0x29}
    left_out |= set() if capabilities["zstd"] else {0x10, 0x11, 0x30}
    for n, vector in enumerate(vectors):
        code, digest, count = struct.unpack_from("<B8sI", done.stdout, 13 * n)
        _, info = c_port.read_header((VECTORS / vector["file"]).read_bytes())
        embedded = "zstd" in vector["file"] and not capabilities["zstd"]
        if code == UNSUPPORTED_CODEC and ({info.index_codec, info.label_codec} & left_out or embedded):
            continue
        assert code == vector.get("error", 0), vector["file"]
        assert digest.hex() == (vector["content_digest"] if not code else "00" * 8)
        assert count == (vector["count"] if not code else 0)


@pytest.mark.parametrize("stream", [b"\0", struct.pack("<I", 5) + b"abc", struct.pack("<I", 3) + b"abc"])
def test_worker_refuses_broken_requests(c_build: Path, stream: bytes) -> None:
    c_decoder.build(c_build, "plada-worker")
    done = subprocess.run([c_build / "plada-worker"], input=stream, capture_output=True)
    assert done.returncode == 1 and done.stderr.startswith(b"plada worker: ") and not done.stdout


def test_decode_tool(c_build: Path, tmp_path: Path) -> None:
    c_decoder.build(c_build, "plada-decode")

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([c_build / "plada-decode", *map(str, arguments)], capture_output=True, text=True)

    path = tmp_path / "a.plada"
    indices, labels = [3, 4, 5, 17, 18, 31], [2, 2, 0, 1, 1, 2]
    groups = [0, 8, 16, 30]
    path.write_bytes(
        plada_format.encode(
            indices,
            labels,
            pool_size=40,
            num_classes=3,
            groups=groups,
            pool_fingerprint=bytes(range(16)),
            index_codec="adaptive-groups",
            label_codec="runs",
        )
    )
    text, binary = tmp_path / "groups.txt", tmp_path / "groups.bin"
    text.write_text("0 8\n16,30\n")
    binary.write_bytes(np.array(groups, "<u4").tobytes())
    for file in (text, binary):
        done = run("csv", path, "--pool-size", 40, "--fingerprint", bytes(range(16)).hex(), "--groups", file)
        assert done.returncode == 0, done.stderr
        rows = list(csv.reader(io.StringIO(done.stdout)))
        assert rows == [["index", "label"], *([str(i), str(c)] for i, c in zip(indices, labels))]
    done = run("info", path)
    assert done.returncode == 0 and "pool_size: 40" in done.stdout and "section 0x09:" in done.stdout
    for arguments, status, words in [
        (("csv", path), 1, "GROUPS_REQUIRED"),
        (("csv", path, "--groups", text, "--pool-size", 41), 1, "POOL_SIZE_MISMATCH"),
        (("csv", path, "--groups", text, "--fingerprint", "11" * 16), 1, "POOL_MISMATCH"),
        (("csv", path, "--fingerprint", "11"), 2, "32 hexadecimal digits"),
        (("csv", path, "--pool-size", "-1"), 2, "not a number"),
        (("csv", tmp_path / "none"), 2, "cannot open"),
        (("frob", path), 2, "usage"),
    ]:
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (status, "") and words in done.stderr, arguments
        assert done.stderr.count("\n") == 1


def test_example(c_build: Path, tmp_path: Path) -> None:
    c_decoder.build(c_build, "plada-example")
    path = tmp_path / "a.plada"
    path.write_bytes(plada_format.encode([3, 17], [1, 0], pool_size=40, num_classes=2))
    done = subprocess.run([c_build / "plada-example", path], capture_output=True, text=True, check=True)
    assert done.stdout == "image 3: class 1\nimage 17: class 0\n"


def test_sizes(c_build: Path) -> None:
    """A firmware can afford it: at most 12 kB of code and constants, 20 kB with the adaptive codecs."""
    environment = dict(os.environ, CC=os.environ.get("CC", "cc"))
    done = subprocess.run(
        ["make", "-s", "-C", PORT, f"B={c_build}", "sizes"], capture_output=True, text=True, check=True, env=environment
    )
    sizes = [int(line.rsplit(": ", 1)[1].split()[0]) for line in done.stdout.splitlines()]
    assert len(sizes) == 2
    if "gcc" in subprocess.run(["cc", "--version"], capture_output=True, text=True).stdout.lower():
        assert sizes[0] <= 12_000 and sizes[1] <= 20_000, done.stdout


@pytest.mark.slow
def test_makefile_checks(c_build: Path) -> None:
    """Warnings, sanitizers, 32 bits, big-endian, valgrind, a short fuzz run: whatever this machine has."""
    done = subprocess.run(["make", "-C", PORT, f"B={c_build}", "test"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    if os.environ.get("CI"):
        assert "skipped" not in done.stdout, done.stdout
