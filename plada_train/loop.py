"""The training loop: AdamW and a cosine schedule, for heads and whole networks, teachers and students alike.

Everything random is drawn from (seed, epoch), so that a run that is killed and resumed ends with the same weights.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

from .targets import TargetLoss, Targets

if TYPE_CHECKING:
    import torch
    from torch import nn

AUGMENTS = ("none", "flip", "crop")


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        epochs: passes over the data.
        lr: highest learning rate; falls along a cosine to 0, per step.
        weight_decay: AdamW's, on matrices and kernels only.
        batch_size: images per step; the last batch of an epoch may be smaller.
        warmup: share of all steps in which the rate rises from 0.
        label_smoothing: hard targets only.
        augment: ``none``, ``flip`` (mirrored at random), ``crop`` (random crop of 60 to 100 % of the area, and flip).
        patience: stop after so many epochs without a better validation result (where there is one); None: never.
        seed: of order, augmentation, dropout and fresh weights.
        amp: ``auto`` (bfloat16 where the device is a GPU that has it) or ``off``.
        freeze_batch_stats: keep the running statistics of batch norm as they are.
        freeze_backbone: train the classifier alone.
        keep: ``best`` (by validation, if there is any) or ``last``.
    """

    epochs: int
    lr: float = 1e-3
    weight_decay: float = 0.01
    batch_size: int = 64
    warmup: float = 0.0
    label_smoothing: float = 0.0
    augment: str = "none"
    patience: int | None = None
    seed: int = 0
    amp: str = "auto"
    freeze_batch_stats: bool = False
    freeze_backbone: bool = False
    keep: str = "best"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or self.lr <= 0 or self.weight_decay < 0:
            raise UserError("epochs, batch size and learning rate must be above 0, weight decay not below 0")
        if not 0 <= self.warmup < 1 or not 0 <= self.label_smoothing < 1:
            raise UserError("warm-up and label smoothing must lie in [0, 1)")
        if self.augment not in AUGMENTS or self.amp not in ("auto", "off") or self.keep not in ("best", "last"):
            raise UserError(f"unknown augmentation {self.augment!r}, amp {self.amp!r} or keep {self.keep!r}")
        if self.patience is not None and self.patience < 1:
            raise UserError("patience must be at least 1 epoch")

    @classmethod
    def head(cls, count: int, seed: int = 0) -> Recipe:
        """For a head on frozen features of ``count`` images: about 300 steps. Many more fit noise."""
        batch = 32 if count < 4000 else 256
        epochs = max(8, min(100, math.ceil(300 * batch / max(1, count))))
        return cls(epochs=epochs, lr=1e-3, weight_decay=0.1, batch_size=batch, seed=seed, keep="last", amp="off")

    @classmethod
    def finetune(cls, count: int, seed: int = 0) -> Recipe:
        """For a pretrained network and ``count`` images: low rate, batch statistics frozen, about 300 steps at
        least.
        """
        epochs = max(3, min(20, math.ceil(300 * 32 / max(1, count))))
        return cls(
            epochs=epochs, lr=1e-4, weight_decay=0.05, batch_size=32, warmup=0.1, augment="flip", seed=seed,
            freeze_batch_stats=True, patience=_patience(epochs),
        )  # fmt: skip

    @classmethod
    def scratch(cls, count: int, seed: int = 0) -> Recipe:
        """For random weights and ``count`` images."""
        epochs = max(10, min(100, math.ceil(2000 * 64 / max(1, count))))
        return cls(
            epochs=epochs, lr=1e-3, weight_decay=0.05, batch_size=64, warmup=0.05, augment="crop", seed=seed,
            patience=_patience(epochs),
        )  # fmt: skip

    @classmethod
    def paper(cls, pool_size: int, seed: int = 0) -> Recipe:
        """The paper's student: AdamW, rate 1e-3, cosine; 5 epochs for ImageNet-21K, 30 for ImageNet-1K or smaller
        pools.

        What the paper does not say is set plainly: batch 128, weight decay 0.01, no warm-up, no augmentation.
        """
        return cls(epochs=5 if pool_size > 5_000_000 else 30, lr=1e-3, batch_size=128, seed=seed, keep="last")

    def replace(self, **changes: Any) -> Recipe:
        """A copy with other values."""
        return dataclasses.replace(self, **changes)


