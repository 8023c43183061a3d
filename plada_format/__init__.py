"""plada_format: payloads that say which images of a shared pool to use, and one label for each (SPEC.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import (
    ChecksumError,
    CorruptError,
    ErrorCode,
    InvalidInputError,
    LimitError,
    NonCanonicalError,
    NotPladaError,
    PladaError,
    PoolMismatchError,
    TruncatedError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from .accel import warmup as warmup
    from .api import decode as decode
    from .api import encode as encode
    from .api import inspect as inspect
    from .api import read as read
    from .api import recode as recode
    from .api import write as write
    from .container import Header as Header
    from .container import Section as Section
    from .limits import Limits as Limits
    from .manifest import Manifest as Manifest
    from .manifest import ManifestBuilder as ManifestBuilder
    from .manifest import group_digest as group_digest
    from .manifest import join as join
    from .manifest import merge_manifests as merge_manifests
    from .payload import Payload as Payload

__version__ = "0.2.0"

# Loaded at first use: numpy alone takes longer to import than ``plada --help`` may take.
_LAZY = {
    "Header": ".container",
    "Limits": ".limits",
    "Manifest": ".manifest",
    "ManifestBuilder": ".manifest",
    "Payload": ".payload",
    "Section": ".container",
    "decode": ".api",
    "encode": ".api",
    "group_digest": ".manifest",
    "inspect": ".api",
    "join": ".manifest",
    "merge_manifests": ".manifest",
    "read": ".api",
    "recode": ".api",
    "warmup": ".accel",
    "write": ".api",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        value = getattr(import_module(_LAZY[name], __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "ChecksumError",
    "CorruptError",
    "ErrorCode",
    "Header",
    "InvalidInputError",
    "LimitError",
    "Limits",
    "Manifest",
    "ManifestBuilder",
    "NonCanonicalError",
    "NotPladaError",
    "Payload",
    "PladaError",
    "PoolMismatchError",
    "Section",
    "TruncatedError",
    "UnsupportedError",
    "__version__",
    "decode",
    "encode",
    "group_digest",
    "inspect",
    "join",
    "merge_manifests",
    "read",
    "recode",
    "warmup",
    "write",
]
