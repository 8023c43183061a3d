"""Header, section table, checksums (SPEC.md section 3); nothing here looks inside a section."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .codecs import GROUPED, INDEX_CODECS, LABEL_CODECS, SINCE_1_1
from .engines.stream import Stream, varint_bytes
from .errors import ErrorCode, error

SIGNATURE = b"\x89PLA\r\n\x1a\n"
MAJOR, MINOR = 1, 1
FIXED = 46  # bytes before group digest and section table
GROUPS_FLAG, GROUP_DIGEST = 0x01, 8
SMALLEST_HEADER = FIXED + 2 * 2 + 4
LABEL_TYPE, OTHER_CRITICAL, ANCILLARY = 0x20, 0x40, 0x80
CLASS_NAMES, METADATA, WEIGHTS, SOFT_LABELS, SIGNATURE_SECTION = 0x80, 0x81, 0x82, 0x83, 0xFF
SECTION_NAMES = {
    CLASS_NAMES: "class names",
    METADATA: "metadata",
    WEIGHTS: "weights",
    SOFT_LABELS: "soft labels",
    SIGNATURE_SECTION: "signature",
}
PRIVATE = range(0xC0, 0xE0)
_STRUCT = struct.Struct("<BBBBIIH16s8s")
NO_FINGERPRINT = bytes(16)


@dataclass(frozen=True)
class Section:
    """One entry of the section table.

    Attributes:
        type: section type; for index and label sections also the codec id.
        name: "index", "label", "class names", ...
        offset: file offset of the body.
        length: bytes of the body, without the CRC that follows it.
    """

    type: int
    name: str
    offset: int
    length: int


@dataclass(frozen=True)
class Header:
    """What the first bytes of a file say about it.

    Attributes:
        version: (major, minor).
        length: bytes of the header with its CRC.
        pool_size: N.
        count: k, number of kept images.
        num_classes: K.
        pool_fingerprint: 16 bytes, or None if the payload does not name its pool.
        content_digest: 8 bytes.
        group_digest: 8 bytes that name the pool's groups which a codec of this file needs, or None.
        sections: the section table; the first is the index stream, the second the label stream.
    """

    version: tuple[int, int]
    length: int
    pool_size: int
    count: int
    num_classes: int
    pool_fingerprint: bytes | None
    content_digest: bytes
    group_digest: bytes | None
    sections: tuple[Section, ...]

    @property
    def index_codec(self) -> str:
        """Name of the index codec."""
        return INDEX_CODECS[self.sections[0].type].name

    @property
    def label_codec(self) -> str:
        """Name of the label codec."""
        return LABEL_CODECS[self.sections[1].type].name

    @property
    def file_size(self) -> int:
        """Bytes of the whole file."""
        return self.sections[-1].offset + self.sections[-1].length + 4

    @property
    def overhead(self) -> int:
        """Bytes that are neither index stream nor label stream."""
        return self.file_size - self.sections[0].length - self.sections[1].length


def _type_name(kind: int) -> str:
    if kind < LABEL_TYPE:
        return "index"
    if kind < OTHER_CRITICAL:
        return "label"
    return SECTION_NAMES.get(kind, f"type {kind:#04x}")


def parse_header(data: memoryview) -> Header:
    """Read and check the header: steps 1 to 8 of SPEC.md section 9. ``data`` need not hold more than the header."""
    start = bytes(data[:8])
    if start != SIGNATURE[: len(start)]:
        hint = ""
        if start[:4] == SIGNATURE[:4]:
            hint = ": line ends were converted, transfer it in binary mode"
        elif start[:4] == b"\x89PLP":
            hint = ": this is a pool manifest"
        raise error(ErrorCode.NOT_PLADA, f"not a plada payload{hint}", offset=0, section="header")

    def missing(need: int) -> None:
        if len(data) < need:
            raise error(
                ErrorCode.TRUNCATED, f"{len(data)} bytes, the header needs {need}", offset=len(data), section="header"
            )

    def fail(code: ErrorCode, message: str, offset: int) -> None:
        raise error(code, message, offset=offset, section="header")

    missing(9)
    if data[8] != MAJOR:
        minor = f".{data[9]}" if len(data) > 9 else ""
        fail(ErrorCode.UNSUPPORTED_VERSION, f"format version {data[8]}{minor}, this reader knows {MAJOR}", 8)
    missing(11)
    length = data[10]
    if length < SMALLEST_HEADER:
        fail(ErrorCode.HEADER_LENGTH, f"header length {length}, the smallest is {SMALLEST_HEADER}", 10)
    missing(length)
    stored = int.from_bytes(data[length - 4 : length], "little")
    if zlib.crc32(data[: length - 4]) != stored:
        fail(ErrorCode.HEADER_CRC, "the header is damaged: its CRC-32 differs", length - 4)
    _, minor_version, _, flags, pool_size, count, classes, fingerprint, digest = _STRUCT.unpack_from(data, 8)
    if flags & ~GROUPS_FLAG:
        fail(ErrorCode.UNSUPPORTED_FLAG, f"unknown flags {flags & ~GROUPS_FLAG:#04x}", 11)
    table = FIXED + GROUP_DIGEST if flags else FIXED
    if length < table + SMALLEST_HEADER - FIXED:
        fail(ErrorCode.HEADER_LENGTH, f"header length {length} leaves no room for a group digest", 10)
    sections = _parse_table(data[table : length - 4], table, length)
    grouped = sorted(s.type for s in sections if s.type in GROUPED)
    if bool(flags) != bool(grouped):
        codec = f"the {_type_name(grouped[0])} codec needs" if grouped else "no codec needs"
        fail(ErrorCode.GROUPS_FLAG, f"{codec} the pool's groups, the flag says otherwise", 11)
    _check_minor(minor_version, sections)
    if count > pool_size:
        fail(ErrorCode.COUNT_EXCEEDS_POOL, f"{count} kept images out of {pool_size}", 16)
    return Header(
        version=(MAJOR, minor_version),
        length=length,
        pool_size=pool_size,
        count=count,
        num_classes=classes + 1,
        pool_fingerprint=None if fingerprint == NO_FINGERPRINT else fingerprint,
        content_digest=digest,
        group_digest=bytes(data[FIXED:table]) or None,
        sections=sections,
    )


def _parse_table(table: memoryview, base: int, offset: int) -> tuple[Section, ...]:
    st = Stream(table, base=base, section="header", truncated=ErrorCode.SECTION_ORDER)
    sections: list[Section] = []
    previous = -1
    while st.left:
        kind = st.u8("the section table")
        at = st.pos - 1
        _check_type(st, kind, previous, len(sections), at)
        previous = kind
        size = st.varint("a section's length")
        sections.append(Section(kind, _type_name(kind), offset, size))
        offset += size + 4
    if len(sections) < 2:
        st.fail(ErrorCode.SECTION_ORDER, "index or label section missing")
    return tuple(sections)


def _check_type(st: Stream, kind: int, previous: int, position: int, at: int) -> None:
    if kind <= previous:
        st.fail(ErrorCode.SECTION_ORDER, f"section {kind:#04x} after section {previous:#04x}", at=at)
    if OTHER_CRITICAL <= kind < ANCILLARY:
        st.fail(ErrorCode.UNKNOWN_CRITICAL_SECTION, f"critical section of unknown type {kind:#04x}", at=at)
    expected = ("index", "label")[position] if position < 2 else None
    found = _type_name(kind) if kind < ANCILLARY else None
    if expected != found:
        st.fail(ErrorCode.SECTION_ORDER, f"section {kind:#04x} where the {expected or 'ancillary'} one belongs", at=at)
    if kind < ANCILLARY and kind not in (INDEX_CODECS if position == 0 else LABEL_CODECS):
        st.fail(ErrorCode.UNSUPPORTED_CODEC, f"unknown {expected} codec {kind:#04x}", at=at)


def _check_minor(minor: int, sections: Sequence[Section]) -> None:
    newer = [s.type for s in sections if s.type >= ANCILLARY and s.type not in SECTION_NAMES and s.type not in PRIVATE]
    lowest = lowest_minor(s.type for s in sections)
    problem = None
    if minor <= MINOR and newer:
        problem = f"version 1.{minor} has no section {newer[0]:#04x}"
    elif minor > MINOR and not newer:
        problem = f"marked 1.{minor} but uses nothing newer than 1.{MINOR}"
    elif minor < lowest:
        problem = f"marked 1.{minor} but has a codec of 1.{lowest}"
    elif lowest < minor <= MINOR:
        problem = f"marked 1.{minor} but uses nothing newer than 1.{lowest}"
    if problem:
        raise error(ErrorCode.MINOR_VERSION, problem, offset=9, section="header")


def lowest_minor(types: Iterable[int]) -> int:
    """The lowest minor version that defines sections of these known types."""
    return 0 if SINCE_1_1.isdisjoint(types) else 1


def check_size(header: Header, size: int) -> None:
    """Step 10: the file ends with its last section."""
    if size < header.file_size:
        raise error(ErrorCode.TRUNCATED, f"{size} bytes, the sections need {header.file_size}", offset=size)
    if size > header.file_size:
        raise error(
            ErrorCode.TRAILING_DATA, f"{size - header.file_size} bytes after the last section", offset=header.file_size
        )


def section_crc(kind: int, body: bytes | memoryview) -> int:
    """CRC-32 of type byte and body."""
    return zlib.crc32(body, zlib.crc32(bytes([kind])))


def check_sections(header: Header, data: memoryview) -> None:
    """Step 11: the CRC of every section."""
    for s in header.sections:
        end = s.offset + s.length
        if section_crc(s.type, data[s.offset : end]) != int.from_bytes(data[end : end + 4], "little"):
            raise error(
                ErrorCode.SECTION_CRC, "the section is damaged: its CRC-32 differs", offset=s.offset, section=s.name
            )


def build(
    *,
    minor: int | None = None,
    pool_size: int,
    count: int,
    num_classes: int,
    pool_fingerprint: bytes | None,
    content_digest: bytes,
    group_digest: bytes | None = None,
    sections: Sequence[tuple[int, bytes]],
) -> bytes:
    """The file of the given section bodies, which are in the order of their types.

    Args:
        minor: minor version; by default the lowest that defines these sections.
        group_digest: 8 bytes; written only if a codec needs the groups.

    Raises:
        PladaError: INVALID_ARGUMENT if the header would exceed 255 bytes or a section 2**32 - 1.
    """
    table = bytearray()
    for kind, body in sections:
        if len(body) > 2**32 - 1:
            raise error(ErrorCode.INVALID_ARGUMENT, f"section {kind:#04x} is larger than 4 GiB")
        table += bytes([kind]) + varint_bytes(len(body))
    kinds = [kind for kind, _ in sections]
    digest = b"" if GROUPED.isdisjoint(kinds) else group_digest or b""
    length = FIXED + len(digest) + len(table) + 4
    if length > 255:
        raise error(
            ErrorCode.INVALID_ARGUMENT, f"{len(sections)} sections need a header of {length} bytes, at most 255"
        )
    header = SIGNATURE + _STRUCT.pack(
        MAJOR,
        lowest_minor(kinds) if minor is None else minor,
        length,
        GROUPS_FLAG if digest else 0,
        pool_size,
        count,
        num_classes - 1,
        pool_fingerprint or NO_FINGERPRINT,
        content_digest,
    )
    header += digest + table
    parts = [header, zlib.crc32(header).to_bytes(4, "little")]
    for kind, body in sections:
        parts += [body, section_crc(kind, body).to_bytes(4, "little")]
    return b"".join(parts)