class TrainData(Protocol):
    """Inputs of n samples, in any order asked for."""

    def __len__(self) -> int: ...

    def batches(
        self, order: NDArray[np.int64], batch_size: int, seed: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(inputs on the device, their rows int64 on the device) for consecutive pieces of ``order``."""
        ...


Validator = Callable[["nn.Module"], dict[str, float]]


@dataclass
class FitResult:
    """What a training run gave.

    Attributes:
        history: one entry per epoch: ``epoch``, ``loss``, ``lr``, and what the validator returned.
        best: the entry whose weights were kept.
        steps: optimiser steps made in total.
        seconds: in this process.
        resumed_at: first epoch run in this process.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    seconds: float = 0.0
    resumed_at: int = 0


def run_loop(
    module: nn.Module,
    data: TrainData,
    targets: Targets,
    recipe: Recipe,
    *,
    device: torch.device,
    validate: Validator | None = None,
    state_file: Path | None = None,
    identity: str = "",
    progress: bool = False,
    description: str = "train",
) -> FitResult:
    """Train ``module`` in place.

    Args:
        module: inputs -> logits (b, K), on ``device``.
        data, targets: n samples and what to train towards.
        recipe: see there.
        device: where to compute.
        validate: called after each epoch with the module in eval mode; must return ``accuracy`` and may return
            ``loss``. The
            best epoch is that of highest accuracy, then lowest loss, then the earliest.
        state_file: if given, everything needed to go on is written there after each epoch, atomically; an existing file
            of the same run is continued.
        identity: digest of what determines the run beside recipe and targets (start weights, data).
        progress: show a bar.
        description: its label.

    Raises:
        UserError: no data; a state file of another run; the loss is no longer finite.
    """
    import torch

    if len(data) == 0 or len(data) != len(targets):
        raise UserError(f"nothing to train on: {len(data)} inputs and {len(targets)} targets")
    _freeze(module, recipe)
    optimizer = torch.optim.AdamW(_parameter_groups(module, recipe.weight_decay), lr=recipe.lr)
    if min(len(data), recipe.batch_size) == 1:  # one image has no statistics of its own
        recipe = recipe.replace(freeze_batch_stats=True)
    alone = _lone_last_image(module, recipe, len(data))
    steps_per_epoch = math.ceil(len(data) / recipe.batch_size) - alone
    rate = _schedule(recipe, steps_per_epoch * recipe.epochs)
    loss_of = TargetLoss(targets, device, recipe.label_smoothing)
    amp = recipe.amp == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()
    run_id = _run_id(recipe, targets, identity, module)
    state = _State(state_file, run_id)
    result, best_weights = state.load(module, optimizer)
    started = time.perf_counter()
    result.resumed_at = len(result.history)
    from .device import seed_torch
    from .loader import progress_bar

    with progress_bar(recipe.epochs, description, show=progress, unit="epoch", done=len(result.history)) as bar:
        for epoch in range(len(result.history), recipe.epochs):
            if _out_of_patience(result, recipe.patience):
                break
            seed_torch(mix_seed(recipe.seed, epoch), device)
            order = np.random.default_rng([recipe.seed, epoch]).permutation(len(data)).astype(np.int64)
            _training_mode(module, recipe)
            # Apple's GPUs have no float64.
            total = torch.zeros((), device=device, dtype=torch.float32 if device.type == "mps" else torch.float64)
            seen = 0
            for inputs, rows in _batches(data, order, recipe.batch_size, mix_seed(recipe.seed, epoch, 1), alone):
                lr = rate(result.steps)
                for group in optimizer.param_groups:
                    group["lr"] = lr
                with torch.autocast(device.type, torch.bfloat16, enabled=amp):
                    logits = module(inputs)
                loss = loss_of(logits.float(), rows)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                total += loss.detach().to(total.dtype) * len(rows)
                seen += len(rows)
                result.steps += 1
            mean_loss = float(total) / max(1, seen)
            if not math.isfinite(mean_loss):
                raise UserError(
                    f"training diverged in epoch {epoch + 1}: the loss is {mean_loss}; lower the rate {recipe.lr:g}"
                )
            entry = {"epoch": epoch + 1.0, "loss": mean_loss, "lr": lr}
            if validate is not None:
                module.eval()
                with torch.inference_mode():
                    entry |= {f"val_{name}": value for name, value in validate(module).items()}
            result.history.append(entry)
            if _better(entry, result.best):
                result.best = entry
                if recipe.keep == "best" and validate is not None:
                    best_weights = {name: value.detach().clone() for name, value in module.state_dict().items()}
            state.save(module, optimizer, result, best_weights)
            bar.set_postfix(loss=f"{mean_loss:.3f}", **({"val": f"{entry['val_accuracy']:.3f}"} if validate else {}))
            bar.update(1)
    if best_weights:
        module.load_state_dict(best_weights)
    else:
        result.best = result.history[-1]
    module.eval()
    result.seconds = time.perf_counter() - started
    return result


def mix_seed(*parts: int) -> int:
    """One 63-bit seed from several numbers; the same everywhere."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "little") >> 1


def _patience(epochs: int) -> int:
    """Early stopping of the standard recipes: a quarter of the epochs without progress, three at least."""
    return max(3, math.ceil(epochs / 4))


def _better(entry: dict[str, float], best: dict[str, float]) -> bool:
    if not best or "val_accuracy" not in entry:
        return True
    return (entry["val_accuracy"], -entry.get("val_loss", 0.0)) > (best["val_accuracy"], -best.get("val_loss", 0.0))


def _out_of_patience(result: FitResult, patience: int | None) -> bool:
    if patience is None or not result.history or "val_accuracy" not in result.best:
        return False
    return result.history[-1]["epoch"] - result.best["epoch"] >= patience


def _freeze(module: nn.Module, recipe: Recipe) -> None:
    if not recipe.freeze_backbone:
        return
    from .models import classifier_name

    kept = classifier_name(module) + "."
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name.startswith(kept))


def _training_mode(module: nn.Module, recipe: Recipe) -> None:
    from torch import nn

    module.train()
    if recipe.freeze_batch_stats or recipe.freeze_backbone:
        for part in module.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.eval()


def _lone_last_image(module: nn.Module, recipe: Recipe, count: int) -> bool:
    """Whether the last batch of an epoch would be a single image whose batch statistics are asked for."""
    from torch import nn

    if recipe.freeze_batch_stats or recipe.freeze_backbone or count == 1 or count % recipe.batch_size != 1:
        return False
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())


def _batches(
    data: TrainData, order: NDArray[np.int64], batch_size: int, seed: int, alone: bool
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The batches of an epoch; a lone last image joins the batch before it."""
    if not alone:
        yield from data.batches(order, batch_size, seed)
        return
    cut = len(order) - batch_size - 1
    if cut:
        yield from data.batches(order[:cut], batch_size, seed)
    yield from data.batches(order[cut:], batch_size + 1, mix_seed(seed, 1))


def _parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]


