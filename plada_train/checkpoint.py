"""A trained classifier on disk: ``model.safetensors`` (weights, and all facts in its header) and ``model.json``
(the facts, to read).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

from .heads import build_classifier
from .models import LoadedModel, feature_dim_of, load_state, model_digest
from .preprocess import Preprocess
from .timm_guard import import_timm

WEIGHTS_NAME, FACTS_NAME = "model.safetensors", "model.json"
_KIND = "plada classifier"
_VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """A classifier read back.

    Attributes:
        model: in eval mode, on the CPU.
        class_names: one per output.
        metrics: as saved.
        meta: all facts.
        digest: of the weights, see :func:`plada_train.models.model_digest`.
    """

    model: LoadedModel
    class_names: tuple[str, ...]
    metrics: dict[str, Any]
    meta: dict[str, Any]
    digest: str


def save_checkpoint(
    folder: Path | str,
    model: LoadedModel,
    *,
    class_names: Sequence[str],
    metrics: Mapping[str, Any] | None = None,
    seed: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write a classifier; the folder is made if missing, an older checkpoint in it is replaced.

    Args:
        folder: where.
        model: classifier with one output per class name.
        class_names: in the order of the outputs.
        metrics, seed, extra: facts to keep; JSON values.

    Returns:
        The folder.

    Raises:
        UserError: the number of names differs from the number of outputs.
        OSError: it cannot be written.
    """
    import torch
    from safetensors.torch import save

    if len(class_names) != model.num_classes:
        raise UserError(f"{len(class_names)} class names for a model with {model.num_classes} outputs")
    target = Path(folder)
    facts: dict[str, Any] = {
        "kind": _KIND,
        "version": _VERSION,
        "arch": model.arch,
        "weights": model.weights if not model.weights.endswith(".safetensors") else Path(model.weights).name,
        "num_classes": model.num_classes,
        "head": dict(model.head),
        "preprocess": model.preprocess.to_json(),
        "class_names": list(class_names),
        "metrics": dict(metrics or {}),
        "seed": seed,
        "digest": model_digest(model.module),
        "torch": torch.__version__,
        "timm": import_timm().__version__,
        "extra": dict(extra or {}),
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False)
    state = {name: value.detach().cpu().contiguous() for name, value in model.module.state_dict().items()}
    target.mkdir(parents=True, exist_ok=True)
    with atomic_write(target / FACTS_NAME) as file:
        file.write(text.encode() + b"\n")
    with atomic_write(target / WEIGHTS_NAME) as file:  # last: where it is, the checkpoint is whole
        file.write(save(state, metadata={"plada": text}))
    return target


def load_checkpoint(folder: Path | str) -> Checkpoint:
    """Read a classifier that :func:`save_checkpoint` wrote.

    Only ``model.safetensors`` is read: its header holds the facts, so the two cannot disagree.

    Args:
        folder: the folder, or the safetensors file.

    Raises:
        UserError: no checkpoint there, damaged, or of a newer version.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(folder)
    path = path / WEIGHTS_NAME if path.is_dir() or path.suffix != ".safetensors" else path
    if not path.is_file():
        raise UserError(f"{path}: no such file; is this the folder of a trained model?")
    try:
        with safe_open(str(path), framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("plada", "null"))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, ValueError) as problem:
        raise UserError(f"{path}: damaged checkpoint ({problem})") from None
    if not isinstance(facts, dict) or facts.get("kind") != _KIND:
        raise UserError(f"{path}: not a classifier saved by plada (for bare weights use --weights)")
    if facts.get("version") != _VERSION:
        raise UserError(f"{path}: checkpoint version {facts.get('version')}; this plada reads {_VERSION}")
    try:
        names = tuple(str(name) for name in facts["class_names"])
        head, classes, arch = dict(facts["head"]), int(facts["num_classes"]), str(facts["arch"])
        preprocess = Preprocess.from_json(facts["preprocess"])
        hidden = int(head["hidden"]) if head["kind"] == "mlp" else None
        metrics = dict(facts["metrics"])
        weights, digest = str(facts["weights"]), str(facts["digest"])
    except (KeyError, TypeError, ValueError) as problem:
        raise UserError(f"{path}: its facts are damaged ({problem!r})") from None
    timm = import_timm()
    if not timm.is_model(arch):
        raise UserError(
            f"{path}: timm {timm.__version__} has no model {arch!r}; it was saved with timm {facts.get('timm')}"
        )
    module = build_classifier(timm.create_model(arch, pretrained=False), classes, hidden)
    load_state(module, state, str(path))
    if model_digest(module) != digest:
        raise UserError(f"{path}: the weights do not have the digest that was saved with them")
    model = LoadedModel(module.eval(), arch, weights, classes, feature_dim_of(module), preprocess, head)
    return Checkpoint(model, names, metrics, facts, digest)
