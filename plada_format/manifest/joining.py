"""Payload + pool manifest -> file names and labels."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ErrorCode, error
from .reader import Manifest


class _Header(Protocol):
    @property
    def pool_size(self) -> int: ...
    @property
    def pool_fingerprint(self) -> bytes | None: ...


class _Payload(Protocol):
    @property
    def header(self) -> _Header: ...
    @property
    def indices(self) -> NDArray[Any]: ...
    @property
    def labels(self) -> NDArray[Any]: ...


def check_pool(header: _Header, manifest: Manifest, *, allow_unidentified: bool = False) -> None:
    """Check that a payload belongs to the pool of ``manifest``: size, then fingerprint. Reads nothing more.

    Args:
        header: header of a payload.
        manifest: manifest of the pool.
        allow_unidentified: whether a payload that names no pool may pass on its size alone.

    Raises:
        PoolMismatchError: POOL_SIZE_MISMATCH, POOL_UNIDENTIFIED (the payload has no fingerprint) or POOL_MISMATCH.
    """
    if header.pool_size != len(manifest):
        raise error(
            ErrorCode.POOL_SIZE_MISMATCH,
            f"payload is for a pool of {header.pool_size} images, {manifest.name!r} has {len(manifest)}",
            section="header",
        )
    found = header.pool_fingerprint
    if found is None or not any(found):
        if not allow_unidentified:
            raise error(
                ErrorCode.POOL_UNIDENTIFIED,
                f"payload does not say which pool it is for; allow that only if you know that it is {manifest.name!r}",
                section="header",
            )
    elif bytes(found) != manifest.fingerprint:
        raise error(
            ErrorCode.POOL_MISMATCH,
            f"payload is for pool {bytes(found).hex()}, {manifest.name!r} is {manifest.fingerprint.hex()}",
            section="header",
        )


def join(
    payload: _Payload, manifest: Manifest, *, allow_unidentified: bool = False
) -> tuple[list[str], NDArray[np.uint16]]:
    """File names and labels of a payload's images.

    Checks pool size and fingerprint, and verifies the blocks of the manifest that the payload touches; reads no others.
    Does not look at image files: compare them with ``manifest.digests(payload.indices)`` or ``manifest.check_image``.

    Args:
        payload: a decoded payload (``.header``, ``.indices``, ``.labels``).
        manifest: manifest of the pool.
        allow_unidentified: whether a payload that names no pool may pass on its size alone.

    Returns:
        ``keys``, k strings, and ``labels``, uint16, shape (k,), both in the payload's (rising) order of indices.

    Raises:
        PoolMismatchError: as :func:`check_pool`.
        PladaError: MANIFEST_BLOCK or MANIFEST_CORRUPT, a block that the payload needs is damaged.
    """
    check_pool(payload.header, manifest, allow_unidentified=allow_unidentified)
    return manifest.keys(payload.indices), np.asarray(payload.labels, np.uint16)
