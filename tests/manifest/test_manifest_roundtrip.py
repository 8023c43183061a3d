"""What goes into a manifest comes out of it, and nothing else is read on the way."""

from __future__ import annotations

import hashlib
import io
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_format.errors import ErrorCode, InvalidInputError, PladaError, UserError
from plada_format.manifest import (
    BLOCK_ENTRIES,
    MAX_KEY_BYTES,
    Manifest,
    ManifestBuilder,
    block_hash,
    fingerprint_of,
    group_digest,
    merge_manifests,
    root_hash,
)
from plada_format.manifest.text import pack, unpack

text = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=40)
keys = st.lists(text.filter(bool), unique=True, max_size=60)


def digest_of(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def build(path: Path, names: list[str], groups: list[str] | None = None, name: str = "pool") -> Path:
    with ManifestBuilder(path, name=name, overwrite=True) as builder:
        for place, key in enumerate(names):
            builder.add(key, digest_of(key), None if groups is None else groups[place])
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[str]]:
    """Three blocks and a bit, with groups."""
    names = [f"n{place // 700:08d}/{place}.JPEG" for place in range(3 * BLOCK_ENTRIES + 1234)]
    groups = [name[:9] for name in names]
    return build(tmp_path_factory.mktemp("large") / "large.pladapool", names, groups), names, groups


@given(names=keys, name=text, data=st.data())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, names: list[str], name: str, data: st.DataObject) -> None:
    groups = data.draw(st.none() | st.lists(text, min_size=len(names), max_size=len(names)))
    path = build(tmp_path_factory.getbasetemp() / "round.pladapool", names, groups, name)
    with Manifest.open(path) as manifest:
        manifest.verify_blocks()
        assert (len(manifest), manifest.name, manifest.version) == (len(names), name, (1, 0))
        assert list(manifest) == [(key, digest_of(key)) for key in names]
        wanted = data.draw(st.lists(st.integers(0, len(names) - 1))) if names else []
        assert manifest.keys(wanted) == [names[place] for place in wanted]
        assert [row.tobytes() for row in manifest.digests(wanted)] == [digest_of(names[place]) for place in wanted]
        if groups:
            assert [manifest.group_names[row] for row in manifest.group_of(wanted)] == [
                groups[place] for place in wanted
            ]
            starts, run_names = manifest.group_starts, manifest.group_names
            assert starts is not None
            assert starts.tolist() == [i for i in range(len(groups)) if i == 0 or groups[i] != groups[i - 1]]
            assert run_names == [groups[start] for start in starts.tolist()]
            assert manifest.group_digest == group_digest(starts)
        else:
            assert manifest.group_starts is None and manifest.group_names == [] and manifest.group_digest is None


@given(names=keys.filter(bool), data=st.data())
def test_fingerprint_names_content_and_order_only(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()

    def fingerprint(some: list[str], groups: list[str] | None = None, name: str = "pool") -> bytes:
        with Manifest.open(build(folder / "print.pladapool", some, groups, name)) as manifest:
            return manifest.fingerprint

    first = fingerprint(names)
    assert len(first) == 16
    assert fingerprint(names, ["g"] * len(names), "other name") == first
    shuffled = data.draw(st.permutations(names))
    assert (fingerprint(list(shuffled)) == first) == (list(shuffled) == names)
    assert fingerprint(names[:-1]) != first
    assert fingerprint([*names[:-1], names[-1] + "."]) != first


@given(st.binary(max_size=2000) | st.builds(lambda part, n: part * n, st.binary(max_size=20), st.integers(0, 300)))
def test_text_packing_is_undone_and_never_grows(data: bytes) -> None:
    packed = pack(data)
    assert len(packed) <= len(data)
    assert unpack(packed, len(data), offset=0) == data


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.binary(min_size=32, max_size=32)), max_size=30))
def test_block_hash_is_the_plain_definition(entries: list[tuple[bytes, bytes]]) -> None:
    state = hashlib.sha256(b"PLADA-pool-block-v1\0")
    for key, digest in entries:
        length = bytes([len(key)]) if len(key) < 128 else bytes([len(key) & 127 | 128, len(key) >> 7])
        state.update(length + key + digest)
    assert block_hash([key for key, _ in entries], b"".join(row for _, row in entries)) == state.digest()