def _schedule(recipe: Recipe, total: int) -> Callable[[int], float]:
    warm = int(recipe.warmup * total)

    def rate(step: int) -> float:
        if step < warm:
            return recipe.lr * (step + 1) / (warm + 1)
        return recipe.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))

    return rate


def _run_id(recipe: Recipe, targets: Targets, identity: str, module: nn.Module) -> str:
    names = ",".join(f"{name}{tuple(value.shape)}" for name, value in module.state_dict().items())
    text = "\0".join((json.dumps(asdict(recipe), sort_keys=True), targets.digest(), identity, names))
    return hashlib.sha256(text.encode()).hexdigest()


class _State:
    """The resume file: one safetensors file with weights, optimiser moments, best weights, and the history as
    metadata.
    """

    def __init__(self, path: Path | None, run_id: str) -> None:
        self.path = path
        self.run_id = run_id

    def load(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[FitResult, dict[str, torch.Tensor]]:
        if self.path is None or not self.path.is_file():
            return FitResult(), {}
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(self.path), framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except SafetensorError as problem:
            raise UserError(f"{self.path}: damaged ({problem}); remove it to start anew") from None
        if metadata.get("run") != self.run_id:
            raise UserError(
                f"{self.path} belongs to a run with other data or settings; --force forgets it; or use another folder"
            )
        module.load_state_dict({name[2:]: value for name, value in tensors.items() if name.startswith("m.")})
        known = optimizer.state_dict()
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("o."):
                _, number, what = name.split(".", 2)
                moments.setdefault(int(number), {})[what] = value
        optimizer.load_state_dict({"state": moments, "param_groups": known["param_groups"]})
        best = {name[2:]: value for name, value in tensors.items() if name.startswith("b.")}
        plain = json.loads(metadata["result"])
        return FitResult(plain["history"], plain["best"], plain["steps"]), best

    def save(
        self,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        result: FitResult,
        best: dict[str, torch.Tensor],
    ) -> None:
        if self.path is None:
            return
        from safetensors.torch import save

        tensors = {f"m.{name}": value for name, value in module.state_dict().items()}
        tensors |= {f"b.{name}": value for name, value in best.items()}
        for number, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"o.{number}.{what}": value for what, value in moments.items()}
        copies = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        plain = {"history": result.history, "best": result.best, "steps": result.steps}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.path) as file:
            file.write(save(copies, metadata={"run": self.run_id, "result": json.dumps(plain)}))
