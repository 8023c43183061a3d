"""Each odd kind of image: a real file of that kind, its pixels after the rule, its status; and all kinds of damage."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from plada_train import Status, decode_image, open_source, status_counts, usable


def encode(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photo(pool_images: list[bytes]) -> Image.Image:
    """A real photo, cut to a non-square so that turning it shows."""
    return Image.open(io.BytesIO(pool_images[0])).convert("RGB").crop((0, 0, 64, 40))


def pixels(data: bytes) -> tuple[np.ndarray, int]:
    found, status = decode_image(data)
    assert found is not None and found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3
    return found, status


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF"])
def test_plain_lossless(photo: Image.Image, format: str) -> None:
    found, status = pixels(encode(photo, format))
    assert status == Status.OK and (found == np.asarray(photo)).all()


def test_plain_webp_and_jpeg(photo: Image.Image) -> None:
    assert (pixels(encode(photo, "WEBP", lossless=True))[0] == np.asarray(photo)).all()
    found, status = pixels(encode(photo, "JPEG", quality=95, subsampling=0))
    assert status == 0 and np.abs(found.astype(int) - np.asarray(photo)).mean() < 3


def test_real_pool_images_are_plain_or_grey(pool_spec: str) -> None:
    source = open_source(pool_spec)
    states = [pixels(source.read(index))[1] for index in range(300)]
    assert set(states) <= {Status.OK, Status.GREY} and states.count(Status.GREY) >= 1


def test_grey(photo: Image.Image) -> None:
    grey = photo.convert("L")
    for data in (encode(grey, "JPEG"), encode(grey, "PNG")):
        found, status = pixels(data)
        assert (
            status == Status.GREY and (found[..., 0] == found[..., 1]).all() and (found[..., 1] == found[..., 2]).all()
        )
    assert (pixels(encode(grey, "PNG"))[0][..., 0] == np.asarray(grey)).all()
    found, status = pixels(encode(photo.convert("1"), "PNG"))
    assert status == Status.GREY and set(np.unique(found)) <= {0, 255}


def test_palette(photo: Image.Image) -> None:
    few = photo.quantize(16)
    for format in ("PNG", "GIF", "BMP"):
        found, status = pixels(encode(few, format))
        assert status == Status.PALETTE and (found == np.asarray(few.convert("RGB"))).all()


def test_transparency_goes_on_white(photo: Image.Image) -> None:
    alpha = np.zeros((40, 64), np.uint8)
    alpha[:, 32:] = 255
    alpha[0] = 128
    layer = Image.fromarray(np.dstack([np.asarray(photo), alpha]))
    found, status = pixels(encode(layer, "PNG"))
    assert status == Status.ALPHA
    assert (found[1:, :32] == 255).all() and (found[1:, 32:] == np.asarray(photo)[1:, 32:]).all()
    half = (np.asarray(photo)[0].astype(float) * 128 + 255 * 127) / 255
    assert np.abs(found[0] - half).max() <= 1
    assert (pixels(encode(layer, "WEBP", lossless=True, exact=True))[0] == found).all()
    grey = Image.merge("LA", (photo.convert("L"), Image.fromarray(alpha)))
    found, status = pixels(encode(grey, "PNG"))
    assert status == Status.ALPHA | Status.GREY and (found[1:, :32] == 255).all()


def test_transparent_palette_and_colour_key(photo: Image.Image) -> None:
    few = photo.quantize(8)
    found, status = pixels(encode(few, "GIF", transparency=3))
    assert status == Status.ALPHA | Status.PALETTE
    assert (found[np.asarray(few) == 3] == 255).all() and (np.asarray(few) == 3).any()
    found, status = pixels(encode(photo, "PNG", transparency=photo.getpixel((5, 5))))
    assert status == Status.ALPHA and (found[5, 5] == 255).all()


def test_cmyk(photo: Image.Image) -> None:
    inks = np.random.default_rng(0).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    found, status = pixels(encode(Image.fromarray(inks, "CMYK"), "TIFF"))
    wanted = (255 - inks[..., :3].astype(float)) * (255 - inks[..., 3:].astype(float)) / 255
    assert status == Status.CMYK and np.abs(found - wanted).max() <= 1
    found, status = pixels(encode(photo.convert("CMYK"), "JPEG", quality=95))
    assert status == Status.CMYK and np.abs(found.astype(int) - np.asarray(photo)).mean() < 6


def png16(values: np.ndarray, colour: int) -> bytes:
    """A PNG of 16 bits per channel; Pillow writes none for colour."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_sixteen_bits() -> None:
    grey = np.random.default_rng(0).integers(0, 65536, (9, 7), dtype=np.uint16)
    found, status = pixels(png16(grey, 0))
    assert status == Status.DEEP | Status.GREY and (found[..., 0] == grey >> 8).all()
    found, status = pixels(encode(Image.fromarray(grey), "TIFF"))
    assert status == Status.DEEP | Status.GREY and (found[..., 2] == grey >> 8).all()
    colour = np.random.default_rng(0).integers(0, 65536, (9, 7, 3), dtype=np.uint16)
    found, status = pixels(png16(colour, 2))
    assert status == Status.DEEP and np.abs(found.astype(int) - (colour >> 8)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(photo: Image.Image, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    array = np.asarray(photo)
    wanted = {
        1: array,
        2: array[:, ::-1],
        3: array[::-1, ::-1],
        4: array[::-1],
        5: array.transpose(1, 0, 2),
        6: np.rot90(array, -1),
        7: np.rot90(array, 2).transpose(1, 0, 2),
        8: np.rot90(array),
    }[orientation]
    found, status = pixels(encode(photo, "PNG", exif=exif))
    assert status == (Status.OK if orientation == 1 else Status.ROTATED)
    assert found.shape == wanted.shape and (found == wanted).all()
    assert pixels(encode(photo, "JPEG", exif=exif))[0].shape == wanted.shape


def test_broken_exif_costs_nothing(photo: Image.Image) -> None:
    for junk in (
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0garbage",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0",
    ):
        found, status = pixels(encode(photo, "JPEG", exif=junk))
        assert status == Status.OK and found.shape == (40, 64, 3)


def test_first_frame_of_many(photo: Image.Image) -> None:
    other = photo.transpose(Image.Transpose.ROTATE_180)
    for format, options in (("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})):
        data = encode(photo, format, save_all=True, append_images=[other], **options)
        found, status = pixels(data)
        assert status & Status.ANIMATED and (found == np.asarray(photo)).all(), format
    data = encode(photo.quantize(16), "GIF", save_all=True, append_images=[other.quantize(16)])
    found, status = pixels(data)
    assert status & Status.ANIMATED and (found == np.asarray(photo.quantize(16).convert("RGB"))).all()


def bomb(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    body = zlib.compress(bytes(1 << 16))
    data = struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body))
    return b"\x89PNG\r\n\x1a\n" + chunk + data + b"\0\0\0\0IEND\xaeB`\x82"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [8193, 10_000, 60_000, 2**31 - 1])
def test_bomb_is_refused_by_its_header(side: int) -> None:
    import tracemalloc

    tracemalloc.start()
    assert decode_image(bomb(side, side)) == (None, Status.TOO_LARGE)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_limit_of_pixels(photo: Image.Image) -> None:
    data = encode(photo, "PNG")
    assert decode_image(data, max_pixels=64 * 40)[1] == Status.OK
    assert decode_image(data, max_pixels=64 * 40 - 1) == (None, Status.TOO_LARGE)


def test_no_image_at_all(photo: Image.Image) -> None:
    assert decode_image(b"") == (None, Status.EMPTY)
    for data in (b"hello", b"%PDF-1.4", b"<svg/>", encode(photo, "PPM"), encode(photo, "ICO"), b"\0" * 100):
        assert decode_image(data) == (None, Status.FORMAT)
    assert decode_image(encode(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF")) == (None, Status.FORMAT)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP"])
def test_truncated(photo: Image.Image, format: str) -> None:
    data = encode(photo, format)
    for share in (0.3, 0.6, 0.9):
        found, status = decode_image(data[: int(share * len(data))])
        assert found is None and status == Status.TRUNCATED, share


def test_damaged_inside(photo: Image.Image) -> None:
    data = bytearray(encode(photo, "PNG"))
    data[60:-200] = bytes(len(data) - 260)  # no deflate stream any more; length and end of the file are right
    assert decode_image(bytes(data))[1] in (Status.UNDECODABLE, Status.TRUNCATED)
    assert decode_image(b"\xff\xd8\xff\xe0" + bytes(500) + b"\xff\xd9") == (None, Status.UNDECODABLE)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_bytes_raise(photo: Image.Image, data: st.DataObject) -> None:
    format = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]))
    raw = bytearray(encode(photo.quantize(64) if format == "GIF" else photo, format))
    for _ in range(data.draw(st.integers(0, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    found, status = decode_image(bytes(raw[: data.draw(st.integers(0, len(raw)))]), max_pixels=1 << 22)
    assert (found is None) == (not usable(status))


def test_counts() -> None:
    states = np.array([0, 0, Status.GREY, Status.GREY | Status.ROTATED, Status.TRUNCATED, 200], np.uint8)
    assert status_counts(states) == {"ok": 2, "grey": 2, "rotated": 1, "truncated": 1, "status 200": 1}
    assert status_counts(np.zeros(0, np.uint8)) == {}
