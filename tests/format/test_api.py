"""The public surface: buffers in, payload out, files, expectations, recode."""

from __future__ import annotations

import io
import mmap
import pickle
from array import array
from pathlib import Path

import numpy as np
import pytest

import plada_format as pf
from fuzz.anatomy import Piece, parse
from plada_format import ErrorCode, PladaError
from plada_format.errors import UserError

FINGERPRINT = bytes(range(16))
CONTENT = {"indices": [3, 4, 5, 17, 18, 31], "labels": [2, 2, 0, 1, 1, 2], "pool_size": 40, "num_classes": 3}


def make(**more: object) -> bytes:
    return pf.encode(**{**CONTENT, **more})  # type: ignore[arg-type]


def code_of(call: object, *arguments: object, **named: object) -> ErrorCode:
    with pytest.raises(PladaError) as caught:
        call(*arguments, **named)  # type: ignore[operator]
    return caught.value.code


FULL = {
    "pool_fingerprint": FINGERPRINT,
    "class_names": ["ant", "bee", "cat"],
    "metadata": {"task": "demo", "a": "1"},
    "weights": [1, 2, 4, 0.5, 1, 1],
    "soft_labels": np.eye(3),
    "extra": {0xC5: b"private"},
}


def test_everything_at_once() -> None:
    p = pf.decode(make(**FULL))
    assert p.class_names == ("ant", "bee", "cat")
    assert list(p.metadata) == ["a", "task"]
    assert p.weights is not None and p.weights.tolist() == [1, 2, 4, 0.5, 1, 1]
    assert p.soft_labels is not None and np.array_equal(p.soft_labels, np.eye(3, dtype=np.float32))
    assert p.extra == {0xC5: b"private"}
    assert p.pool_fingerprint == p.header.pool_fingerprint == FINGERPRINT
    assert len(p) == 6
    assert p.class_counts().tolist() == [1, 2, 3]
    names = ["index", "label", "class names", "metadata", "weights", "soft labels", "type 0xc5"]
    assert [s.name for s in p.header.sections] == names


def test_arrays_cannot_be_written() -> None:
    p = pf.decode(make(**FULL))
    for found in (p.indices, p.labels, p.weights, p.soft_labels):
        assert found is not None
        with pytest.raises(ValueError, match="read-only"):
            found.flat[0] = 0


def buffers(data: bytes) -> dict[str, object]:
    padded = np.frombuffer(b"\0" + data, np.uint8)
    even = data + b"\0" * (-len(data) % 4)
    out: dict[str, object] = {
        "bytes": data,
        "bytearray": bytearray(data),
        "memoryview": memoryview(data),
        "signed memoryview": memoryview(data).cast("b"),
        "char memoryview": memoryview(data).cast("c"),
        "array": array("B", data),
        "numpy": np.frombuffer(data, np.uint8),
        "numpy int8": np.frombuffer(data, np.int8),
        "numpy unaligned": padded[1:],
        "numpy read-only": np.frombuffer(bytearray(data), np.uint8),
    }
    if len(data) % 4 == 0:
        out |= {
            "numpy uint32": np.frombuffer(even, np.uint32),
            "numpy two dimensions": np.frombuffer(even, np.uint8).reshape(4, -1),
            "memoryview of ints": memoryview(even).cast("I"),
        }
    return out


def test_any_buffer_is_read(tmp_path: Path) -> None:
    data = make()
    while len(data) % 4:
        data = make(extra={0xC0: b"x" * (len(data) % 4)}) if len(data) < 90 else make(extra={0xC0: b"12"})
        if len(data) % 4:
            data = next(d for n in range(8) if len(d := make(extra={0xC0: b"x" * n})) % 4 == 0)
    for name, buffer in buffers(data).items():
        assert pf.decode(buffer) == pf.decode(data), name  # type: ignore[arg-type]
        assert pf.inspect(buffer) == pf.inspect(data), name  # type: ignore[arg-type]
        assert pf.recode(buffer) == data, name  # type: ignore[arg-type]
    path = tmp_path / "f.plada"
    path.write_bytes(data)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert pf.decode(mapped) == pf.decode(data)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        "text", None, 5, [1, 2], object(), np.zeros((8, 16), np.uint8)[:, ::2], np.zeros(3, "M8[s]"),
        np.zeros((8, 8), np.uint8, order="F")[:3], np.zeros((0, 3), np.uint8),
    ],
    ids=lambda d: type(d).__name__,
)  # fmt: skip
def test_what_is_no_buffer_of_bytes_is_refused(data: object) -> None:
    for call in (pf.decode, pf.inspect, pf.recode):
        assert code_of(call, data) is ErrorCode.INVALID_ARGUMENT


