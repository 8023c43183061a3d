"""What goes to a worker and what comes back (README.md has the layout)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

ANSWER = 13  # bytes
_NUMBERS = struct.Struct("<III")

#: Codes of the runner's own, where a worker gave no answer.
ESCAPED, DIED, HANGS = 255, 254, 253
OWN_CODES = {ESCAPED: "EXCEPTION", DIED: "DIED", HANGS: "HANGS"}


@dataclass(frozen=True, slots=True)
class Case:
    """A file, and what its reader is told to expect.

    Attributes:
        file: the bytes.
        pool_size: N that the reader expects, or None.
        fingerprint: 16 bytes that the reader expects, or None.
        groups: the pool's group starts, or None.
        limit_pool, limit_kept: largest N and k without ``pool_size``.
    """

    file: bytes
    pool_size: int | None = None
    fingerprint: bytes | None = None
    groups: tuple[int, ...] | None = None
    limit_pool: int = 1 << 28
    limit_kept: int = 1 << 25

    def request(self) -> bytes:
        """The bytes for a worker."""
        given = (self.pool_size, self.fingerprint, self.groups)
        flags = sum(1 << bit for bit, value in enumerate(given) if value is not None)
        starts = self.groups or ()
        rest = b"".join((
            bytes((flags,)),
            (self.pool_size or 0).to_bytes(4, "little"),
            self.fingerprint or bytes(16),
            _NUMBERS.pack(self.limit_pool, self.limit_kept, len(starts)),
            struct.pack(f"<{len(starts)}I", *starts),
            len(self.file).to_bytes(4, "little"),
            self.file,
        ))  # fmt: skip
        return len(rest).to_bytes(4, "little") + rest


def case_of(request: bytes) -> Case:
    """The case of a request without its first four bytes.

    Raises:
        ValueError: the request is shorter or longer than its fields say.
    """
    if len(request) < 37:
        raise ValueError("request shorter than its fields")
    flags = request[0]
    limit_pool, limit_kept, count = _NUMBERS.unpack_from(request, 21)
    at = 33 + 4 * count
    if len(request) < at + 4 or len(request) != at + 4 + int.from_bytes(request[at : at + 4], "little"):
        raise ValueError("request does not have the length that its fields say")
    return Case(
        file=request[at + 4 :],
        pool_size=int.from_bytes(request[1:5], "little") if flags & 1 else None,
        fingerprint=request[5:21] if flags & 2 else None,
        groups=struct.unpack_from(f"<{count}I", request, 33) if flags & 4 else None,
        limit_pool=limit_pool,
        limit_kept=limit_kept,
    )


@dataclass(frozen=True, slots=True, order=True)
class Answer:
    """What a worker made of a file.

    Attributes:
        code: error code, 0 if the file is accepted.
        digest: content digest of what was decoded, computed anew; zeros unless accepted.
        count: k; 0 unless accepted.
    """

    code: int
    digest: bytes = field(default=bytes(8))
    count: int = 0

    def pack(self) -> bytes:
        """The bytes for the runner."""
        return bytes((self.code,)) + self.digest + self.count.to_bytes(4, "little")


def answer_of(data: bytes) -> Answer:
    """The answer in 13 bytes."""
    return Answer(data[0], data[1:9], int.from_bytes(data[9:13], "little"))
