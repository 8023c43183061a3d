"""Invalid files of format 1.1: the group digest in the header, and each way in which an adaptive stream can be wrong.

An adaptive stream decodes to something whatever its bytes, so faults are found by trying the streams of a fixed
generator until the reference reports the wanted code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from build_files import assemble

import plada_format as pf
from plada_format.codecs import bind_index, bind_label
from plada_format.engines.stream import Stream
from plada_format.errors import ErrorCode as E
from plada_format.errors import PladaError
from plada_format.manifest import group_digest

Vector = tuple[str, bytes, E, str, dict[str, Any]]

N, K, CLASSES = 500, 12, 6
STARTS = [0, 40, 41, 120, 300, 480]
INDICES = [3, 4, 5, 40, 121, 122, 180, 299, 301, 400, 481, 499]
LABELS = [1, 1, 1, 5, 0, 0, 2, 1, 3, 3, 4, 4]
DIGEST = group_digest(np.array(STARTS))
TOLD = {"groups": STARTS}
CONTENT = (INDICES, LABELS)
FIXED = (0x20, pf.encode(INDICES, LABELS, pool_size=N, num_classes=CLASSES, label_codec="fixed")[-9:-4])
GOLOMB = pf.encode(INDICES, LABELS, pool_size=N, num_classes=CLASSES, index_codec="golomb")


def _index_body(data: bytes) -> bytes:
    section = pf.inspect(data).sections[0]
    return data[section.offset : section.offset + section.length]


def _streams(seed: int) -> Iterator[bytes]:
    """Byte strings of 1 to 12 bytes that end with no zero, from a fixed generator."""
    x = seed
    while True:
        out = bytearray()
        x = (x * 1103515245 + 12345) % 2**31
        for _ in range(1 + (x >> 16) % 12):
            x = (x * 1103515245 + 12345) % 2**31
            out.append((x >> 16) & 255)
        if out[-1]:
            yield bytes(out)


def _found(decode: Callable[[Stream], object], code: E, accept: Callable[[bytes], bool] = lambda _: True) -> bytes:
    """The first stream that fails with ``code``."""
    for number, stream in enumerate(_streams(1)):
        if number == 200_000:
            raise SystemExit(f"no stream with {code.name} found")
        try:
            decode(Stream(stream))
        except PladaError as problem:
            if problem.code == code and accept(stream):
                return stream
    raise AssertionError


def _file(index: tuple[int, bytes], label: tuple[int, bytes], **more: Any) -> bytes:
    grouped = index[0] == 0x09 or label[0] == 0x29
    arguments: dict[str, Any] = {"minor": 1, "flags": int(grouped), "group_digest": DIGEST if grouped else b""}
    arguments |= {"pool_size": N, "count": K, "classes": CLASSES, "content": CONTENT} | more
    return assemble([index, label], **arguments)


def _header() -> Iterator[Vector]:
    label = LABEL_STREAMS[0x28]
    index = INDEX_STREAMS[0x09]
    plain, coded = (0x01, _index_body(GOLOMB)), (0x09, index)

    def v(name: str, data: bytes, code: E, check: str, told: dict[str, Any] = TOLD) -> Vector:
        return f"groups_{name}", data, code, check, told

    yield v("none_given", _file(coded, FIXED), E.GROUPS_REQUIRED, "groups needed, the caller has none", {})
    yield v("others", _file(coded, FIXED), E.GROUPS_MISMATCH, "groups of another digest", {"groups": STARTS[:-1]})
    beyond = [*STARTS, N]
    data = _file(coded, FIXED, group_digest=group_digest(np.array(beyond)))
    yield v("beyond_pool", data, E.GROUPS_MISMATCH, "the last group starts at N", {"groups": beyond})
    yield v("no_flag", _file(coded, FIXED, flags=0, group_digest=b""), E.GROUPS_FLAG, "group codec without the flag")
    yield v("no_flag_label", _file(plain, (0x29, b"\1"), flags=0, group_digest=b""), E.GROUPS_FLAG, "the same, labels")
    needless = _file(plain, FIXED, flags=1, group_digest=DIGEST)
    yield v("needless", needless, E.GROUPS_FLAG, "a group digest that no codec needs")
    short = _file(plain, FIXED, flags=1)
    yield v("no_room", short, E.HEADER_LENGTH, "flag set, H below 62")
    both = _file(plain, FIXED, flags=3, group_digest=DIGEST)
    yield v("flag_1", both, E.UNSUPPORTED_FLAG, "an unknown flag beside the known one")
    yield v("minor_0", _file(coded, FIXED, minor=0), E.MINOR_VERSION, "group digest in 1.0")
    yield v("minor_0_index", _file((0x08, b"\1"), FIXED, minor=0), E.MINOR_VERSION, "index-adaptive in 1.0", {})
    yield v("minor_0_label", _file(plain, (0x28, label), minor=0), E.MINOR_VERSION, "label-adaptive in 1.0", {})
    yield v("minor_2", _file(plain, (0x28, label), minor=2), E.MINOR_VERSION, "1.2 without anything newer than 1.1", {})
    wrong_pool = _file(coded, FIXED, fingerprint=b"\2" * 16)
    told = {"pool_fingerprint": "01" * 16}
    yield v("after_fingerprint", wrong_pool, E.POOL_MISMATCH, "fingerprint before groups", told)
    cut = _file(coded, FIXED)[:-1]
    yield v("before_size", cut, E.GROUPS_REQUIRED, "groups before the file's size", {})


def _stream_faults(name: str, kind: int, good: bytes, file: Callable[[bytes], bytes]) -> Iterator[Vector]:
    """Faults that all adaptive streams share."""
    told = TOLD if kind in (0x09, 0x29) else {}
    start = file(b"\xff\xff\xff\xff")
    yield f"{name}_start", start, E.CODER_STATE, "the stream starts with 2^32 - 1", told
    yield f"{name}_zero", file(good + b"\0"), E.NON_CANONICAL, "a zero byte at the end", told
    yield f"{name}_overlong", file(good + b"\0\0\0\0\1"), E.STREAM_OVERLONG, "bytes that no decision needs", told


def _indices() -> Iterator[Vector]:
    for kind, name in ((0x08, "index-adaptive"), (0x09, "index-adaptive-groups")):
        codec = bind_index(kind, np.array(STARTS, np.uint32))

        def file(stream: bytes, kind: int = kind) -> bytes:
            return _file((kind, stream), FIXED)

        def decode(st: Stream, codec: Any = codec) -> object:
            return codec.decode(st, N, K)

        told = TOLD if kind == 0x09 else {}
        yield from _stream_faults(name, kind, INDEX_STREAMS[kind], file)
        state = _found(decode, E.CODER_STATE, lambda s: s[:4] != b"\xff" * 4)
        yield f"{name}_end", file(state), E.CODER_STATE, "not the shortest stream of its content", told
        if kind == 0x09:
            beyond = _found(decode, E.INDEX_RANGE)
            yield f"{name}_range", file(beyond), E.INDEX_RANGE, "a count or position outside its group", told
            largest = 2**32 - 1
            whole = {"pool_size": largest, "groups": [0]}
            data = _file((kind, bytes(7) + b"\1"), FIXED, pool_size=largest, group_digest=group_digest(np.array([0])))
            yield f"{name}_largest", data, E.INDEX_RANGE, "a count of 2^31 or more: t = 31 is the last", whole
            continue
        beyond = _found(decode, E.INDEX_RANGE, lambda s: s[0] < 127)  # the first decision: mode 1
        yield f"{name}_range_1", file(beyond), E.INDEX_RANGE, "an index of N or more, mode 1", told
        # in mode 0 only the last image can be out of range: 65,537 places are coded as 32,769 pairs
        last = next(s for s in (b"\xff\xff\xff" + bytes([x]) for x in range(1, 255)) if _fails(codec, s))
        data = _file((kind, last), (0x20, b"\0"), pool_size=65_537, count=1)
        yield f"{name}_range_0", data, E.INDEX_RANGE, "an index of N, mode 0", told


def _fails(codec: Any, stream: bytes) -> bool:
    try:
        codec.decode(Stream(stream), 65_537, 1)
    except PladaError as problem:
        return problem.code == E.INDEX_RANGE
    return False


def _labels() -> Iterator[Vector]:
    starts = np.array(STARTS, np.uint32)
    for kind, name in ((0x28, "label-adaptive"), (0x29, "label-adaptive-groups")):
        codec = bind_label(kind, np.array(INDICES, np.uint32), N, starts)

        def file(stream: bytes, kind: int = kind) -> bytes:
            return _file((0x01, _index_body(GOLOMB)), (kind, stream))

        def decode(st: Stream, codec: Any = codec) -> object:
            return codec.decode(st, CLASSES, K)

        told = TOLD if kind == 0x29 else {}
        yield from _stream_faults(name, kind, LABEL_STREAMS[kind], file)
        state = _found(decode, E.CODER_STATE, lambda s: s[:4] != b"\xff" * 4)
        yield f"{name}_end", file(state), E.CODER_STATE, "not the shortest stream of its content", told
        miss = _found(decode, E.NON_CANONICAL)
        yield f"{name}_miss", file(miss), E.NON_CANONICAL, "the leading label written as a miss", told


def _embedded() -> Iterator[Vector]:
    index = (0x01, _index_body(GOLOMB))
    for kind, section, name in ((0x28, 0x82, "weights"), (0x29, 0x82, "weights"), (0x28, 0x83, "soft")):
        body = bytes([kind]) + LABEL_STREAMS[kind]
        parts: Sequence[tuple[int, bytes]] = [index, FIXED, (section, body)]
        data = assemble(parts, pool_size=N, count=K, classes=CLASSES, content=CONTENT)
        yield f"section_{name}_{kind:02x}", data, E.UNSUPPORTED_CODEC, "adaptive labels have no images here", {}


def _good(**codec: str) -> dict[str, Any]:
    return {"pool_size": N, "num_classes": CLASSES, "groups": STARTS, **codec}


INDEX_STREAMS = {
    kind: _index_body(pf.encode(INDICES, LABELS, **_good(index_codec=name, label_codec="fixed")))
    for kind, name in ((0x08, "adaptive"), (0x09, "adaptive-groups"))
}
LABEL_STREAMS = {}
for _kind, _name in ((0x28, "adaptive"), (0x29, "adaptive-groups")):
    _data = pf.encode(INDICES, LABELS, **_good(index_codec="golomb", label_codec=_name))
    _section = pf.inspect(_data).sections[1]
    LABEL_STREAMS[_kind] = _data[_section.offset : _section.offset + _section.length]


def adaptive_vectors() -> Iterator[Vector]:
    """Name, bytes, error code, what is wrong and what the caller says, of every invalid file that is new in 1.1."""
    yield from _header()
    yield from _indices()
    yield from _labels()
    yield from _embedded()
