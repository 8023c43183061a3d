"""The run: gradient matching with a fresh network in each iteration, saved after each, the same bits when resumed.

The algorithm is that of dataset condensation (DC; with augmentation, DSA), with the real gradients asked from a
:class:`plada_distill.gradients.GradientSource`; with a federation behind it this is our reconstruction of DistDD, see
docs/distdd.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from plada_format.errors import UserError

from .convnet import make_network
from .data import Images
from .gradients import GradientRequest, GradientSource
from .matching import ImageStep, image_gradient, train_inner
from .pictures import write_sheet
from .settings import Draw, Settings, seed_of
from .state import State, load_state, run_identity, save_state
from .synthetic import SyntheticSet, save_synthetic

Evaluator = Callable[[Images], dict[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """What a run gave.

    Attributes:
        synthetic: the set.
        history: one entry per iteration: ``iteration`` (from 1), ``loss`` (mean distance per step and class),
            ``seconds``, sums of the source's facts, and what the evaluator returned.
    """

    synthetic: SyntheticSet
    history: list[dict[str, Any]]


def first_images(settings: Settings, class_names: Sequence[str], channels: int, size: int, given: Images | None = None
                 ) -> Images:
    """The synthetic set before the first step: labels in order of the classes.

    Args:
        settings: images per class, init, seed.
        class_names, channels, size: of the task.
        given: for init ``real``: training images; for ``pool``: public images, whose labels are ignored.

    Raises:
        UserError: too few images, or of another shape.
    """
    classes, each = len(class_names), settings.images_per_class
    labels = torch.arange(classes).repeat_interleave(each)
    generator = torch.Generator().manual_seed(seed_of(settings.seed, Draw.IMAGES))
    if settings.init == "noise":
        pixels = torch.randn((classes * each, channels, size, size), generator=generator)
        return Images(pixels, labels, tuple(class_names))
    if given is None:
        raise UserError(f"init {settings.init} needs images to start from")
    if tuple(given.pixels.shape[1:]) != (channels, size, size):
        raise UserError(
            f"images to start from have shape {tuple(given.pixels.shape[1:])}, the task {(channels, size, size)}"
        )
    if settings.init == "real":
        from .training import random_subset

        return Images(random_subset(given, each, settings.seed).pixels.clone(), labels, tuple(class_names))
    if len(given) < classes * each:
        raise UserError(f"the pool gives {len(given)} images to start from, {classes * each} are needed")
    chosen = torch.randperm(len(given), generator=generator)[: classes * each]
    return Images(given.pixels[chosen].clone(), labels, tuple(class_names))


def distil(
    settings: Settings,
    source: GradientSource,
    initial: Images,
    *,
    folder: Path | str | None = None,
    evaluate: Evaluator | None = None,
    evaluate_every: int = 0,
    save_every: int = 1,
    device: torch.device | str = "cpu",
    progress: bool = False,
    facts: dict[str, Any] | None = None,
) -> Outcome:
    """Distil.

    Args:
        settings: see there.
        source: who answers with real gradients.
        initial: see :func:`first_images`.
        folder: state, pictures over time and the result go here; an existing run of the same settings goes on.
        evaluate: measures the set as it is.
        evaluate_every: iterations between two measurements; 0: never.
        save_every: iterations between two checkpoints.
        device: where to compute.
        progress: show a bar.
        facts: to keep with the result.

    Raises:
        UserError: the folder holds another run; a gradient is no longer finite.
    """
    where = torch.device(device)
    home = None if folder is None else Path(folder)
    run = run_identity(settings, initial.pixels, source.identity())
    state = None
    if home is not None:
        home.mkdir(parents=True, exist_ok=True)
        state = load_state(home, run)
    if state is None:
        state = State(initial.pixels.clone(), torch.zeros_like(initial.pixels))
        _snapshot(home, initial, state.images, 0)
    if len(state.history) > settings.iterations:
        raise UserError(
            f"{folder} holds a run of {len(state.history)} iterations already, more than {settings.iterations}"
        )
    images, labels = state.images.to(where), initial.labels.to(where)
    step_images = ImageStep(images, state.momentum.to(where), settings)
    done = len(state.history)
    from plada_train.loader import progress_bar

    with progress_bar(settings.iterations, "distil", show=progress, unit="it", done=done) as bar:
        for iteration in range(done, settings.iterations):
            started = time.perf_counter()
            entry = _iteration(settings, source, step_images, labels, initial, iteration)
            entry["seconds"] = round(time.perf_counter() - started, 3)
            last = iteration + 1 == settings.iterations
            if evaluate is not None and evaluate_every and ((iteration + 1) % evaluate_every == 0 or last):
                entry |= evaluate(Images(images.detach().cpu(), initial.labels, initial.class_names))
            state.history.append(entry)
            if home is not None and (last or (iteration + 1) % save_every == 0):
                _snapshot(home, initial, images, iteration + 1)
                save_state(home, State(images, step_images.momentum, state.history), run)
            bar.set_postfix(loss=f"{entry['loss']:.3f}")
            bar.update(1)
    final = Images(images.detach().cpu().clone(), initial.labels, initial.class_names)
    synthetic = SyntheticSet(
        final, {"settings": settings.to_json(), "run": run, "iterations_done": len(state.history), **(facts or {})}
    )
    if home is not None:
        save_synthetic(home, synthetic)
    return Outcome(synthetic, state.history)


def _iteration(
    settings: Settings,
    source: GradientSource,
    step_images: ImageStep,
    labels: torch.Tensor,
    initial: Images,
    iteration: int,
) -> dict[str, Any]:
    images = step_images.images
    network = make_network(
        settings.network,
        initial.channels,
        initial.size,
        initial.num_classes,
        seed_of(settings.seed, Draw.NETWORK, iteration),
    ).to(images.device)
    total = 0.0
    facts: dict[str, Any] = {}
    for step in range(settings.steps):
        request = GradientRequest(
            iteration, step, settings.seed, settings.real_batch, settings.pooled, settings.augment
        )
        target = source.gradients(network, request)
        gradient, gap = image_gradient(network, images, labels, target, settings, request)
        if not bool(torch.isfinite(gradient).all()):
            raise UserError(
                f"iteration {iteration + 1}, step {step + 1}: the gradient is not finite; lower the rates"
            )
        step_images(gradient)
        total += gap
        for name, value in target.facts.items():
            facts[name] = facts.get(name, 0) + value
        if step + 1 < settings.steps:  # after the last step nobody looks at this network again
            train_inner(network, images, labels, settings, iteration, step)
    return {"iteration": iteration + 1, "loss": total / settings.steps, **facts}


def _snapshot(home: Path | None, initial: Images, pixels: torch.Tensor, done: int) -> None:
    """Pictures after 0, 1, 2, 5, 10, 20, 50, ... iterations."""
    if home is None:
        return
    leading = done / 10 ** math.floor(math.log10(done)) if done else 1
    if leading in (1, 2, 5):
        shown = Images(pixels.detach().cpu(), initial.labels, initial.class_names)
        write_sheet(home / "pictures" / f"{done:06d}.png", shown)