def test_decoding_does_not_change_or_keep_the_buffer() -> None:
    data = bytearray(make(index_codec="bitmap", label_codec="fixed", extra={0xC0: b"abc"}))
    before = bytes(data)
    p = pf.decode(data)
    assert bytes(data) == before
    data[:] = bytes(len(data))  # would fail if a view were still exported, and must not change the payload
    data.clear()
    assert p == pf.decode(before)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "task.plada"
    data = pf.write(path, **CONTENT)  # type: ignore[arg-type]
    assert path.read_bytes() == data == make()
    for source in (path, str(path), io.BytesIO(data)):
        assert pf.read(source) == pf.decode(data)  # type: ignore[arg-type]
    with path.open("rb") as file:
        assert pf.read(file, pool_size=40) == pf.decode(data)
    assert code_of(pf.read, path, pool_size=41) is ErrorCode.POOL_SIZE_MISMATCH
    assert [p.name for p in tmp_path.iterdir()] == ["task.plada"]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "task.plada"
    assert code_of(pf.write, path, [1], [5], pool_size=3, num_classes=2) is ErrorCode.INVALID_ARGUMENT
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"mine")
    with pytest.raises(UserError, match="exists"):
        pf.write(path, [1], [1], pool_size=3, num_classes=2, overwrite=False)
    assert path.read_bytes() == b"mine"
    with pytest.raises(OSError):
        pf.write(tmp_path / "nowhere" / "x.plada", [1], [1], pool_size=3, num_classes=2)
    assert [p.name for p in tmp_path.iterdir()] == ["task.plada"]


def test_inspect_needs_the_header_only() -> None:
    data = make(**FULL, profile="baseline")
    header = pf.inspect(data)
    assert pf.inspect(data[: header.length]) == header == pf.decode(data).header
    assert pf.inspect(data + b"anything") == header
    assert (header.version, header.pool_size, header.count, header.num_classes) == ((1, 0), 40, 6, 3)
    assert header.file_size == len(data)
    assert (header.index_codec, header.label_codec) == ("golomb", "fixed")
    assert code_of(pf.inspect, data[: header.length - 1]) is ErrorCode.TRUNCATED


def test_expectations() -> None:
    named, unnamed = make(pool_fingerprint=FINGERPRINT), make()
    other = bytes(15) + b"\1"
    assert pf.decode(named, pool_size=40, pool_fingerprint=FINGERPRINT) == pf.decode(named)
    assert code_of(pf.decode, named, pool_size=39) is ErrorCode.POOL_SIZE_MISMATCH
    assert code_of(pf.decode, named, pool_fingerprint=other) is ErrorCode.POOL_MISMATCH
    assert code_of(pf.decode, unnamed, pool_fingerprint=other) is ErrorCode.POOL_UNIDENTIFIED
    assert code_of(pf.decode, unnamed, pool_size=39, pool_fingerprint=other) is ErrorCode.POOL_SIZE_MISMATCH
    for wrong in (bytes(16), b"short", bytes(17), "0" * 16, 5):
        assert code_of(pf.decode, named, pool_fingerprint=wrong) is ErrorCode.INVALID_ARGUMENT
    for size in (True, 40.0, "40", -1, 2**32):
        assert code_of(pf.decode, named, pool_size=size) is ErrorCode.INVALID_ARGUMENT


def test_limits_hold_unless_the_pool_size_is_given() -> None:
    data = make()
    assert code_of(pf.decode, data, limits=pf.Limits(max_pool=39)) is ErrorCode.LIMIT
    assert code_of(pf.decode, data, limits=pf.Limits(max_kept=5)) is ErrorCode.LIMIT
    assert code_of(pf.recode, data, limits=pf.Limits(max_kept=5)) is ErrorCode.LIMIT
    exact = pf.Limits(max_pool=40, max_kept=6)
    assert pf.decode(data, limits=exact) == pf.decode(data, limits=pf.Limits(1, 1), pool_size=40)
    assert (pf.Limits().max_pool, pf.Limits().max_kept) == (2**28, 2**25)
    huge = pf.encode([7, 2**32 - 2], [0, 1], pool_size=2**32 - 1, num_classes=2, index_codec="golomb")
    assert code_of(pf.decode, huge) is ErrorCode.LIMIT
    assert pf.decode(huge, pool_size=2**32 - 1).indices.tolist() == [7, 2**32 - 2]


