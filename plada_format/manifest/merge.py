"""Join manifests of consecutive ranges of a pool into the manifest of the whole."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..errors import UserError
from .layout import BLOCK_ENTRIES
from .reader import Manifest
from .writer import ManifestWriter, refuse


def merge_manifests(
    path: str | os.PathLike[str],
    parts: Sequence[str | os.PathLike[str]],
    *,
    name: str | None = None,
    overwrite: bool = False,
) -> bytes:
    """Write the manifest of the pool whose consecutive ranges ``parts`` describe; return its fingerprint (16 bytes).

    The bytes are those of one single build (given the same zlib library). Every block of every part is verified.
    Opens one part at a time; memory as for :class:`ManifestBuilder`.

    Args:
        path: where the manifest will stand.
        parts: manifests in pool order; all but the last hold a multiple of 65,536 images.
        name: name of the pool; None = that of the parts, which must then agree.
        overwrite: whether to replace a file at ``path``.

    Raises:
        UserError: no parts, parts of different names, some with groups and some without, or ``path`` exists.
        InvalidInputError: a part that is not the last ends inside a block, or two images share a key.
        PladaError: a part is damaged.
    """
    if not parts:
        raise UserError("no manifests to merge: name at least one part")
    names: dict[str, str] = {}
    grouped: dict[bool, str] = {}
    for part in parts:
        with Manifest.open(part) as manifest:
            names.setdefault(manifest.name, str(part))
            if len(manifest):
                grouped.setdefault(manifest.has_groups, str(part))
    if name is None and len(names) > 1:
        raise UserError(f"parts have different pool names ({', '.join(map(repr, names))}): say which name to use")
    if len(grouped) > 1:
        raise UserError(f"{grouped[True]} has groups and {grouped[False]} has none: build all parts alike")
    writer = ManifestWriter(path, next(iter(names)) if name is None else name, overwrite=overwrite)
    try:
        base = 0
        for part in parts:
            if base % BLOCK_ENTRIES:
                raise refuse(f"the parts before {part} hold {base} images, which is no multiple of {BLOCK_ENTRIES}")
            with Manifest.open(part) as manifest:
                starts = manifest.group_starts
                if starts is not None:
                    for group, start in zip(manifest.group_names, starts.tolist(), strict=True):
                        writer.start_group(group.encode(), base + start)
                for block in range(manifest.blocks):
                    writer.append_block(*manifest.block_content(block))
                base += len(manifest)
        return writer.finish()
    finally:
        writer.close()
