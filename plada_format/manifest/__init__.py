"""Pool manifest: which images a pool holds, in which order, and how to prove it (SPEC.md, "Pool manifest")."""

from __future__ import annotations

from .builder import ManifestBuilder
from .hashing import block_hash, fingerprint_of, group_digest, root_hash
from .joining import check_pool, join
from .layout import BLOCK_ENTRIES, MAX_GROUPS, MAX_KEY_BYTES, MAX_NAME_BYTES, MAX_POOL_SIZE
from .merge import merge_manifests
from .reader import Manifest

__all__ = [
    "BLOCK_ENTRIES",
    "MAX_GROUPS",
    "MAX_KEY_BYTES",
    "MAX_NAME_BYTES",
    "MAX_POOL_SIZE",
    "Manifest",
    "ManifestBuilder",
    "block_hash",
    "check_pool",
    "fingerprint_of",
    "group_digest",
    "join",
    "merge_manifests",
    "root_hash",
]
