"""How good a classifier is on labelled images: accuracy, per class, confusion matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .decode import Status, status_counts
from .features import extract_features
from .loader import BatchLoader, progress_bar
from .models import LoadedModel, classifier_name
from .preprocess import Normalise
from .sources import ImageSource, LabelledImages

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class Evaluation:
    """Result on n labelled images.

    Attributes:
        accuracy: share of all n images that are right; an image that cannot be decoded counts as wrong.
        per_class: float64 (K,), the same within each true class; NaN for a class without images.
        confusion: int64 (K, K), images of true class row that were called column. Undecodable images are in none.
        class_counts: int64 (K,), images of each true class.
        count: n.
        status: how many images of each kind were met, by name.
        class_names: K names.
    """

    accuracy: float
    per_class: NDArray[np.float64]
    confusion: NDArray[np.int64]
    class_counts: NDArray[np.int64]
    count: int
    status: dict[str, int]
    class_names: tuple[str, ...]

    @property
    def standard_error(self) -> float:
        """Of the accuracy, for n independent images: sqrt(p (1 - p) / n)."""
        return math.sqrt(self.accuracy * (1 - self.accuracy) / self.count)

    @property
    def balanced_accuracy(self) -> float:
        """Mean over the classes that have images."""
        return float(np.nanmean(self.per_class))

    def to_json(self) -> dict[str, Any]:
        """Plain values; classes without images have ``null``."""
        return {
            "accuracy": self.accuracy,
            "standard_error": self.standard_error,
            "balanced_accuracy": self.balanced_accuracy,
            "count": self.count,
            "status": self.status,
            "classes": [
                {"name": name, "count": int(total), "accuracy": None if math.isnan(value) else float(value)}
                for name, total, value in zip(self.class_names, self.class_counts, self.per_class.tolist())
            ],
            "confusion": self.confusion.tolist(),
        }


def evaluate_logits(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    class_names: tuple[str, ...],
    status: NDArray[np.uint8] | None = None,
) -> Evaluation:
    """Compare logits float32 (n, K) with labels int64 (n,).

    Args:
        logits: the highest decides; ties go to the lower class.
        labels: the truth.
        class_names: K names.
        status: uint8 (n,); unusable images count as wrong.

    Raises:
        UserError: nothing to evaluate, or shapes that do not fit.
    """
    truth = np.asarray(labels, np.int64)
    classes = len(class_names)
    if logits.shape != (len(truth), classes) or not len(truth):
        raise UserError(f"cannot compare logits of shape {logits.shape} with {len(truth)} labels of {classes} classes")
    if not 0 <= truth.min() <= truth.max() < classes:
        raise UserError(f"labels must lie between 0 and {classes - 1}")
    states = np.zeros(len(truth), np.uint8) if status is None else np.asarray(status, np.uint8)
    called = logits.argmax(1)
    seen = states < Status.UNREADABLE
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (truth[seen], called[seen]), 1)
    totals = np.bincount(truth, minlength=classes)
    with np.errstate(invalid="ignore", divide="ignore"):
        per_class = np.where(totals > 0, confusion.diagonal() / totals, np.nan)
    right = int(confusion.diagonal().sum())
    return Evaluation(
        right / len(truth), per_class, confusion, totals, len(truth), status_counts(states), tuple(class_names)
    )


def predict_logits(
    model: LoadedModel,
    source: ImageSource,
    *,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
    threads: int | None = None,
    cache: Path | str | None = None,
    progress: bool = True,
    description: str = "predict",
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Logits float32 (n, K) and status uint8 (n,) of all images of ``source``; zeros where unusable.

    With ``cache`` the backbone's features are kept there (see :func:`plada_train.features.extract_features`): use it
    for
    models with a frozen backbone.
    """
    import torch

    where = torch.device(device)
    if cache is not None:
        features = extract_features(
            model,
            source,
            cache=cache,
            batch_size=batch_size,
            device=where,
            threads=threads,
            progress=progress,
            description=description,
        )
        layer = model.module.get_submodule(classifier_name(model.module))
        with torch.inference_mode():
            logits = layer(torch.from_numpy(features.values).to(where)).float().cpu().numpy()
        return logits, features.status
    module = model.module.to(device=where, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    rule = model.preprocess.for_source(source)
    normalise = Normalise(rule, where)
    loader = BatchLoader(source, None, rule, batch_size=batch_size, threads=threads, pad_last=True)
    parts: list[NDArray[np.float32]] = []
    states: list[NDArray[np.uint8]] = []
    with progress_bar(len(source), description, show=progress) as bar, torch.inference_mode():
        for batch in loader:
            found = module(normalise(batch)).float().cpu().numpy()[: len(batch.indices)]
            found[batch.status >= Status.UNREADABLE] = 0
            parts.append(found)
            states.append(batch.status)
            bar.update(len(batch.indices))
    if not parts:
        return np.zeros((0, model.num_classes), np.float32), np.zeros(0, np.uint8)
    return np.concatenate(parts), np.concatenate(states)


def evaluate(
    model: LoadedModel,
    images: LabelledImages,
    *,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
    threads: int | None = None,
    cache: Path | str | None = None,
    progress: bool = True,
    description: str = "evaluate",
) -> Evaluation:
    """Evaluate a classifier on labelled images. Arguments as in :func:`predict_logits`.

    Raises:
        UserError: no image, or another number of classes than the model has.
    """
    if model.num_classes != len(images.class_names):
        raise UserError(
            f"the model knows {model.num_classes} classes, {images.source.spec} has {len(images.class_names)}"
        )
    logits, status = predict_logits(
        model,
        images.source,
        batch_size=batch_size,
        device=device,
        threads=threads,
        cache=cache,
        progress=progress,
        description=description,
    )
    return evaluate_logits(logits, images.labels, images.class_names, status)


class Validation:
    """Validator for the training loop: accuracy and loss on images that are decoded once."""

    def __init__(
        self, model: LoadedModel, images: LabelledImages, device: torch.device, threads: int | None = None
    ) -> None:
        import torch

        rule = model.preprocess.for_source(images.source)
        self._batches = list(BatchLoader(images.source, None, rule, batch_size=128, threads=threads))
        self._usable = [torch.from_numpy(batch.status < Status.UNREADABLE).to(device) for batch in self._batches]
        self._labels = list(torch.split(torch.from_numpy(images.labels).to(device), 128))
        self._count = len(images)
        self._normalise = Normalise(rule, device)

    def __call__(self, module: nn.Module) -> dict[str, float]:
        from torch.nn import functional

        right = loss = 0.0
        for batch, good, labels in zip(self._batches, self._usable, self._labels):
            logits = cast(Any, module)(self._normalise(batch)).float()
            right += float(((logits.argmax(1) == labels) & good).sum())
            loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
        return {"accuracy": right / self._count, "loss": loss / self._count}
