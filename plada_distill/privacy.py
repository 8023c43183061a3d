"""Differential privacy of single images: clipping, Gaussian noise at the client, and the accountant of a kept library.

What one answer is: every image takes part with chance q, on its own (Poisson sampling). Its gradient is scaled down to
norm C at most and added to the sum of its class; every class's sum, empty ones too, gets Gaussian noise of standard
deviation ``noise * C`` in each coordinate. An image lies in one class only, so adding or removing it moves all sums
together by at most C: one answer is one Poisson-sampled Gaussian mechanism. Sums are divided by a constant that does
not depend on the data. Nothing else leaves the client: no class counts, no list of classes held.

What it protects: whether one particular image is among a client's data, from everybody who sees that client's
answers, the server included, for a client that follows the protocol and a server that sends the agreed plan.
What it does not protect: a client as a whole (all its images together), class proportions beyond single images, the
number of images (taken as public), the labels against a server that knows the image; and it is no defence against
clients that send wrong gradients. Gaussian noise is drawn in floating point by torch's generator, seeded from the
operating system: attacks on such noise are known, and not countered.
"""

from __future__ import annotations

import math
import os
import secrets
from pathlib import Path

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from plada_format.errors import UserError

from .augment import augment
from .data import Images
from .gradients import POOLED, GradientRequest, Gradients
from .plan import Federation

_CHUNK = 32  # images whose single gradients are in memory together


def noisy_gradients(
    network: nn.Module,
    images: Images,
    request: GradientRequest,
    federation: Federation,
    generator: torch.Generator | None = None,
) -> Gradients:
    """One private answer, see the module's text. Every class has one, and every count is 1.

    Args:
        network, images, request: as for :meth:`plada_distill.gradients.LocalSource.gradients`.
        federation: clip, noise, sample rate.
        generator: of sampling and noise, for tests alone; by default a new one from the operating system's entropy,
            which the server cannot know.
    """
    if generator is None:
        generator = torch.Generator().manual_seed(secrets.randbits(63))
    taken = torch.rand(len(images), generator=generator) < federation.sample_rate
    labels = [POOLED] if request.pooled else range(images.num_classes)
    found: dict[int, list[torch.Tensor]] = {}
    for label in labels:
        rows = torch.nonzero(taken if label == POOLED else taken & (images.labels == label)).flatten()
        pixels = augment(images.pixels[rows], request.augment, request.augment_seed(label), siamese=True)
        sums = clipped_sum(network, pixels, images.labels[rows], federation.clip)
        deviation = federation.noise * federation.clip
        found[label] = [
            (part + torch.randn(part.shape, generator=generator) * deviation) / request.batch for part in sums
        ]
    return Gradients(found, dict.fromkeys(found, 1))


def clipped_sum(network: nn.Module, pixels: torch.Tensor, labels: torch.Tensor, clip: float) -> list[torch.Tensor]:
    """Sum of the gradients of single images, each scaled down to norm ``clip`` at most (over all parameters together).

    Args:
        network: without batch statistics.
        pixels, labels: n images; none give zeros.
        clip: largest norm, above 0.
    """
    names = [name for name, _ in network.named_parameters()]
    values = {name: value.detach() for name, value in network.named_parameters()}

    def loss(parameters: dict[str, torch.Tensor], image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        logits = functional_call(network, parameters, (image.unsqueeze(0),))
        return functional.cross_entropy(logits, label.unsqueeze(0))

    single = vmap(grad(loss), in_dims=(None, 0, 0))
    sums = [torch.zeros_like(values[name]) for name in names]
    for start in range(0, len(labels), _CHUNK):
        parts = single(values, pixels[start : start + _CHUNK], labels[start : start + _CHUNK])
        squares = sum(parts[name].flatten(1).square().sum(1) for name in names)
        factors = (clip / torch.as_tensor(squares).sqrt().clamp_min(1e-12)).clamp_max(1.0)
        for total, name in zip(sums, names):
            total += torch.einsum("n,n...->...", factors, parts[name])
    return sums


def epsilon(noise: float, sample_rate: float, answers: int, delta: float) -> float:
    """Epsilon of (epsilon, delta) differential privacy after ``answers`` answers of one client.

    By dp-accounting's Renyi accountant for Poisson-sampled Gaussian mechanisms, under adding or removing one image.

    Raises:
        UserError: arguments out of range.
        ImportError: dp-accounting is not installed.
    """
    if noise <= 0 or not 0 < sample_rate <= 1 or answers < 0 or not 0 < delta < 1:
        raise UserError("privacy: noise above 0, sample rate in (0, 1], delta in (0, 1), no negative count")
    if not answers:
        return 0.0
    import dp_accounting
    from dp_accounting import rdp

    event = dp_accounting.PoissonSampledDpEvent(sample_rate, dp_accounting.GaussianDpEvent(noise))
    accountant = rdp.RdpAccountant()
    accountant.compose(event, answers)
    return float(accountant.get_epsilon(delta))


class Ledger:
    """Counts what every client may have answered, on disk before it is asked: a killed run that asks again pays again.

    Args:
        path: a file that grows by one line per question.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def spend(self) -> None:
        """Note one question to all clients."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(b"1\n")
            file.flush()
            os.fsync(file.fileno())

    def count(self) -> int:
        """Questions noted so far."""
        return self.path.read_bytes().count(b"\n") if self.path.is_file() else 0


def statement(federation: Federation, answers: int) -> str:
    """One plain sentence for reports: what was guaranteed."""
    if not federation.clip:
        return "No privacy mechanism: clients' class gradients were sent as they are and can give images away."
    if not federation.noise:
        return f"Gradients of single images were clipped to norm {federation.clip:g} without noise: no guarantee."
    spent = epsilon(federation.noise, federation.sample_rate, answers, federation.delta)
    shown = f"{spent:.2f}" if math.isfinite(spent) else "infinite"
    return (
        f"Each single image of a client has ({shown}, {federation.delta:g}) differential privacy against everybody who"
        f" sees that client's {answers} answers (clip {federation.clip:g}, noise multiplier {federation.noise:g},"
        f" sample rate {federation.sample_rate:g}); a client as a whole has not."
    )