def test_limits_come_before_bytes_that_are_missing() -> None:
    data = make()
    assert code_of(pf.decode, data[:-1], limits=pf.Limits(max_pool=39)) is ErrorCode.LIMIT
    assert code_of(pf.decode, data[:-1]) is ErrorCode.TRUNCATED


def test_groups_are_checked() -> None:
    assert pf.decode(make(), groups=np.array([0, 5], np.uint32)) == pf.decode(make())  # not needed, not looked at
    grouped = make(groups=[0, 10, 39], index_codec="adaptive-groups")
    for wrong in ([], [1, 2], [0, 5, 5], [0, -1], [0, 1.5], [[0]], "ab"):
        assert code_of(make, groups=wrong) is ErrorCode.INVALID_ARGUMENT
        assert code_of(pf.decode, grouped, groups=wrong) is ErrorCode.INVALID_ARGUMENT
    assert code_of(make, groups=[0, 40]) is ErrorCode.INVALID_ARGUMENT
    assert code_of(pf.decode, grouped, groups=[0, 40]) is ErrorCode.GROUPS_MISMATCH
    assert code_of(pf.encode, [], [], pool_size=0, num_classes=1, groups=[0]) is ErrorCode.INVALID_ARGUMENT


CHANGES: dict[str, dict[str, object]] = {
    "indices": {"indices": [3, 4, 5, 17, 18, 32]},
    "labels": {"labels": [2, 2, 0, 1, 1, 1]},
    "pool size": {"pool_size": 41},
    "classes": {"num_classes": 4, "class_names": ["ant", "bee", "cat", "dog"], "soft_labels": np.eye(4)},
    "fingerprint": {"pool_fingerprint": None},
    "names": {"class_names": ["ant", "bee", "dog"]},
    "no names": {"class_names": None},
    "metadata": {"metadata": {"task": "demo", "a": "2"}},
    "weights": {"weights": [1, 2, 4, 0.5, 1, 2]},
    "no weights": {"weights": None},
    "soft labels": {"soft_labels": np.full((3, 3), 1 / 3)},
    "no soft labels": {"soft_labels": None},
    "private section": {"extra": {0xC5: b"other"}},
    "type of the private section": {"extra": {0xC6: b"private"}},
}


@pytest.mark.parametrize("what", CHANGES)
def test_equality_sees_every_part(what: str) -> None:
    p = pf.decode(make(**FULL))
    assert p == pf.decode(make(**FULL, index_codec="rans", label_codec="huffman"))
    assert p != pf.decode(make(**{**FULL, **CHANGES[what]}))
    assert p != make(**FULL)


def test_repr_says_what_it_is() -> None:
    text = repr(pf.decode(make(**FULL, index_codec="golomb")))
    for part in ("6 of 40 images", "3 classes", FINGERPRINT.hex(), "class names", "weights", "golomb"):
        assert part in text
    assert "unidentified" in repr(pf.decode(make()))
    assert "\n" not in text
    assert len(text) < 300


def test_recode_to_other_codecs_and_profiles() -> None:
    data = make(**FULL)
    again = pf.recode(data, index_codec="bitmap-zstd", label_codec="zstd")
    assert (pf.inspect(again).index_codec, pf.inspect(again).label_codec) == ("bitmap-zstd", "zstd")
    assert pf.decode(again) == pf.decode(data)
    small = pf.recode(again, index_codec="auto", label_codec="auto", profile="baseline")
    assert pf.inspect(small).index_codec == "golomb"
    assert code_of(pf.recode, data, index_codec="nonsense") is ErrorCode.INVALID_ARGUMENT
    assert code_of(pf.recode, data, label_codec="bitmap") is ErrorCode.INVALID_ARGUMENT


