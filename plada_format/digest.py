"""Content digest (SPEC.md section 4)."""

from __future__ import annotations

import hashlib

import numpy as np

from ._types import U16, U32

_DOMAIN = b"plada content 1\0"


def content_digest(pool_size: int, num_classes: int, indices: U32, labels: U16) -> bytes:
    """First 8 bytes of the SHA-256 over N, k, K, indices and labels."""
    sha = hashlib.sha256(_DOMAIN)
    sha.update(np.array([pool_size, len(indices), num_classes], "<u4").tobytes())
    sha.update(np.ascontiguousarray(indices, "<u4").data)
    sha.update(np.ascontiguousarray(labels, "<u2").data)
    return sha.digest()[:8]
