"""One line of text that names a source: ``kind:path``, where the kind may be left out when the path shows it."""

from __future__ import annotations

from plada_format.errors import UserError

from .base import ImageSource, is_image_name
from .folder import FolderSource
from .packed import PackedSource
from .parquet import ParquetSource
from .paths import is_folder, list_folder
from .tar import TarSource

_KINDS = {
    "folder": "folder",
    "tar": "tar",
    "wds": "tar",
    "parquet": "parquet",
    "hf": "parquet",
    "npz": "npz",
}
_ENDINGS = {".tar": "tar", ".parquet": "parquet", ".npz": "npz"}


def split_spec(spec: str) -> tuple[str, str]:
    """(kind, path): kind is ``folder``, ``tar``, ``parquet`` or ``npz``.

    Raises:
        UserError: the kind cannot be told.
    """
    prefix, separator, rest = spec.partition(":")
    if separator and prefix in _KINDS and not rest.startswith("//"):
        if not rest:
            raise UserError(f"{spec!r}: a path must follow '{prefix}:'")
        return _KINDS[prefix], rest
    first = spec.split(",")[0].strip()
    for ending, kind in _ENDINGS.items():
        if first.lower().endswith(ending):
            return kind, spec
    if first and is_folder(first):
        names = list_folder(first)
        for ending, kind in _ENDINGS.items():
            if any(name.lower().endswith(ending) for name in names) and not any(map(is_image_name, names)):
                return kind, spec
        inner = f"{first.rstrip('/')}/data"
        if is_folder(inner) and any(name.endswith(".parquet") for name in list_folder(inner)):
            return "parquet", inner
        return "folder", spec
    raise UserError(f"{spec!r}: no such folder, and no kind in front (folder:, tar:, parquet: or npz:)")


def open_source(spec: str) -> ImageSource:
    """Open a collection of images.

    Args:
        spec: ``folder:DIR``, ``tar:SHARDS`` (also ``wds:``), ``parquet:FILES`` (also ``hf:``) or ``npz:FILES``. The
            prefix may
            be left out where ending or content show the kind. Several files: a comma list, ``{000..012}``, ``*``, a
            folder.
            Any path may be an fsspec URL (``s3://bucket/pool/{00..31}.tar``).

    Raises:
        UserError: the kind cannot be told, nothing is found, or a file is damaged.
        OSError: a file cannot be read.
    """
    kind, path = split_spec(spec)
    if kind == "folder":
        return FolderSource(path)
    if kind == "tar":
        return TarSource(path)
    if kind == "parquet":
        return ParquetSource(path)
    return PackedSource(path)
