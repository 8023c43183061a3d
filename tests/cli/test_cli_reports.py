"""info, verify, recode and doctor."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib

import pytest

import plada_format as pf


def test_info_is_a_table(plada, samples):
    text = plada("info", samples / "full.plada").stdout.decode()
    for expected in ("kept images", "60 (6.000% of the pool)", "1,000", "cat, dog, large, bird ü", "pets=animals"):
        assert expected in text
    with pf.Manifest.open(samples / "pool.pladapool") as manifest:
        assert manifest.fingerprint.hex() in text


def test_info_as_json(plada, samples):
    path = samples / "full.plada"
    facts = json.loads(plada("info", "--json", path).stdout)
    header = pf.inspect(path.read_bytes())
    assert facts["kind"] == "payload"
    assert facts["bytes"] == path.stat().st_size
    assert facts["format_version"] == ".".join(map(str, header.version))
    assert (facts["pool_size"], facts["count"], facts["num_classes"]) == (1000, 60, 3)
    assert (facts["index_codec"], facts["label_codec"]) == (header.index_codec, header.label_codec)
    assert facts["content_digest"] == header.content_digest.hex()
    assert facts["pool_fingerprint"] == header.pool_fingerprint.hex()
    assert facts["class_names"] == ["cat", "dog, large", "bird ü"]
    assert facts["metadata"] == {"input_size": "224", "task": "pets=animals"}
    assert len(facts["sections"]) == 5
    # Each section has its CRC behind it, and the header is what is left.
    rest = facts["bytes"] - sum(section["bytes"] + 4 for section in facts["sections"])
    assert rest == path.read_bytes()[10]


def test_info_without_optional_parts(plada, samples):
    facts = json.loads(plada("info", "--json", samples / "plain.plada").stdout)
    assert facts["pool_fingerprint"] is None
    assert len(facts["sections"]) == 2
    assert "none" in plada("info", samples / "plain.plada").stdout.decode()


def test_info_of_a_manifest(plada, samples):
    facts = json.loads(plada("info", "--json", samples / "pool.pladapool").stdout)
    with pf.Manifest.open(samples / "pool.pladapool") as manifest:
        assert facts["fingerprint"] == manifest.fingerprint.hex()
        assert facts["images"] == len(manifest) == 1000
    assert (facts["kind"], facts["name"], facts["groups"]) == ("pool manifest", "pool one", 10)
    assert "1,000" in plada("info", samples / "pool.pladapool").stdout.decode()


def test_hostile_text_cannot_reach_the_terminal(plada, tmp_path):
    names = ("plain", "bidi\u202etext")
    data = pf.encode([1], [0], pool_size=5, num_classes=2, class_names=names, metadata={"k": "\u009b31m"})
    (tmp_path / "x.plada").write_bytes(data)
    out = plada("info", tmp_path / "x.plada").stdout.decode()
    assert "\u202e" not in out
    assert "\u009b" not in out
    assert "\\u202e" in out


def test_verify_accepts_good_files(plada, samples):
    out = plada("verify", samples / "full.plada", samples / "plain.plada", samples / "pool.pladapool").stdout.decode()
    assert out.count("good: ") == 3
    out = plada("verify", samples / "full.plada", "--manifest", samples / "pool.pladapool").stdout.decode()
    assert "belongs to this pool" in out
    assert plada("verify", "--quiet", samples / "full.plada").stdout == b""


def _repaired(data: bytes, offset: int, value: bytes) -> bytes:
    """``data`` with bytes of its header replaced and the header's CRC made right again."""
    changed = bytearray(data)
    changed[offset : offset + len(value)] = value
    end = changed[10]
    changed[end - 4 : end] = struct.pack("<I", zlib.crc32(changed[: end - 4]))
    return bytes(changed)


@pytest.mark.parametrize(
    ("damage", "code", "name"),
    [
        (lambda data: b"no payload at all", 3, "NOT_PLADA"),
        (lambda data: _repaired(data, 8, b"\x02"), 3, "UNSUPPORTED_VERSION"),
        (lambda data: _repaired(data, 11, b"\x80"), 3, "UNSUPPORTED_FLAG"),
        (lambda data: data[:-1], 4, "TRUNCATED"),
        (lambda data: data[:5], 4, "TRUNCATED"),
        (lambda data: b"", 4, "TRUNCATED"),
        (lambda data: data + b"\0", 4, "TRAILING_DATA"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), 4, "SECTION_CRC"),
        (lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:], 4, "HEADER_CRC"),
        (lambda data: _repaired(data, 38, b"\0" * 8), 4, "CONTENT_DIGEST"),
        (lambda data: _repaired(data, 12, struct.pack("<I", 2**28 + 1)), 6, "LIMIT"),
    ],
)
@pytest.mark.parametrize("command", ["verify", "decode", "recode"])
def test_each_class_of_damage_has_its_exit_code(plada, samples, tmp_path, damage, code, name, command):
    path, out = tmp_path / "bad.plada", tmp_path / "out.csv"
    path.write_bytes(damage((samples / "plain.plada").read_bytes()))
    done = plada(command, path, *([] if command == "verify" else [out]), code=code)
    assert f"[{name}]" in done.stderr.decode()
    assert "bad.plada" in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert not out.exists()


