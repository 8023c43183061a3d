"""Bytes of an image file -> 8-bit RGB pixels, by one stated rule for every odd kind of image, with a status byte.

The rules, in the order in which they apply:

1. Only JPEG, PNG, WebP, GIF, BMP and TIFF, told by the first bytes, never by the file name. Anything else: ``FORMAT``.
2. More than ``max_pixels`` pixels by the header: ``TOO_LARGE``; nothing is decoded.
3. Of several frames or pages the first is taken: ``ANIMATED``.
4. Integer grey of 16 bits is divided by 256, RGB of 16 bits likewise: ``DEEP``. 32-bit and float images have no stated
   range: ``FORMAT``.
5. Palette images take their palette's colours: ``PALETTE``. Grey, 1 bit too, goes to all three channels: ``GREY``.
6. Transparency is composited on white: ``ALPHA``.
7. CMYK goes to RGB as ``R = (255 - C)(255 - K) / 255`` and so on: ``CMYK``. Colour profiles are ignored.
8. The EXIF orientation is applied: ``ROTATED``. Unreadable EXIF data counts as none.
9. Data that end too early are ``TRUNCATED`` (no half images), other damage is ``UNDECODABLE``.
"""

from __future__ import annotations

import io
import warnings
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

# Pillow prints every oddity of TIFF and EXIF data; here the status byte tells.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")

MAX_PIXELS = 1 << 26  # 67 million: 8192 x 8192; the largest photos in ImageNet-21K stay below
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_ORIENTATION = 0x0112


class Status(IntEnum):
    """What became of an image, one byte. Below 128 it is usable, and the value is the sum of what was done to it."""

    OK = 0
    GREY = 1
    PALETTE = 2
    ALPHA = 4
    CMYK = 8
    DEEP = 16
    ROTATED = 32
    ANIMATED = 64
    UNREADABLE = 128
    EMPTY = 129
    FORMAT = 130
    TRUNCATED = 131
    UNDECODABLE = 132
    TOO_LARGE = 133


def usable(status: int) -> bool:
    """Whether an image with this status has pixels."""
    return status < Status.UNREADABLE


def status_counts(statuses: ArrayLike) -> dict[str, int]:
    """How many images of each kind there are, by lower-case name; an image with two conversions counts for both.

    Args:
        statuses: status bytes, any shape.
    """
    values, counts = np.unique(np.asarray(statuses, np.uint8), return_counts=True)
    total: dict[str, int] = {}
    for value, count in zip(values.tolist(), counts.tolist()):
        if value >= Status.UNREADABLE or value == Status.OK:
            names = [Status(value).name if value in Status._value2member_map_ else f"status {value}"]
        else:
            names = [flag.name for flag in Status if 0 < flag < Status.UNREADABLE and value & flag]
        for name in names:
            total[name.lower()] = total.get(name.lower(), 0) + count
    return total


def decode_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[NDArray[np.uint8] | None, int]:
    """Decode one image file by the rules above. Never raises on bad bytes.

    Args:
        data: the encoded file.
        max_pixels: width times height from which on an image is refused.

    Returns:
        Pixels uint8 (height, width, 3), or None; and the status byte.
    """
    image, status = decode_pil(data, max_pixels=max_pixels)
    return (None if image is None else np.asarray(image)), status


def decode_pil(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[Image.Image | None, int]:
    """As :func:`decode_image`, giving a loaded Pillow image of mode RGB."""
    if not data:
        return None, Status.EMPTY
    kind = _sniff(data)
    if kind is None:
        return None, Status.FORMAT
    try:
        with Image.open(io.BytesIO(data), formats=(kind,)) as image:
            if image.width * image.height > max_pixels:
                return None, Status.TOO_LARGE
            status = Status.ANIMATED if getattr(image, "is_animated", False) else 0
            if kind == "PNG" and data[24:25] == b"\x10":
                status |= Status.DEEP
            image.load()  # before EXIF: asking a PNG for that loads it too, and errors of the load would go unseen
            return _to_rgb(image, status, _orientation(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None, Status.TOO_LARGE
    except (MemoryError, RecursionError):
        return None, Status.UNDECODABLE
    except Exception as problem:  # Pillow's plugins raise nearly anything on damaged files
        return None, _failure(problem, data, kind)


def _sniff(data: bytes) -> str | None:
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[:2] == b"BM":
        return "BMP"
    if data[:4] in (b"II*\0", b"MM\0*"):
        return "TIFF"
    return None


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF data must not cost the image
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _to_rgb(image: Image.Image, status: int, orientation: int) -> tuple[Image.Image | None, int]:
    if image.mode.startswith("I;16") or (image.mode == "I" and status & Status.DEEP):
        grey = np.asarray(image).astype(np.int64).clip(0, 65_535) >> 8
        image = _keep_info(Image.fromarray(grey.astype(np.uint8)), image.info)
        image.info.pop("transparency", None)  # a 16-bit colour key means nothing for 8 bits
        status |= Status.DEEP
    if image.mode in ("I", "F"):
        return None, Status.FORMAT
    if image.mode in ("P", "PA"):
        status |= Status.PALETTE
    elif image.mode in ("1", "L", "LA", "La"):
        status |= Status.GREY
    elif image.mode == "CMYK":
        status |= Status.CMYK
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
        # An image that only could be transparent, and is not, needs no compositing but is the same either way.
        paper = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        image = _keep_info(Image.alpha_composite(paper, layer).convert("RGB"), {})
        status |= Status.ALPHA
    elif image.mode != "RGB":
        image = image.convert("RGB")
    if orientation != 1:
        image = image.transpose(_TURNS[orientation])
        status |= Status.ROTATED
    return image, status


def _keep_info(image: Image.Image, info: dict[Any, Any]) -> Image.Image:
    image.info = dict(info)
    return image


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _failure(problem: Exception, data: bytes, kind: str) -> int:
    text = str(problem).lower()
    if isinstance(problem, EOFError) or "truncated" in text or "unexpected end" in text or "eof" in text:
        return Status.TRUNCATED
    if kind == "WEBP" and int.from_bytes(data[4:8], "little") + 8 > len(data):
        return Status.TRUNCATED
    if kind == "PNG" and not data.rstrip(b"\0").endswith(b"IEND\xaeB`\x82"):
        return Status.TRUNCATED
    if kind == "JPEG" and b"\xff\xd9" not in data[-64:]:
        return Status.TRUNCATED
    return Status.UNDECODABLE
