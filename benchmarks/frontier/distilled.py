"""One image per class made by gradient matching, as JPEG: what a distilled set would cost and give."""

from __future__ import annotations

import io
from collections.abc import Iterator

from plada_select.baselines.jpeg import to_jpeg

from .data import TaskData

QUALITIES = (30, 75)
#: As benchmarks.distill's runs of one image per class.
SIZE, WIDTH, ITERATIONS, IMAGE_RATE, REAL_BATCH = 32, 32, 50, 1.0, 64


def pictures(data: TaskData, seed: int) -> list[bytes]:
    """PNG files of one distilled image per class, in the order of the classes: DSA's gradient matching from random
    real images, on a ConvNet-3 of 32 channels, images of 32 px."""
    from PIL import Image

    from plada_distill import LocalSource, NetSpec, Settings, distil, first_images, load_images
    from plada_distill.data import denormalise

    train = load_images(data.task.split("train"), size=SIZE)
    settings = Settings(
        images_per_class=1, iterations=ITERATIONS, image_lr=IMAGE_RATE, real_batch=REAL_BATCH, init="real",
        network=NetSpec(WIDTH), seed=seed,
    )  # fmt: skip
    initial = first_images(settings, train.class_names, train.channels, train.size, train)
    made = distil(settings, LocalSource(train), initial).synthetic.images
    assert made.labels.tolist() == list(range(data.task.num_classes)), "one image per class, in their order"
    out = []
    for pixels in denormalise(made.pixels):
        file = io.BytesIO()
        Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0]).save(file, "PNG")
        out.append(file.getvalue())
    return out


def files(data: TaskData, seed: int) -> Iterator[tuple[int, list[bytes]]]:
    """Qualities, and the distilled images as JPEGs of them."""
    made = pictures(data, seed)
    for quality in QUALITIES:
        yield quality, [file for picture in made if (file := to_jpeg(picture, quality)) is not None]
