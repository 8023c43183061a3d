"""Linear and two-layer heads on frozen features: seconds instead of hours, and the best choice for a few hundred
images.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .loop import Recipe, run_loop
from .models import LoadedModel, classifier_name
from .targets import Targets

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class Head:
    """A trained head. Feature standardisation is folded into the first layer.

    Attributes:
        layers: (weight float32 (out, in), bias float32 (out,)) of one or two layers, ReLU between them.
        metrics: ``train_loss``, and ``val_accuracy`` if a validation set was given.
        recipe: as used.
    """

    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
    metrics: dict[str, float] = field(default_factory=dict)
    recipe: Recipe | None = None

    @property
    def hidden(self) -> int | None:
        """Width of the hidden layer, None for a linear head."""
        return len(self.layers[0][1]) if len(self.layers) == 2 else None

    @property
    def num_classes(self) -> int:
        return len(self.layers[-1][1])

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (n, D) -> float32 (n, K)."""
        values = np.asarray(features, np.float32)
        for number, (weight, bias) in enumerate(self.layers):
            if number:
                values = np.maximum(values, 0)
            values = values @ weight.T + bias
        return values

    def describe(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"kind": "linear"} if self.hidden is None else {"kind": "mlp", "hidden": self.hidden}


def train_head(
    features: NDArray[np.float32],
    targets: Targets,
    *,
    recipe: Recipe | None = None,
    hidden: int | None = None,
    val: tuple[NDArray[np.float32], NDArray[np.int64]] | None = None,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> Head:
    """Train a head on features.

    Args:
        features: float32 (n, D), of a frozen backbone.
        targets: n targets.
        recipe: by default :meth:`Recipe.head` for n.
        hidden: width of a hidden layer; None for a linear head.
        val: features and labels (int64) of a validation set; decides the epoch if the recipe keeps the best.
        device: where to train.
        progress: show a bar.

    Raises:
        UserError: no images, or features that are not finite.
    """
    import torch

    values = np.ascontiguousarray(features, np.float32)
    if values.ndim != 2 or len(values) != len(targets):
        raise UserError(f"features must have one row for each of {len(targets)} images, not shape {values.shape}")
    if not len(values) or not np.isfinite(values).all():
        raise UserError("no image to train on" if not len(values) else "features are not finite: broken weights?")
    chosen = recipe or Recipe.head(len(values))
    where = torch.device(device)
    middle = values.mean(0, dtype=np.float64)
    # One image, or a dead feature, has no spread: leave its scale alone.
    spread = values.std(0, dtype=np.float64)
    scale = 1 / np.where(spread > 1e-6, spread, 1.0)

    def standardise(given: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(((given - middle) * scale).astype(np.float32)).to(where)

    module = _module(values.shape[1], hidden, targets.num_classes, chosen.seed).to(where)
    validate = None
    if val is not None:
        inputs, truth = standardise(val[0]), torch.from_numpy(np.ascontiguousarray(val[1], np.int64)).to(where)

        def validate(net: nn.Module) -> dict[str, float]:
            logits = net(inputs)
            return {
                "accuracy": float((logits.argmax(1) == truth).double().mean()),
                "loss": float(torch.nn.functional.cross_entropy(logits, truth)),
            }

    data = TensorData(standardise(values))
    result = run_loop(
        module, data, targets, chosen, device=where, validate=validate, progress=progress, description="head"
    )
    layers = [
        (part.weight.detach().cpu().double().numpy(), part.bias.detach().cpu().double().numpy())
        for part in module
        if isinstance(part, torch.nn.Linear)
    ]
    weight, bias = layers[0]
    layers[0] = (weight * scale, bias - (weight * scale) @ middle)
    metrics = {"train_loss": result.best["loss"]}
    if "val_accuracy" in result.best:
        metrics |= {"val_accuracy": result.best["val_accuracy"], "val_loss": result.best["val_loss"]}
    return Head(tuple((w.astype(np.float32), b.astype(np.float32)) for w, b in layers), metrics, chosen)


class TensorData:
    """Inputs that fit into memory, as :class:`plada_train.loop.TrainData`."""

    def __init__(self, inputs: torch.Tensor) -> None:
        self.inputs = inputs

    def __len__(self) -> int:
        return len(self.inputs)

    def batches(
        self, order: NDArray[np.int64], batch_size: int, seed: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Rows of the tensor."""
        import torch

        rows = torch.from_numpy(order).to(self.inputs.device)
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            yield self.inputs[part], part


def _module(dim: int, hidden: int | None, classes: int, seed: int) -> nn.Sequential:
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(seed)
    if hidden is None:
        layer = nn.Linear(dim, classes)
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        return nn.Sequential(layer)
    first, second = nn.Linear(dim, hidden), nn.Linear(hidden, classes)
    for layer in (first, second):
        nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(first, nn.ReLU(), second)


def attach_head(model: LoadedModel, head: Head) -> LoadedModel:
    """A copy of ``model`` whose classifier is ``head``: ``module(x)`` gives ``head.logits(features of x)``."""
    import torch

    module = build_classifier(copy.deepcopy(model.module), head.num_classes, head.hidden)
    linears = [
        part for part in module.get_submodule(classifier_name(module)).modules() if isinstance(part, torch.nn.Linear)
    ]
    with torch.no_grad():
        for layer, (weight, bias) in zip(linears, head.layers):
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
    return dataclasses.replace(model, module=module.eval(), num_classes=head.num_classes, head=head.describe())


def build_classifier(module: nn.Module, num_classes: int, hidden: int | None) -> nn.Module:
    """Give a timm model a fresh classifier, linear or with one hidden layer, in place.

    Raises:
        UserError: the classifier is no plain linear layer.
    """
    from torch import nn

    cast(Any, module).reset_classifier(num_classes)
    name = classifier_name(module)
    layer = module.get_submodule(name)
    if not isinstance(layer, nn.Linear):
        raise UserError(
            f"the classifier of this architecture is a {type(layer).__name__}, not a linear layer; choose another"
        )
    if hidden is not None:
        parent, _, leaf = name.rpartition(".")
        device = layer.weight.device
        setattr(
            module.get_submodule(parent),
            leaf,
            nn.Sequential(nn.Linear(layer.in_features, hidden), nn.ReLU(), nn.Linear(hidden, num_classes)).to(device),
        )
    return module
