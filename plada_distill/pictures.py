"""Contact sheets of synthetic images: one row per class."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from plada_format.atomic import atomic_write

from .data import Images, denormalise


def sheet(images: Images, *, columns: int = 10, classes: int = 20, gap: int = 1) -> bytes:
    """A PNG: the first ``columns`` images of each of the first ``classes`` classes."""
    rows = []
    labels = images.labels.cpu().numpy()
    for label in range(min(images.num_classes, classes)):
        places = np.flatnonzero(labels == label)[:columns]
        if len(places):
            rows.append(denormalise(images.pixels[places]))
    side, channels = images.size, images.channels
    wide = max(len(row) for row in rows)
    canvas = np.full((len(rows) * (side + gap) + gap, wide * (side + gap) + gap, channels), 255, np.uint8)
    for down, row in enumerate(rows):
        for across, picture in enumerate(row):
            top, left = gap + down * (side + gap), gap + across * (side + gap)
            canvas[top : top + side, left : left + side] = picture
    file = io.BytesIO()
    Image.fromarray(canvas[..., 0] if channels == 1 else canvas).save(file, "PNG", optimize=True)
    return file.getvalue()


def write_sheet(path: Path, images: Images) -> None:
    """Write :func:`sheet` there; the folder is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(sheet(images))
