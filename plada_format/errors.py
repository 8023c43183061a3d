"""Every error of this package, and the numbered codes shared by all implementations (SPEC.md section 9)."""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """Stable numbers of SPEC.md section 9. A port reports the same number on the same bytes."""

    NOT_PLADA = 1
    TRUNCATED = 2
    UNSUPPORTED_VERSION = 3
    HEADER_LENGTH = 4
    HEADER_CRC = 5
    UNSUPPORTED_FLAG = 6
    BAD_VARINT = 7
    SECTION_ORDER = 8
    UNKNOWN_CRITICAL_SECTION = 9
    UNSUPPORTED_CODEC = 10
    MINOR_VERSION = 11
    COUNT_EXCEEDS_POOL = 12
    LIMIT = 13
    POOL_SIZE_MISMATCH = 14
    POOL_MISMATCH = 15
    POOL_UNIDENTIFIED = 16
    GROUPS_MISMATCH = 17
    TRAILING_DATA = 18
    SECTION_CRC = 19
    STREAM_TRUNCATED = 20
    STREAM_OVERLONG = 21
    PADDING = 22
    PARAMETER = 23
    TABLE = 24
    CODER_STATE = 25
    INDEX_RANGE = 26
    LABEL_RANGE = 27
    NON_CANONICAL = 28
    ZSTD_FRAME = 29
    CONTENT_DIGEST = 30
    TEXT = 31
    SECTION_CONTENT = 32
    GROUPS_REQUIRED = 33
    GROUPS_FLAG = 34
    # Pool manifest
    NOT_MANIFEST = 40
    MANIFEST_TRUNCATED = 41
    MANIFEST_VERSION = 42
    MANIFEST_CORRUPT = 43
    MANIFEST_BLOCK = 44
    # Local to one implementation: never a property of the bytes alone
    INVALID_ARGUMENT = 64
    MISSING_DEPENDENCY = 65


class UserError(ValueError):
    """A mistake of the caller that is no property of a payload: wrong flag, missing file, unusable setting."""


class PladaError(ValueError):
    """Root of all format errors.

    Attributes:
        code: the number of SPEC.md, as :class:`ErrorCode`.
        offset: byte offset in the file where the problem was found, or None.
        section: name of the section ("header", "index", "label", "class names", ...), or None.
    """

    def __init__(self, code: ErrorCode, message: str, *, offset: int | None = None, section: str | None = None) -> None:
        self.code = ErrorCode(code)
        self.offset = offset
        self.section = section
        self.message = message
        super().__init__(code, message, offset, section)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (int(self.code), self.message, self.offset, self.section))

    def __str__(self) -> str:
        where = [text for text in (self.section, None if self.offset is None else f"byte {self.offset}") if text]
        place = f" ({', '.join(where)})" if where else ""
        return f"{self.message}{place} [{self.code.name}]"


class NotPladaError(PladaError):
    """The bytes are no payload (or no manifest) at all."""


class TruncatedError(PladaError, EOFError):
    """Bytes that the header or a stream promises are missing."""


class UnsupportedError(PladaError, NotImplementedError):
    """Perhaps valid elsewhere, unreadable here: version, flag, codec, critical section, missing library."""


class ChecksumError(PladaError):
    """A CRC-32 or a digest does not match: damage in transit or storage."""


class CorruptError(PladaError):
    """The bytes contradict SPEC.md."""


class NonCanonicalError(CorruptError):
    """Readable, but not the one permitted way to write this content."""


class LimitError(PladaError):
    """Larger than the caller's limits allow."""


class PoolMismatchError(PladaError):
    """The payload belongs to another pool (size, fingerprint or groups), or does not say to which."""


class InvalidInputError(PladaError):
    """Arguments given to an encoder that no payload can hold."""


_CLASSES: dict[ErrorCode, type[PladaError]] = {
    **dict.fromkeys((ErrorCode.NOT_PLADA, ErrorCode.NOT_MANIFEST), NotPladaError),
    **dict.fromkeys((ErrorCode.TRUNCATED, ErrorCode.STREAM_TRUNCATED, ErrorCode.MANIFEST_TRUNCATED), TruncatedError),
    **dict.fromkeys(
        (
            ErrorCode.UNSUPPORTED_VERSION,
            ErrorCode.UNSUPPORTED_FLAG,
            ErrorCode.UNKNOWN_CRITICAL_SECTION,
            ErrorCode.UNSUPPORTED_CODEC,
            ErrorCode.MANIFEST_VERSION,
            ErrorCode.MISSING_DEPENDENCY,
        ),
        UnsupportedError,
    ),
    **dict.fromkeys(
        (ErrorCode.HEADER_CRC, ErrorCode.SECTION_CRC, ErrorCode.CONTENT_DIGEST, ErrorCode.MANIFEST_BLOCK), ChecksumError
    ),
    **dict.fromkeys(
        (
            ErrorCode.BAD_VARINT,
            ErrorCode.MINOR_VERSION,
            ErrorCode.STREAM_OVERLONG,
            ErrorCode.PADDING,
            ErrorCode.NON_CANONICAL,
            ErrorCode.TRAILING_DATA,
        ),
        NonCanonicalError,
    ),
    ErrorCode.LIMIT: LimitError,
    **dict.fromkeys(
        (
            ErrorCode.POOL_SIZE_MISMATCH,
            ErrorCode.POOL_MISMATCH,
            ErrorCode.POOL_UNIDENTIFIED,
            ErrorCode.GROUPS_MISMATCH,
            ErrorCode.GROUPS_REQUIRED,
        ),
        PoolMismatchError,
    ),
    ErrorCode.INVALID_ARGUMENT: InvalidInputError,
}


def error(code: ErrorCode, message: str, *, offset: int | None = None, section: str | None = None) -> PladaError:
    """The exception for ``code``, of the class that SPEC.md's table names."""
    return _CLASSES.get(code, CorruptError)(code, message, offset=offset, section=section)


def _rebuild(code: int, message: str, offset: int | None, section: str | None) -> PladaError:
    return error(ErrorCode(code), message, offset=offset, section=section)
