"""Train a whole network on images with the loop of loop.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .decode import Status
from .loader import Batch, BatchLoader
from .loop import FitResult, Recipe, run_loop
from .models import LoadedModel, model_digest
from .preprocess import Normalise
from .sources import ImageSource, LabelledImages, SubsetSource
from .targets import Targets

if TYPE_CHECKING:
    import torch

_MEMORY = 1 << 30  # decoded images up to this many bytes stay in memory


class ImageData:
    """Images as training input: decoded once if they fit into memory, else anew each epoch; augmented on the device.

    Args:
        source: n images, all usable.
        model: gives the input rule.
        device: where the network is.
        augment: see :class:`plada_train.loop.Recipe`.
        threads, workers: see :class:`plada_train.loader.BatchLoader`.
    """

    def __init__(
        self,
        source: ImageSource,
        model: LoadedModel,
        device: torch.device,
        augment: str = "none",
        threads: int | None = None,
        workers: int = 0,
    ) -> None:
        self.source = source
        self.rule = model.preprocess.for_source(source)
        self.augment = augment
        self.threads = threads
        self.workers = workers
        self.normalise = Normalise(self.rule, device)
        self._pixels: torch.Tensor | None = None
        self._odd: dict[int, torch.Tensor] = {}

    def __len__(self) -> int:
        return len(self.source)

    def batches(
        self, order: NDArray[np.int64], batch_size: int, seed: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Normalised float batches (b, 3, S, S) and their rows."""
        import torch

        generator = torch.Generator().manual_seed(seed)
        for batch in self._squares(order, batch_size):
            rows = torch.from_numpy(batch.indices).to(self.normalise.device)
            yield augmented(self.normalise(batch), self.augment, generator), rows

    def _squares(self, order: NDArray[np.int64], batch_size: int) -> Iterator[Batch]:
        import torch

        if len(self) * self.rule.stored_size**2 * 3 > _MEMORY:
            yield from self._loader(order, batch_size)
            return
        if self._pixels is None:
            batches = list(self._loader(None, 256))
            self._pixels = torch.cat([batch.images for batch in batches])
            for number, batch in enumerate(batches):
                self._odd |= {256 * number + row: image for row, image in batch.odd.items()}
        for start in range(0, len(order), batch_size):
            part = order[start : start + batch_size]
            odd = {row: self._odd[index] for row, index in enumerate(part.tolist()) if index in self._odd}
            yield Batch(part, self._pixels[torch.from_numpy(part)], np.zeros(len(part), np.uint8), None, 0.0, odd)

    def _loader(self, order: NDArray[np.int64] | None, batch_size: int) -> BatchLoader:
        return BatchLoader(
            self.source, order, self.rule, batch_size=batch_size, threads=self.threads, workers=self.workers
        )


def augmented(images: torch.Tensor, kind: str, generator: torch.Generator) -> torch.Tensor:
    """Random mirror and crop of each image of a batch (b, 3, S, S); the random numbers come from ``generator``."""
    import torch
    from torch.nn import functional

    if kind == "none":
        return images
    count = len(images)
    sign = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    if kind == "flip":
        mirrored = (sign < 0).to(images.device)
        return torch.where(mirrored[:, None, None, None], images.flip(3), images)
    side = torch.sqrt(torch.rand(count, generator=generator) * 0.4 + 0.6)
    shift = (torch.rand(count, 2, generator=generator) * 2 - 1) * (1 - side)[:, None]
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0], affine[:, 1, 1] = side * sign, side
    affine[:, :, 2] = shift
    grid = functional.affine_grid(affine.to(images), list(images.shape), align_corners=False)
    cut = functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return cut.contiguous(memory_format=torch.channels_last)


def fine_tune(
    model: LoadedModel,
    images: ImageSource | LabelledImages,
    targets: Targets | None = None,
    *,
    recipe: Recipe,
    val: LabelledImages | None = None,
    work_dir: Path | str | None = None,
    device: torch.device | str = "cpu",
    threads: int | None = None,
    workers: int = 0,
    progress: bool = True,
    description: str = "fine-tune",
    check: bool = True,
) -> FitResult:
    """Train all weights of ``model`` in place (or the classifier alone, if the recipe says so).

    Args:
        model: its classifier must have ``targets.num_classes`` outputs.
        images: n images.
        targets: n targets; by default the labels of ``images``.
        recipe: see :class:`plada_train.loop.Recipe`.
        val: decides which epoch is kept, and early stopping.
        work_dir: folder for the resume file; a killed run goes on from its last whole epoch.
        device: where to train.
        threads, workers: see :class:`plada_train.loader.BatchLoader`.
        progress: show a bar.
        description: its label.
        check: decode all images once and leave out those that cannot be; False if the caller has done so.

    Raises:
        UserError: no usable image; targets of another length or number of classes; the loss diverges.
    """
    import torch

    source = images.source if isinstance(images, LabelledImages) else images
    if targets is None:
        if not isinstance(images, LabelledImages):
            raise UserError("training needs targets or labelled images")
        targets = Targets(images.labels, len(images.class_names))
    if targets.num_classes != model.num_classes:
        raise UserError(f"the model has {model.num_classes} outputs, the targets {targets.num_classes} classes")
    where = torch.device(device)
    good = usable_positions(source, model, threads) if check else np.arange(len(source))
    if len(good) < len(source):
        source, targets = SubsetSource(source, good), targets.rows(good)
    identity = (
        "" if work_dir is None else f"{model_digest(model.module)} {model.preprocess.digest()} {_keys_digest(source)}"
    )
    model.module.to(device=where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    validate = None
    if val is not None:
        from .evaluation import Validation

        validate = Validation(model, val, where, threads)
    return run_loop(
        model.module,
        ImageData(source, model, where, recipe.augment, threads, workers),
        targets,
        recipe,
        device=where,
        validate=validate,
        state_file=None if work_dir is None else Path(work_dir) / "resume.safetensors",
        identity=identity,
        progress=progress,
        description=description,
    )


def usable_positions(source: ImageSource, model: LoadedModel, threads: int | None = None) -> NDArray[np.int64]:
    """Positions of the images that can be decoded.

    Raises:
        UserError: there is none.
    """
    good = np.flatnonzero(decoded_status(source, model, threads) < Status.UNREADABLE)
    if not good.size:
        raise UserError(f"{source.spec}: none of the {len(source)} images can be used")
    return good


def decoded_status(source: ImageSource, model: LoadedModel, threads: int | None = None) -> NDArray[np.uint8]:
    """Status of every image, uint8 (n,): all are decoded once."""
    loader = BatchLoader(source, None, model.preprocess.for_source(source), batch_size=256, threads=threads)
    return np.concatenate([batch.status for batch in loader] or [np.zeros(0, np.uint8)])


def _keys_digest(source: ImageSource) -> str:
    import hashlib

    total = hashlib.sha256()
    for index in range(len(source)):
        total.update(source.key(index).encode() + b"\n")
    return total.hexdigest()
