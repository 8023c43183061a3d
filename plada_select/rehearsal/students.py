"""Who rehearses: a linear student on cached features, and at the end, if asked for, a really trained network. Both are
judged on images of the target that they were not trained on; this module never asks for the test split."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .trials import Arm

if TYPE_CHECKING:
    from plada_train import ImageSource, LabelledImages, LoadedModel, Task

_UNUSABLE = 128


@dataclass(frozen=True)
class Validation:
    """The target's images that students are judged on, as the proxy sees them.

    Attributes:
        features: float32 (n, D) of its backbone.
        labels: int64 (n,).
        status: uint8 (n,), or None where all are known to be usable.
        images: themselves, or None.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    status: NDArray[np.uint8] | None = None
    images: LabelledImages | None = None

    def __len__(self) -> int:
        return len(self.labels)


class Rows(Protocol):
    """Features of pool images by index: :class:`LazyRows`, or an array."""

    def __getitem__(self, indices: Any) -> NDArray[np.float32]: ...


def validation_images(task: Task, most: int | None = None, fill: bool = False) -> LabelledImages:
    """Images that a rehearsal's students are judged on.

    Args:
        task: target; its test split is not asked for.
        most: at most about so many, spread evenly over the classes; None for the whole validation split.
        fill: where the validation split has fewer, training images follow. The teacher has seen these; the students,
            which train on pool images alone, have not.

    Raises:
        UserError: the target has no validation split.
    """
    from plada_train import LabelledImages, SubsetSource

    places = task.positions("val")
    if most is not None and most < len(places):
        places = _some(task, places, most)
    elif most is not None and fill and most > len(places):
        places = np.concatenate([places, _some(task, task.positions("train"), most - len(places))])
    return LabelledImages(SubsetSource(task.source, places), task.labels[places], task.class_names)


def _some(task: Task, places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """About ``most`` of these positions, spread evenly over the classes."""
    if most >= len(places):
        return places
    from plada_train.sources.task import stratified_holdout

    return places[stratified_holdout(task.labels[places], most / len(places), 1)]


def open_validation(
    task: Task, backbone: LoadedModel, *, cache: Any = None, most: int | None = None, fill: bool = False, **options: Any
) -> Validation:
    """These images with the proxy's features.

    Args:
        task, most, fill: see :func:`validation_images`.
        backbone: of the proxy.
        cache: feature cache folder.
        options: further arguments of :func:`plada_train.extract_features`.
    """
    from plada_train import extract_features

    images = validation_images(task, most, fill)
    rule = backbone.preprocess.for_source(task.source)
    found = extract_features(
        backbone, images.source, preprocess=rule, cache=cache, description="validation features", **options
    )
    return Validation(found.values, images.labels, found.status, images)


class ProxyStudent:
    """A linear classifier on features of a frozen backbone, trained as ``plada train --recipe head`` trains it.

    Args:
        rows: features of pool images.
        validation: judged on.
        num_classes: K.
        pool_status: uint8 (N,), or None; :class:`LazyRows` brings its own.
        name: for the record.
        device: where to train.
        recipe: function of (count, seed); by default :meth:`plada_train.Recipe.head`.
    """

    def __init__(
        self,
        rows: Rows,
        validation: Validation,
        num_classes: int,
        *,
        pool_status: NDArray[np.uint8] | None = None,
        name: str = "proxy",
        device: str = "cpu",
        recipe: Any = None,
    ) -> None:
        self.rows, self.validation, self.num_classes = rows, validation, num_classes
        self.pool_status, self.name, self.device, self.recipe = pool_status, name, device, recipe

    def want(self, arms: Sequence[Arm]) -> None:
        """Compute the features of all images of these arms in one go, where they are computed on demand."""
        fetch = getattr(self.rows, "want", None)
        if fetch is not None and arms:
            fetch(np.unique(np.concatenate([arm.selection.indices for arm in arms])))

    def __call__(self, arm: Arm, seed: int) -> tuple[NDArray[np.bool_], float]:
        """(right bool (n,), seconds) of a student trained on the arm's selection."""
        head, seconds = self.train(arm.selection.indices, arm.selection.labels, seed)
        return self.judge(head.logits(self.validation.features)), seconds

    def train(self, indices: NDArray[Any], labels: NDArray[Any], seed: int) -> tuple[Any, float]:
        """A head, and the seconds that it took."""
        from plada_train import Recipe, Targets, train_head

        values, targets = self.rows[indices], np.asarray(labels, np.int64)
        good = self._usable(indices)
        if good is not None and not good.all():
            values, targets = values[good], targets[good]
        started = time.perf_counter()
        recipe = (self.recipe or Recipe.head)(len(targets), seed)
        head = train_head(values, Targets(targets, self.num_classes), recipe=recipe, device=self.device)
        return head, time.perf_counter() - started

    def judge(self, logits: NDArray[np.float32]) -> NDArray[np.bool_]:
        """bool (n,): right validation images; one that cannot be decoded is wrong."""
        right: NDArray[np.bool_] = logits.argmax(1) == self.validation.labels
        return right if self.validation.status is None else right & (self.validation.status < _UNUSABLE)

    def _usable(self, indices: NDArray[Any]) -> NDArray[np.bool_] | None:
        status = getattr(self.rows, "status", None)
        if self.pool_status is not None:
            found = self.pool_status[indices]
        elif status is not None:
            found = status(indices)
        else:
            return None
        usable: NDArray[np.bool_] = found < _UNUSABLE
        return usable


class TunedFinalist:
    """A network that is really trained on the images, by :func:`plada_train.fit_classifier`: minutes each on a CPU.

    Args:
        arch, weights, mode: see there.
        pool: images in pool order.
        validation: judged on.
        options: further arguments of ``fit_classifier`` (input_size, device, threads, cache, recipe).
    """

    def __init__(
        self,
        arch: str,
        weights: str,
        *,
        pool: ImageSource,
        validation: LabelledImages,
        mode: str = "finetune",
        device: str = "cpu",
        **options: Any,
    ) -> None:
        self.pool, self.validation, self.device = pool, validation, device
        self.options = {"arch": arch, "weights": weights, "mode": mode, "progress": False, **options}
        self.name = f"{arch}, {mode}"

    def __call__(self, arm: Arm, seed: int) -> tuple[NDArray[np.bool_], float]:
        """(right bool (n,), seconds) of a network trained on the arm's selection."""
        from plada_train import LabelledImages, SubsetSource, fit_classifier, pick_device, predict_logits

        started = time.perf_counter()
        source = SubsetSource(self.pool, arm.selection.indices.astype(np.int64))
        images = LabelledImages(source, arm.selection.labels.astype(np.int64), self.validation.class_names)
        trained = fit_classifier(images, seed=seed, device=self.device, **self.options)
        logits, status = predict_logits(
            trained.model, self.validation.source, device=pick_device(self.device), progress=False
        )
        right = (logits.argmax(1) == self.validation.labels) & (status < _UNUSABLE)
        return right, time.perf_counter() - started


def check_proxy(arch: str, teacher: str | None) -> None:
    """The proxy stands for clients whose backbone is not the teacher's.

    Raises:
        UserError: same architecture.
    """
    if teacher is not None and arch.split(".")[0] == str(teacher).split(".")[0]:
        raise UserError(
            f"--proxy {arch}: that is the teacher's architecture; a student that shares it says little about others"
        )