def test_fingerprint_is_never_zero() -> None:
    assert fingerprint_of(bytes(32)) == bytes(15) + b"\1"
    assert fingerprint_of(bytes(range(32))) == bytes(range(16))
    assert root_hash(1, bytes(32)) != root_hash(2, bytes(32))


def test_several_blocks(large: tuple[Path, list[str], list[str]]) -> None:
    path, names, groups = large
    with Manifest.open(path) as manifest:
        assert manifest.blocks == 4
        edges = [0, BLOCK_ENTRIES - 1, BLOCK_ENTRIES, 2 * BLOCK_ENTRIES, 3 * BLOCK_ENTRIES - 1, len(names) - 1]
        order = [edges[place] for place in (5, 0, 3, 1, 2, 4, 0)]
        assert manifest.keys(order) == [names[place] for place in order]
        assert manifest.key(BLOCK_ENTRIES) == names[BLOCK_ENTRIES]
        wanted = np.random.default_rng(1).integers(0, len(names), 500)
        assert manifest.keys(wanted) == [names[place] for place in wanted]
        assert [row.tobytes() for row in manifest.digests(wanted)] == [digest_of(names[place]) for place in wanted]
        assert [manifest.group_names[row] for row in manifest.group_of(wanted)] == [groups[place] for place in wanted]
        manifest.verify_blocks()
        assert [key for key, _ in manifest] == names


def test_check_reads_only_its_blocks(large: tuple[Path, list[str], list[str]]) -> None:
    path, _, _ = large
    with Manifest.open(path) as manifest:
        opened = manifest.bytes_read
        # header of 7 columns, name, 12 + 32 bytes a block; groups are not read
        assert opened == 48 + 7 * 16 + 4 + len("pool") + 44 * 4
        manifest.verify_blocks([BLOCK_ENTRIES, 2 * BLOCK_ENTRIES - 1])
        one = manifest.bytes_read - opened
        digests = 32 * BLOCK_ENTRIES
        assert digests < one < digests + manifest.column_bytes["keys"]
        keys_of_one = one - digests
        manifest.keys([BLOCK_ENTRIES + 5, BLOCK_ENTRIES + 6])
        assert manifest.bytes_read == opened + one, "a verified block in memory was read again"
        manifest.verify_blocks([3 * BLOCK_ENTRIES])
        last = manifest.bytes_read - opened - one
        assert 32 * 1234 < last < 32 * 1234 + keys_of_one
        assert manifest.bytes_read < path.stat().st_size / 2


def test_check_image(tmp_path: Path) -> None:
    images = [b"first image", b"second image"]
    with ManifestBuilder(tmp_path / "a.pladapool", name="a") as builder:
        for place, image in enumerate(images):
            builder.add(f"{place}.png", hashlib.sha256(image).digest())
    with Manifest.open(tmp_path / "a.pladapool") as manifest:
        assert manifest.check_image(0, images[0])
        assert manifest.check_image(1, memoryview(images[1]))
        assert not manifest.check_image(1, images[0])


def test_opens_files_and_memory(tmp_path: Path) -> None:
    path = build(tmp_path / "a.pladapool", ["x", "y"])
    with path.open("rb") as file:
        with Manifest.open(file) as manifest:
            assert manifest.keys([1, 0]) == ["y", "x"]
        assert not file.closed
    assert Manifest.open(io.BytesIO(path.read_bytes())).keys([0]) == ["x"]
    with Manifest.open(str(path)) as manifest:
        assert repr(manifest) == f"Manifest('pool', 2 images, fingerprint {manifest.fingerprint.hex()})"


