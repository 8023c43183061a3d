"""Small pictures as data URIs."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from plada_train.sources import ImageSource

SIDE = 64  # CSS pixels
_KEEP_SIDE = 96  # stored files up to this side and size go in as they are
_KEEP_BYTES = 6000
_TYPES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PN": "image/png", b"RIF": "image/webp", b"GIF": "image/gif"}


def thumbnail(data: bytes) -> str | None:
    """Data URI of an image file, None if it cannot be decoded. Small files go in unchanged, others are made small."""
    from PIL import Image

    from plada_train.decode import decode_pil

    image, status = decode_pil(data)
    if image is None:
        return None
    kind = _TYPES.get(data[:3])
    if kind and status == 0 and max(image.size) <= _KEEP_SIDE and len(data) <= _KEEP_BYTES:
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    if side > _KEEP_SIDE:
        image = image.resize((_KEEP_SIDE, _KEEP_SIDE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"


def picture(uri: str | None, alt: str) -> str:
    """An ``img``, or a box that says that there is none. ``alt`` must be escaped."""
    if uri is None:
        return f'<span class="nothing" role="img" aria-label="{alt}, cannot be shown">?</span>'
    return f'<img src="{uri}" width="{SIDE}" height="{SIDE}" alt="{alt}" title="{alt}" decoding="async">'


def pool_pictures(source: ImageSource, positions: NDArray[np.int64]) -> list[str | None]:
    """Thumbnails at these positions of a source; None where -1 or unreadable."""
    uris: list[str | None] = []
    for position in positions.tolist():
        try:
            uris.append(None if position < 0 else thumbnail(source.read(position)))
        except OSError:
            uris.append(None)
    return uris
