"""Uncertainties of a classifier's logits: float32, **smaller is kept first**. Selecting the other end is a matter of
the order, never of a sign."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float32 = NDArray[np.float32]

LOGIT_CRITERIA = ("energy", "entropy", "max_logit", "margin")
CRITERIA = (*LOGIT_CRITERIA, "random", "consensus")


def _logits(logits: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(logits, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"logits must be (images, classes) with at least one class, got shape {array.shape}")
    return array


def energy(logits: ArrayLike, temperature: float = 1.0) -> Float32:
    """Free energy ``E(x; T) = -T log sum_j exp(f_j / T)`` (paper Eq. 5 and 8).

    Args:
        logits: (images, classes).
        temperature: T > 0; 1 is the paper's main text.

    Returns:
        float32 (images,). Adding a to all logits of an image lowers it by a.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    z = _logits(logits) / temperature
    top = z.max(axis=1)
    with np.errstate(invalid="ignore"):
        values: Float32 = (-temperature * (top + np.log(np.exp(z - top[:, None]).sum(axis=1)))).astype(np.float32)
    return values


def entropy(logits: ArrayLike) -> Float32:
    """Shannon entropy of the softmax in nats, float32 (images,); without cancellation, so confident images keep
    distinct values."""
    return _softmax_scores(_logits(logits))[0]


def max_logit(logits: ArrayLike) -> Float32:
    """Minus the largest logit, float32 (images,)."""
    values: Float32 = (-_logits(logits).max(axis=1)).astype(np.float32)
    return values


def margin(logits: ArrayLike) -> Float32:
    """``1 - (p_1 - p_2)`` of the two largest softmax probabilities, float32 (images,) in [0, 1]; 0 where there is only
    one class."""
    return _softmax_scores(_logits(logits))[1]


def _softmax_scores(z: NDArray[np.float64]) -> tuple[Float32, Float32]:
    rows = np.arange(len(z))
    first = z.argmax(axis=1)
    with np.errstate(invalid="ignore"):
        gap = z[rows, first][:, None] - z  # >= 0
        weight = np.exp(-gap)
        weight[rows, first] = 0.0
        others = weight.sum(axis=1)
        log_total = np.log1p(others)
        total = 1.0 + others
        # H = sum_j p_j (log Z - f_j); every term is >= 0
        spread = np.where(weight > 0, weight * (gap + log_total[:, None]), 0.0).sum(axis=1)
        entropies = (log_total + spread) / total
        margins = (others + (weight.max(axis=1) if z.shape[1] > 1 else 0.0)) / total
    broken = ~np.isfinite(z[rows, first])
    entropies[broken] = margins[broken] = np.nan
    return entropies.astype(np.float32), margins.astype(np.float32)


def score_columns(logits: ArrayLike, temperature: float = 1.0) -> dict[str, NDArray[Any]]:
    """All that a score table keeps of a batch of logits.

    Returns:
        label uint16 (images,): argmax, ties to the lower class; and energy, entropy, max_logit, margin float32
        (images,).
    """
    z = _logits(logits)
    entropies, margins = _softmax_scores(z)
    return {
        "label": z.argmax(axis=1).astype(np.uint16),
        "energy": energy(z, temperature),
        "entropy": entropies,
        "max_logit": max_logit(z),
        "margin": margins,
    }


# Criteria of the whole table, as 32 sortable bits per image.


def order_bits(score: ArrayLike) -> NDArray[np.uint32]:
    """uint32 whose integer order is the numeric order of float32 ``score``; -0 equals +0. The value for NaN is
    meaningless: exclude it."""
    values = np.asarray(score, dtype=np.float32) + np.float32(0)  # -0 -> +0; a copy, so the rest is in place
    bits = values.view(np.uint32)
    sign = bits >> np.uint32(31)
    np.negative(sign, out=sign)  # all ones where negative
    sign |= np.uint32(0x80000000)
    bits ^= sign
    return bits


def random_bits(indices: ArrayLike, seed: int) -> NDArray[np.uint32]:
    """uint32 per pool index, a counter-based hash (SplitMix64 of seed and index): the same for an index whatever else
    is asked for."""
    mask = (1 << 64) - 1
    start = _splitmix_int(seed & mask)
    with np.errstate(over="ignore"):
        z = np.asarray(indices, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z += np.uint64(start)
        z ^= z >> np.uint64(30)
        z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27)
        z *= np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(32)).astype(np.uint32)


def _splitmix_int(value: int) -> int:
    mask = (1 << 64) - 1
    z = (value + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def ranks(bits: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Rank of each entry, uint32, in the order of (bits, position): a permutation of 0 .. n-1."""
    keys = (bits.astype(np.uint64) << np.uint64(32)) | np.arange(len(bits), dtype=np.uint64)
    keys.sort()
    keys &= np.uint64(0xFFFFFFFF)
    out = np.empty(len(bits), np.uint32)
    out[keys] = np.arange(len(bits), dtype=np.uint32)
    return out


def consensus_bits(scores: list[NDArray[np.float32]]) -> NDArray[np.uint32]:
    """Cost of consensus filtering (paper, Appendix D.2.2) as an integer: the largest rank over the criteria.

    The paper's normalised rank r_i = rank / (N - 1) is the same order; the integer has no rounding.

    Args:
        scores: one float32 (images,) uncertainty per criterion, finite.
    """
    cost: NDArray[np.uint32] | None = None
    for score in scores:
        rank = ranks(order_bits(score))
        cost = rank if cost is None else np.maximum(cost, rank, out=cost)
    if cost is None:
        raise ValueError("consensus needs at least one criterion")
    return cost
