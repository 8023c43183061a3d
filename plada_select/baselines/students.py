"""Who is trained on what a baseline sends: always the same student, judged on the same test set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError
from plada_train.decode import Status
from plada_train.sources import ImageSource, LabelledImages, SubsetSource

if TYPE_CHECKING:
    from plada_train import Evaluation, Head, LoadedModel, Recipe

BACKBONE = "pretrained backbone"
POOL = "pool"
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Target:
    """The labelled target training set, which only the server has.

    Attributes:
        images: n images, or None where no baseline sends any.
        features: float32 (n, D) of the student's frozen backbone, or None.
        labels: int64 (n,).
    """

    images: LabelledImages | None
    features: Floats | None
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name, rows in (("images", self.images), ("features", self.features)):
            if rows is not None and len(rows) != len(self.labels):
                raise UserError(f"target: {len(rows)} {name} but {len(self.labels)} labels")


class Student(Protocol):
    """Trains on images of the pool or on others, and is judged on the test set."""

    name: str
    class_names: tuple[str, ...]
    holds: tuple[str, ...]

    def fit_pool(self, indices: NDArray[Any], labels: NDArray[Any], *, seed: int = 0) -> Evaluation:
        """Train on pool images ``indices`` (m,) with ``labels`` (m,)."""
        ...

    def fit_images(self, images: LabelledImages, *, seed: int = 0) -> Evaluation:
        """Train on other images."""
        ...

    def target_model(self, target: Target, *, seed: int = 0) -> LoadedModel:
        """The same network trained on the target itself: what would be sent where weights are sent."""
        ...


class HeadStudent:
    """A head on features of a frozen backbone: seconds per training.

    Args:
        backbone: where other images than the pool's are trained on (JPEGs), and for sending all weights; may be None.
        class_names: K names.
        pool_features: float32 (N, D), all pool images.
        test_features, test_labels: float32 (T, D), int64 (T,).
        pool_status, test_status: uint8, as :class:`plada_train.Features` has them.
        recipe: of the training, or a function of (count, seed); by default :meth:`plada_train.Recipe.head`.
        hidden: width of a hidden layer; None for a linear head.
        cache: folder for features of other images.
        device: where to train and extract.

    Raises:
        UserError: shapes that do not fit.
    """

    batch = 64  # images per forward pass; smaller requests are filled up, so asking for a few costs as much

    def __init__(
        self,
        backbone: LoadedModel | None,
        *,
        class_names: Sequence[str],
        pool_features: Floats,
        test_features: Floats,
        test_labels: NDArray[np.int64],
        pool_status: NDArray[np.uint8] | None = None,
        test_status: NDArray[np.uint8] | None = None,
        recipe: Recipe | Callable[[int, int], Recipe] | None = None,
        hidden: int | None = None,
        cache: Path | str | None = None,
        device: str = "cpu",
    ) -> None:
        if len(test_features) != len(test_labels) or pool_features.shape[1:] != test_features.shape[1:]:
            raise UserError(
                f"features of shape {pool_features.shape} (pool) and {test_features.shape} (test) do not go with"
                f" {len(test_labels)} test labels"
            )
        self.backbone, self.class_names = backbone, tuple(class_names)
        self.pool_features, self.pool_status = pool_features, pool_status
        self.test_features, self.test_labels, self.test_status = test_features, test_labels, test_status
        self.recipe, self.hidden, self.cache, self.device = recipe, hidden, cache, device
        kind = "linear classifier" if hidden is None else f"classifier with {hidden} hidden units"
        self.name = f"{kind} on frozen {'features' if backbone is None else backbone.arch}"
        self.holds: tuple[str, ...] = (BACKBONE,)
        self._seen: dict[bytes, tuple[Floats, int]] = {}

    def fit_pool(self, indices: NDArray[Any], labels: NDArray[Any], *, seed: int = 0) -> Evaluation:
        """See :class:`Student`."""
        status = None if self.pool_status is None else self.pool_status[indices]
        return self.judge(self.train(self.pool_features[indices], labels, status, seed))

    def fit_images(self, images: LabelledImages, *, seed: int = 0) -> Evaluation:
        """See :class:`Student`."""
        values, status = self.features(images.source)
        return self.judge(self.train(values, images.labels, status, seed))

    def train(self, features: Floats, labels: NDArray[Any], status: NDArray[np.uint8] | None, seed: int) -> Head:
        """A head on the usable ones of these features."""
        from plada_train import Recipe, Targets, train_head

        targets = np.asarray(labels, np.int64)
        if status is not None:
            good = status < Status.UNREADABLE
            features, targets = features[good], targets[good]
        recipe = self.recipe or Recipe.head
        chosen = recipe(len(targets), seed) if callable(recipe) else recipe.replace(seed=seed)
        goals = Targets(targets, len(self.class_names))
        return train_head(features, goals, recipe=chosen, hidden=self.hidden, device=self.device)

    def judge(self, head: Head) -> Evaluation:
        """On the test set."""
        return self.judge_logits(head.logits(self.test_features))

    def judge_logits(self, logits: Floats) -> Evaluation:
        """On the test set, from logits float32 (T, K)."""
        from plada_train import evaluate_logits

        return evaluate_logits(logits, self.test_labels, self.class_names, self.test_status)

    def knows(self, file: bytes) -> bool:
        """Whether :meth:`features` has computed this encoded image."""
        return hashlib.sha256(file).digest() in self._seen

    def features(self, source: ImageSource) -> tuple[Floats, NDArray[np.uint8]]:
        """Features float32 (n, D) and status uint8 (n,); every image is computed once."""
        from plada_train import extract_features

        if self.backbone is None:
            raise UserError("this student has no backbone: give one to train it on other images than the pool's")
        digests = [source.image_digest(i) for i in range(len(source))]
        new = [i for i, digest in enumerate(digests) if digest not in self._seen]
        if new:
            found = extract_features(
                self.backbone,
                SubsetSource(source, new),
                preprocess=self.backbone.preprocess.for_source(source),
                cache=self.cache,
                batch_size=self.batch,
                device=self.device,
                progress=False,
            )
            for row, place in enumerate(new):
                self._seen[digests[place]] = (found.values[row], int(found.status[row]))
        values = np.stack([self._seen[digest][0] for digest in digests])
        return values, np.array([self._seen[digest][1] for digest in digests], np.uint8)

    def target_model(self, target: Target, *, seed: int = 0) -> LoadedModel:
        """See :class:`Student`."""
        from plada_train import attach_head

        if self.backbone is None or target.features is None:
            raise UserError("sending the student's weights needs its backbone and the target's features")
        return attach_head(self.backbone, self.train(target.features, target.labels, None, seed))


class TunedStudent:
    """A student whose weights are really trained, by :func:`plada_train.fit_classifier`: minutes per training.

    Args:
        arch, weights, mode, input_size: see there.
        pool: images in the order of the manifest.
        test: judged on.
        cache, work_dir, device, progress: see there; every training gets its own folder in ``work_dir``.
        options: further arguments of ``fit_classifier``.
    """

    def __init__(
        self,
        arch: str,
        weights: str,
        *,
        pool: ImageSource,
        test: LabelledImages,
        mode: str = "finetune",
        input_size: int | None = None,
        cache: Path | str | None = None,
        work_dir: Path | str | None = None,
        device: str = "auto",
        progress: bool = False,
        **options: Any,
    ) -> None:
        self.pool, self.test, self.class_names = pool, test, test.class_names
        self.device, self.progress = device, progress
        self.work_dir = None if work_dir is None else Path(work_dir)
        self.options = {
            "arch": arch, "weights": weights, "mode": mode, "input_size": input_size, "cache": cache, **options,
        }  # fmt: skip
        self.name = f"{arch}, {mode}"
        self.holds: tuple[str, ...] = () if weights == "none" else (BACKBONE,)

    def fit_pool(self, indices: NDArray[Any], labels: NDArray[Any], *, seed: int = 0) -> Evaluation:
        """See :class:`Student`."""
        chosen = np.asarray(indices, np.int64)
        images = LabelledImages(SubsetSource(self.pool, chosen), np.asarray(labels, np.int64), self.class_names)
        return self.fit_images(images, seed=seed)

    def fit_images(self, images: LabelledImages, *, seed: int = 0) -> Evaluation:
        """See :class:`Student`."""
        from plada_train import evaluate, pick_device

        model = self._fit(images, seed)
        return evaluate(model, self.test, device=pick_device(self.device), progress=self.progress)

    def target_model(self, target: Target, *, seed: int = 0) -> LoadedModel:
        """See :class:`Student`."""
        if target.images is None:
            raise UserError("sending the student's weights needs the target's images")
        return self._fit(target.images, seed)

    def _fit(self, images: LabelledImages, seed: int) -> LoadedModel:
        from plada_train import fit_classifier

        folder = None
        if self.work_dir is not None:
            mark = hashlib.sha256(f"{images.source.spec}\0{seed}".encode() + images.labels.tobytes())
            for i in range(len(images)):
                mark.update(images.source.key(i).encode())
            folder = self.work_dir / mark.hexdigest()[:16]
        trained = fit_classifier(
            images, seed=seed, work_dir=folder, device=self.device, progress=self.progress, **self.options
        )
        return trained.model