def test_verify_against_another_pool(plada, samples):
    full, plain = samples / "full.plada", samples / "plain.plada"
    with pf.Manifest.open(samples / "pool.pladapool") as manifest:
        good = manifest.fingerprint.hex()
    for args, name in (
        ([full, "--manifest", samples / "other.pladapool"], "POOL_MISMATCH"),
        ([plain, "--manifest", samples / "pool.pladapool"], "POOL_UNIDENTIFIED"),
        ([full, "--pool-size", "1001"], "POOL_SIZE_MISMATCH"),
        ([full, "--fingerprint", "ab" * 16], "POOL_MISMATCH"),
        ([plain, "--fingerprint", good], "POOL_UNIDENTIFIED"),
    ):
        for command in ("verify", "decode"):
            assert f"[{name}]" in plada(command, *args, code=5).stderr.decode()
    plada("verify", full, "--fingerprint", good, "--pool-size", "1,000")


def test_verify_goes_on_after_a_bad_file_and_returns_its_code(plada, samples, tmp_path):
    bad = tmp_path / "bad.plada"
    bad.write_bytes((samples / "plain.plada").read_bytes()[:-1])
    done = plada("verify", samples / "plain.plada", bad, tmp_path / "absent", samples / "full.plada", code=4)
    assert done.stdout.decode().count("good: ") == 2
    assert done.stderr.decode().count("plada: error: ") == 2


def test_verify_finds_a_damaged_manifest(plada, samples, tmp_path):
    data = bytearray((samples / "pool.pladapool").read_bytes())
    data[-3] ^= 0x10  # in the digests: found by the block's hash only
    (tmp_path / "bad.pladapool").write_bytes(data)
    assert "bad.pladapool" in plada("verify", tmp_path / "bad.pladapool", code=4).stderr.decode()
    assert plada("verify", samples / "full.plada", "--manifest", tmp_path / "bad.pladapool", code=4)
    (tmp_path / "bad.pladapool").write_bytes(b"something else")
    plada("verify", tmp_path / "bad.pladapool", code=3)


def test_limits(plada, samples):
    for command in ("verify", "decode"):
        assert b"[LIMIT]" in plada(command, samples / "plain.plada", "--max-kept", "59", code=6).stderr
        assert b"[LIMIT]" in plada(command, samples / "plain.plada", "--max-pool", "999", code=6).stderr
        plada(command, samples / "plain.plada", "--max-pool", "1000", "--max-kept", "60")


def test_an_endless_file_is_refused(plada):
    assert b"[LIMIT]" in plada("info", "/dev/zero", code=6).stderr


def test_recode_changes_codecs_and_keeps_the_content(plada, samples, tmp_path):
    full = pf.read(samples / "full.plada")
    plada(
        "recode", samples / "full.plada", "out.plada", "--index-codec", "bitmap", "--label-codec", "fixed", cwd=tmp_path
    )
    changed = pf.read(tmp_path / "out.plada")
    assert (changed.header.index_codec, changed.header.label_codec) == ("bitmap", "fixed")
    assert changed.header.content_digest == full.header.content_digest
    assert changed.metadata == full.metadata
    assert changed.class_names == full.class_names
    assert changed.weights.tolist() == full.weights.tolist()


def test_recode_without_changes_gives_the_same_bytes(plada, samples):
    assert plada("recode", samples / "full.plada", "-").stdout == (samples / "full.plada").read_bytes()


def test_recode_to_a_profile(plada, samples):
    zstd = plada("recode", samples / "full.plada", "-", "--index-codec", "delta-zstd").stdout
    back = plada("recode", "-", "-", "--profile", "baseline", stdin=zstd).stdout
    assert "zstd" not in pf.inspect(back).index_codec
    assert pf.inspect(back).content_digest == pf.inspect(zstd).content_digest


def test_recode_strips_sections(plada, samples):
    full = samples / "full.plada"
    bare = plada("recode", full, "-", "--strip", "all").stdout
    assert len(pf.inspect(bare).sections) == 2
    some = pf.decode(plada("recode", full, "-", "--strip", "weights", "--strip", "metadata").stdout)
    assert some.class_names is not None
    assert some.weights is None
    assert not some.metadata


def test_doctor(plada):
    text = plada("doctor").stdout.decode()
    for name in ("python", "numpy", "zstandard", "numba", "torch", "torchvision", "timm"):
        assert f"{name} " in text
    assert "encodes and decodes" in text


def test_doctor_reports_a_broken_library(environment, tmp_path):
    (tmp_path / "zstandard.py").write_text("raise ImportError('built for another machine')\n")
    env = environment | {"PYTHONPATH": f"{tmp_path}:{environment['PYTHONPATH']}"}
    command = [sys.executable, "-m", "plada_format.cli.main", "doctor"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 7
    assert "BROKEN: ImportError: built for another machine" in done.stdout
    assert "zstandard" in done.stderr
