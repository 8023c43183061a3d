"""Every vector does what the manifest says, on every back end; the generator reproduces the files."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plada_format as pf
from plada_format import accel
from plada_format.digest import content_digest

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "vectors"
MANIFEST = json.loads((VECTORS / "manifest.json").read_text(encoding="utf-8"))
ENTRIES = {entry["file"]: entry for entry in MANIFEST["vectors"]}
VALID = [name for name in ENTRIES if name.startswith("valid/")]
INVALID = [name for name in ENTRIES if name.startswith("invalid/")]
ANY = pf.Limits(2**32 - 1, 2**32 - 1)
BACKENDS = ["numpy", "python", "numba"]


def _told(entry: dict[str, Any]) -> dict[str, Any]:
    """What the reader of a vector is told, as arguments of ``decode``."""
    caller = dict(entry.get("caller", {}))
    if "pool_fingerprint" in caller:
        caller["pool_fingerprint"] = bytes.fromhex(caller["pool_fingerprint"])
    return caller


def _mode(backend: str) -> str:
    if backend == "numba":
        pytest.importorskip("numba")
    return backend


def _size_ok(entry: dict[str, Any], backend: str) -> bool:
    return backend != "python" or entry["size"] < 20_000  # interpreted kernels on the 130 kB files add nothing but time


@pytest.mark.codec
@pytest.mark.parametrize("backend", BACKENDS)
def test_valid_files_decode_to_their_digest(backend: str) -> None:
    with accel.use(_mode(backend)):
        for name in VALID:
            entry = ENTRIES[name]
            if not _size_ok(entry, backend):
                continue
            payload = pf.decode((VECTORS / name).read_bytes(), limits=ANY, **_told(entry))
            h = payload.header
            digest = content_digest(h.pool_size, h.num_classes, payload.indices, payload.labels).hex()
            assert digest == entry["content_digest"], name
            assert (h.pool_size, h.count, h.num_classes) == (
                entry["pool_size"],
                entry["count"],
                entry["num_classes"],
            ), name
            assert (h.index_codec, h.label_codec) == (entry["index_codec"], entry["label_codec"]), name


@pytest.mark.codec
@pytest.mark.parametrize("backend", BACKENDS)
def test_invalid_files_give_their_error(backend: str) -> None:
    with accel.use(_mode(backend)):
        for name in INVALID:
            with pytest.raises(pf.PladaError) as caught:
                pf.decode((VECTORS / name).read_bytes(), **_told(ENTRIES[name]))
            assert int(caught.value.code) == ENTRIES[name]["error"], (name, caught.value)
            assert caught.value.code.name == ENTRIES[name]["error_name"]


@pytest.mark.codec
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_recode_gives_every_file_back(backend: str) -> None:
    with accel.use(_mode(backend)):
        for name in VALID:
            data = (VECTORS / name).read_bytes()
            if backend == "numpy" and "adaptive" in name and len(data) > 20_000:
                continue  # adaptive codecs have no NumPy form: minutes of plain Python
            assert pf.recode(data, limits=ANY, **_told(ENTRIES[name])) == data, name


def test_no_file_is_unlisted_or_changed() -> None:
    found = {f"{folder}/{p.name}" for folder in ("valid", "invalid") for p in (VECTORS / folder).iterdir()}
    assert found == set(ENTRIES)
    for name, entry in ENTRIES.items():
        assert hashlib.sha256((VECTORS / name).read_bytes()).hexdigest() == entry["sha256"], name


def test_generator_rebuilds_every_file_without_zstandard_frames() -> None:
    code = (
        "import sys; sys.path.insert(0, 'vectors'); import generate, hashlib, json\n"
        "print(json.dumps({v.path: [hashlib.sha256(v.data).hexdigest(), v.zstd] for v in generate.vectors()}))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    built = json.loads(run.stdout)
    assert set(built) == set(ENTRIES)
    for name, (digest, zstd) in built.items():
        if not zstd:
            assert digest == ENTRIES[name]["sha256"], name
    assert sum(zstd for _, zstd in built.values()) < len(built) / 4


def test_every_codec_has_every_shape() -> None:
    shapes = {"k0", "k1_first", "kN", "kN_minus_1", "one_run", "alternating", "sparse", "dense"}
    labels = {"K1", "K2", "K257", "K65536_all", "skewed"}
    from plada_format.codecs import INDEX_CODECS, LABEL_CODECS

    for codec in INDEX_CODECS.values():
        assert {f"valid/index-{codec.name}_{shape}.plada" for shape in shapes} <= set(VALID)
    for label_codec in LABEL_CODECS.values():
        assert {f"valid/label-{label_codec.name}_{shape}.plada" for shape in labels} <= set(VALID)


def test_all_65536_labels_are_present_in_the_largest_alphabet() -> None:
    from plada_format.codecs import LABEL_CODECS

    for codec in LABEL_CODECS.values():
        name = f"valid/label-{codec.name}_K65536_all.plada"
        payload = pf.decode((VECTORS / name).read_bytes(), **_told(ENTRIES[name]))
        assert len(np.unique(payload.labels)) == 65_536


def test_files_of_1_0_are_those_without_anything_newer() -> None:
    """A reader of 1.0 can run every vector that does not say otherwise."""
    for name in VALID:
        data = (VECTORS / name).read_bytes()
        assert (data[9] == 1) == (ENTRIES[name].get("since") == "1.1"), name
        if data[9] == 0:
            assert data[11] == 0
            assert not {s.type for s in pf.inspect(data).sections} & {0x08, 0x09, 0x28, 0x29}, name
    changed = {name for name, entry in ENTRIES.items() if "error_in_1_0" in entry}
    assert changed == {"invalid/header_flag_0.plada", "invalid/header_minor_1_unknown.plada"}
