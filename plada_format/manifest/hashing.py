"""The hashes that identify a pool: they cover keys, image digests and their order, not name, groups or compression."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ErrorCode, error
from .layout import DIGEST_BYTES, FINGERPRINT_BYTES, GROUP_DIGEST_BYTES, MAX_KEY_BYTES

_BLOCK_DOMAIN = b"PLADA-pool-block-v1\0"
_ROOT_DOMAIN = b"PLADA-pool-root-v1\0"
_GROUP_DOMAIN = b"PLADA-pool-groups-v1\0"
_BATCH = 4096  # entries joined before each hash update: bounds the working memory


def varint(value: int) -> bytes:
    """``value`` as the shortest LEB128: seven bits a byte, low bits first, high bit set on all but the last."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


_LENGTHS = [varint(length) for length in range(MAX_KEY_BYTES + 1)]


def block_hash(keys: Sequence[bytes], digests: bytes | memoryview) -> bytes:
    """SHA-256 (32 bytes) of one block's entries.

    Args:
        keys: UTF-8 bytes of up to 65,536 keys, in pool order.
        digests: the 32-byte SHA-256 of each image, one after the other (32 * len(keys) bytes).
    """
    digests = bytes(digests)
    state = hashlib.sha256(_BLOCK_DOMAIN)
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH]
        pieces = [b""] * (3 * len(batch))
        pieces[0::3] = [_LENGTHS[len(key)] for key in batch]
        pieces[1::3] = batch
        first, last = DIGEST_BYTES * start, DIGEST_BYTES * (start + len(batch))
        pieces[2::3] = [digests[place : place + DIGEST_BYTES] for place in range(first, last, DIGEST_BYTES)]
        state.update(b"".join(pieces))
    return state.digest()


def root_hash(pool_size: int, block_hashes: bytes) -> bytes:
    """SHA-256 (32 bytes) of pool size and all block hashes (32 bytes each, one after the other)."""
    return hashlib.sha256(_ROOT_DOMAIN + pool_size.to_bytes(4, "little") + block_hashes).digest()


def fingerprint_of(root: bytes) -> bytes:
    """The 16 bytes by which payloads name the pool. All zero means "absent" in a payload, so it is never that."""
    return _nonzero(root[:FINGERPRINT_BYTES])


def group_digest(starts: ArrayLike) -> bytes:
    """The 8 bytes by which payloads name the groups that they were coded with.

    Args:
        starts: start offset of each group, integers, shape (G,), first 0, strictly increasing, below 2^32.

    Raises:
        InvalidInputError: the offsets are not of that kind.
    """
    array = np.asarray(starts)
    if array.ndim != 1 or not array.size or array.dtype.kind not in "iu":
        raise error(ErrorCode.INVALID_ARGUMENT, "group starts must be a non-empty one-dimensional array of integers")
    if int(array[0]) != 0 or int(array.max()) >= 1 << 32 or (array[1:] <= array[:-1]).any():
        raise error(ErrorCode.INVALID_ARGUMENT, "group starts must begin with 0, rise strictly and stay below 2^32")
    offsets = array.astype("<u4").tobytes()
    whole = hashlib.sha256(_GROUP_DOMAIN + len(array).to_bytes(4, "little") + offsets).digest()
    return _nonzero(whole[:GROUP_DIGEST_BYTES])


def _nonzero(value: bytes) -> bytes:
    return value if any(value) else value[:-1] + b"\x01"