def test_recode_of_sections() -> None:
    data = make(**FULL)
    p = pf.decode(pf.recode(data, drop=["metadata", 0x82, "class names"]))
    assert (dict(p.metadata), p.weights, p.class_names) == ({}, None, None)
    assert p.soft_labels is not None
    assert code_of(pf.recode, make(), drop=["metadata"]) is ErrorCode.INVALID_ARGUMENT
    assert code_of(pf.recode, make(), drop=["index"]) is ErrorCode.INVALID_ARGUMENT
    p = pf.decode(pf.recode(data, metadata=None, class_names=["x", "y", "z"], pool_fingerprint=None))
    assert (dict(p.metadata), p.class_names, p.pool_fingerprint) == ({}, ("x", "y", "z"), None)
    assert code_of(pf.recode, data, class_names=["x"]) is ErrorCode.INVALID_ARGUMENT


def test_recode_keeps_text_that_is_not_normalised() -> None:
    """Writers should use form C, but files that do not are valid and must come back byte for byte."""
    file = parse(make())
    assert file is not None
    accent = "e\u0301".encode()
    file.pieces.append(Piece(0x80, b"\3" + accent + b"\1a\2" + "é".encode()))
    file.pieces.append(Piece(0x81, b"\2" + b"\3" + accent + b"\0" + b"\2" + "é".encode() + b"\1x"))
    data = file.build()
    assert pf.decode(data).class_names == ("e\u0301", "a", "é")
    assert pf.recode(data) == data
    assert pf.decode(pf.recode(data, index_codec="rans")).class_names == ("e\u0301", "a", "é")


def signed() -> bytes:
    file = parse(make(pool_fingerprint=FINGERPRINT, metadata={"a": "b"}))
    assert file is not None
    file.pieces.append(Piece(0xFF, b"signature over all that came before"))
    return file.build()


@pytest.mark.parametrize(
    "change",
    [
        {"index_codec": "rans"},
        {"label_codec": "huffman"},
        {"metadata": {"a": "c"}},
        {"metadata": None},
        {"class_names": ["x", "y", "z"]},
        {"pool_fingerprint": None},
        {"drop": ["metadata"]},
    ],
    ids=str,
)
def test_a_signature_does_not_outlive_a_change(change: dict[str, object]) -> None:
    data = signed()
    assert pf.recode(data) == data
    assert 0xFF in pf.decode(data).extra
    assert 0xFF not in pf.decode(pf.recode(data, **change)).extra  # type: ignore[arg-type]


def test_unknown_sections_of_a_newer_version_survive() -> None:
    file = parse(make(metadata={"a": "b"}, profile="baseline"))
    assert file is not None
    file.pieces.append(Piece(0x90, b"from the future"))
    assert code_of(pf.decode, file.build()) is ErrorCode.MINOR_VERSION
    file.fixed[9] = 7
    data = file.build()
    assert pf.decode(data).extra == {0x90: b"from the future"}
    assert pf.recode(data) == data
    assert pf.inspect(pf.recode(data, drop=[0x90])).version == (1, 0)
    file.pieces.pop()
    assert code_of(pf.decode, file.build()) is ErrorCode.MINOR_VERSION


def test_header_of_255_bytes_and_no_more() -> None:
    # each small private section takes 2 bytes of the table; 32 types are free
    extra = {0xC0 + n: b"" for n in range(32)}
    data = make(**{**FULL, "extra": extra})
    assert len(pf.decode(data).extra) == 32
    large = {kind: bytes(1 << 14) for kind in extra}
    assert pf.inspect(make(extra=large)).length <= 255


def test_errors_carry_code_place_and_class() -> None:
    data = bytearray(make())
    data[54] ^= 1
    with pytest.raises(pf.ChecksumError) as caught:
        pf.decode(data)
    problem = caught.value
    assert (problem.code, problem.offset, problem.section) == (ErrorCode.SECTION_CRC, 54, "index")
    assert "index" in str(problem) and "54" in str(problem) and "SECTION_CRC" in str(problem)
    again = pickle.loads(pickle.dumps(problem))  # errors cross process borders
    assert type(again) is type(problem)
    assert str(again) == str(problem)
    assert again.code is problem.code
    assert isinstance(problem, ValueError)
    with pytest.raises(EOFError):
        pf.decode(make()[:-1])
    with pytest.raises(pf.NotPladaError):
        pf.decode(b"PK\3\4")
    with pytest.raises(NotImplementedError):
        pf.decode(make()[:8] + b"\2" + make()[9:])


def test_every_public_name_is_there() -> None:
    for name in pf.__all__:
        assert getattr(pf, name) is not None
    assert set(pf.__all__) <= set(dir(pf))
    with pytest.raises(AttributeError):
        _ = pf.nonsense  # type: ignore[attr-defined]