@pytest.mark.parametrize("wanted", [[-1], [2], [0.5], [[0]], ["x"], [True], 0, [2**64 - 1]])
def test_refuses_bad_indices(tmp_path: Path, wanted: object) -> None:
    with Manifest.open(build(tmp_path / "a.pladapool", ["x", "y"])) as manifest:
        for method in (manifest.keys, manifest.digests, manifest.verify_blocks, manifest.group_of):
            with pytest.raises(InvalidInputError) as caught:
                method(wanted)  # type: ignore[arg-type,operator]
            assert caught.value.code == ErrorCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "key of image 1 is empty"),
        ("a\nb", "control character"),
        ("a\x7f", "control character"),
        ("a\x85", "control character"),
        ("\ud800", "lone surrogate"),
        ("k" * (MAX_KEY_BYTES + 1), "4097 bytes"),
        ("\u00e9" * (MAX_KEY_BYTES // 2 + 1), "4098 bytes"),
        (b"bytes", "not a string"),
    ],
)
def test_refuses_bad_keys_and_goes_on(tmp_path: Path, key: str, says: str) -> None:
    with ManifestBuilder(tmp_path / "a.pladapool", name="a") as builder:
        builder.add("first", bytes(32), "g")
        with pytest.raises(InvalidInputError, match=says):
            builder.add(key, bytes(32), "h")
        builder.add("last", bytes(32), "g")
    with Manifest.open(tmp_path / "a.pladapool") as manifest:
        assert manifest.keys([0, 1]) == ["first", "last"]
        assert manifest.group_names == ["g"]


def test_refuses_other_bad_arguments(tmp_path: Path) -> None:
    for name in ("n" * 256, "a\tb", "\udfff"):
        with pytest.raises(InvalidInputError, match="pool name"):
            ManifestBuilder(tmp_path / "a.pladapool", name=name)
    with ManifestBuilder(tmp_path / "a.pladapool", name="") as builder:
        for digest in (b"", bytes(31), bytes(33), "0" * 32, 5):
            with pytest.raises(InvalidInputError, match="digest of image 0"):
                builder.add("x", digest)  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError, match="group of image 0"):
            builder.add("x", bytes(32), "a\rb")
        with pytest.raises(UserError, match="no fingerprint before"):
            _ = builder.fingerprint
        builder.add("x", bytes(32))
        with pytest.raises(InvalidInputError, match="all or none"):
            builder.add("y", bytes(32), "g")
        assert len(builder) == 1
        fingerprint = builder.finish()
        assert builder.finish() == builder.fingerprint == fingerprint
        with pytest.raises(InvalidInputError, match="finished"):
            builder.add("y", bytes(32))
    with Manifest.open(tmp_path / "a.pladapool") as manifest, pytest.raises(PladaError, match="has no groups"):
        manifest.group_of([0])


def test_other_whitespace_and_forms_stay_as_given(tmp_path: Path) -> None:
    names = ["a b", "a\u00a0b", "a\u2028b", " ", unicodedata.normalize("NFD", "\u00e9"), "\u00e9", "../up", "C:\\x"]
    with Manifest.open(build(tmp_path / "a.pladapool", names)) as manifest:
        assert manifest.keys(range(len(names))) == names  # type: ignore[arg-type]


@pytest.mark.parametrize("starts", [[], [1], [0, 0], [0, 5, 3], [0.0, 1.0], [[0]], [0, 2**32], [0, -1]])
def test_group_digest_refuses_bad_starts(starts: list[int]) -> None:
    with pytest.raises(InvalidInputError):
        group_digest(starts)


def test_group_digest_is_the_plain_definition() -> None:
    hashed = hashlib.sha256(b"PLADA-pool-groups-v1\0" + bytes.fromhex("03000000 00000000 05000000 07010000"))
    for kind in (np.uint32, np.int64, np.uint64):
        assert group_digest(np.array([0, 5, 263], kind)) == hashed.digest()[:8]


def test_merge_of_one_is_the_same_file(tmp_path: Path) -> None:
    path = build(tmp_path / "a.pladapool", ["x", "y"], ["g", "h"])
    merge_manifests(tmp_path / "b.pladapool", [path])
    assert (tmp_path / "b.pladapool").read_bytes() == path.read_bytes()
