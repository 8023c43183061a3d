"""From a ranking to the payload file: class names, short metadata, optional weights and soft labels, and the byte
budget over all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plada_format as pf
from plada_format.errors import UserError

from .budget import largest_fitting
from .select import Ranking, Selection

NORMALISATIONS = {  # names that save bytes in every payload
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


def normalisation_text(mean: Sequence[float], std: Sequence[float]) -> str:
    """ "imagenet", "half", or "m,m,m/s,s,s" (one number where all channels agree)."""
    for name, (known_mean, known_std) in NORMALISATIONS.items():
        if tuple(mean) == known_mean and tuple(std) == known_std:
            return name
    parts = [(values[:1] if len(set(values)) == 1 else values) for values in (tuple(mean), tuple(std))]
    return "/".join(",".join(f"{v:g}" for v in part) for part in parts)


def parse_normalisation(text: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel from :func:`normalisation_text`.

    Raises:
        ValueError: not such a text.
    """
    if text in NORMALISATIONS:
        return NORMALISATIONS[text]
    mean, std = (tuple(float(v) for v in part.split(",")) for part in text.split("/"))
    mean, std = (values * 3 if len(values) == 1 else values for values in (mean, std))
    if len(mean) != 3 or len(std) != 3:
        raise ValueError(f"normalisation {text!r} is not of three channels")
    return mean, std


def short_metadata(task: Mapping[str, Any], extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a client needs to know of the teacher, in some forty bytes.

    Keys: ``input`` (pixels of the square input), ``norm`` (:func:`normalisation_text`), ``teacher`` (8 hex digits of
    its digest, to tell payloads of different teachers apart). ``extra`` adds keys; an empty value removes one.
    """
    out: dict[str, str] = {}
    preprocess = task.get("preprocess") or {}
    if "input_size" in preprocess:
        out["input"] = str(preprocess["input_size"])
    if "mean" in preprocess and "std" in preprocess:
        out["norm"] = normalisation_text(preprocess["mean"], preprocess["std"])
    if task.get("teacher_digest"):
        out["teacher"] = str(task["teacher_digest"])[:8]
    out.update(extra or {})
    return {key: value for key, value in sorted(out.items()) if value != ""}


def importance_weights(scores: NDArray[np.float32], temperature: float, direction: str = "low") -> NDArray[np.float32]:
    """``w_i`` proportional to ``exp(-s_i / temperature)``, normalised to mean 1 (paper, Appendix D); with direction
    "high", of +s_i.

    Args:
        scores: float32 (m,) uncertainties of the kept images.
        temperature: above 0, in units of the score.

    Returns:
        float32 (m,), mean 1, above 0.
    """
    if not temperature > 0:
        raise UserError(f"weight temperature must be positive, got {temperature}")
    s = scores.astype(np.float64)
    z = (s if direction == "high" else -s) / temperature
    weights = np.exp(z - z.max(initial=-np.inf)) if len(z) else z
    if len(z):
        weights /= weights.mean()
    return np.maximum(weights, np.finfo(np.float32).tiny).astype(
        np.float32
    )  # never 0: the format's scale is logarithmic


@dataclass(frozen=True)
class PayloadSpec:
    """Everything of the file that is not the selection.

    Attributes:
        pool_size, pool_fingerprint: of the pool (16 bytes, or None).
        class_names: one per class.
        metadata: string to string.
        scores: float32 (pool,), the criterion's uncertainty; needed for weights.
        weight_temperature: T of the importance weights; None sends no weights.
        soft_labels: float32 (classes, classes) or None.
        encode_options: further arguments of :func:`plada_format.encode` (profile, codecs, groups).
    """

    pool_size: int
    class_names: Sequence[str]
    pool_fingerprint: bytes | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    scores: NDArray[np.float32] | None = None
    weight_temperature: float | None = None
    direction: str = "low"
    soft_labels: NDArray[np.float32] | None = None
    encode_options: Mapping[str, Any] = field(default_factory=dict)

    def encode(self, selection: Selection, **options: Any) -> bytes:
        """The whole file that carries ``selection``; ``options`` go before :attr:`encode_options`."""
        weights = None
        if self.weight_temperature is not None:
            if self.scores is None:
                raise ValueError("weights need the scores")
            weights = importance_weights(self.scores[selection.indices], self.weight_temperature, self.direction)
        return pf.encode(
            selection.indices,
            selection.labels,
            pool_size=self.pool_size,
            num_classes=len(self.class_names),
            pool_fingerprint=self.pool_fingerprint,
            class_names=self.class_names,
            metadata=self.metadata or None,
            weights=weights,
            soft_labels=self.soft_labels,
            **{**self.encode_options, **options},
        )


@dataclass(frozen=True)
class Fitted:
    """A selection and its file; ``probes`` counts the files that the search encoded."""

    selection: Selection
    data: bytes
    probes: int


def fit_budget(ranking: Ranking, spec: PayloadSpec, budget: int, *, allow_missing_classes: bool = False) -> Fitted:
    """The largest selection whose file has at most ``budget`` bytes; one image more in the policy's order would not
    fit.

    Raises:
        UserError: the budget is below the file with one image of every class (or, with ``allow_missing_classes``, below
        the file with one
            image); the message names that size.
    """
    if not allow_missing_classes:
        smallest = len(spec.encode(ranking.first_of_each_class()))
        if smallest > budget:
            classes = int(np.count_nonzero(ranking.class_counts))
            raise UserError(
                f"budget: {budget} bytes is too small, the smallest file with one image for each of the {classes}"
                f" classes has {smallest} bytes;"
                " raise the budget, or pass --allow-missing-classes"
            )
    search = _Search(ranking, spec, budget)
    count = search.run()
    return Fitted(ranking.select(count), search.real(count), search.encoded)


class _Search:
    """Budget search that mostly encodes with the codecs that won nearby: trying all of them costs several times more.

    A file of chosen codecs is never smaller than that of "auto", so what fits one way fits the other; only the last
    step, that one image more does not fit, is left to the real encoder.
    """

    def __init__(self, ranking: Ranking, spec: PayloadSpec, budget: int) -> None:
        self.ranking, self.spec, self.budget = ranking, spec, budget
        self.encoded = 0
        self.files: dict[int, bytes] = {}

    def real(self, count: int) -> bytes:
        if count not in self.files:
            self.encoded += 1
            self.files[count] = self.spec.encode(self.ranking.select(count))
        return self.files[count]

    def size(self, count: int) -> int:
        return len(self.real(count))

    def codecs(self, count: int) -> dict[str, Any]:
        header = pf.inspect(self.real(count))
        return {"index_codec": header.index_codec, "label_codec": header.label_codec}

    def quick(self, guess: int, codecs: dict[str, Any]) -> int:
        def size_of(count: int) -> int:
            self.encoded += 1
            return len(self.spec.encode(self.ranking.select(count), **codecs))

        return largest_fitting(size_of, self.ranking.usable, self.budget, guess=guess)

    def run(self) -> int:
        maximum = self.ranking.usable
        guess = min(maximum, max(1, self.budget))
        guess = min(maximum, max(1, int(guess * min(1.0, self.budget / self.size(guess)))))
        codecs = self.codecs(guess)
        for _ in range(3):
            try:
                count = self.quick(guess, codecs)
            except UserError:
                break  # these codecs cannot do it; the real encoder decides, and names the size
            better = self.codecs(count)
            if better == codecs:
                return self._climb(count)
            guess, codecs = count, better
        return largest_fitting(self.size, maximum, self.budget, guess=guess)

    def _climb(self, count: int) -> int:
        while count < self.ranking.usable and self.size(count + 1) <= self.budget:
            count += 1
        return count


def lost_classes(pool_counts: NDArray[np.int64], kept_counts: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """Ids of classes that lost everything in the selection, and of those that the teacher gave to no pool image at
    all."""
    unreachable = np.flatnonzero(pool_counts == 0)
    lost = np.flatnonzero((pool_counts > 0) & (kept_counts == 0))
    return [int(c) for c in lost], [int(c) for c in unreachable]


def loss_warnings(
    class_names: Sequence[str], pool_counts: NDArray[np.int64], kept_counts: NDArray[np.int64]
) -> list[str]:
    """One line each about lost and unreachable classes, for the user."""
    lost, unreachable = lost_classes(pool_counts, kept_counts)
    out = []
    if lost:
        out.append(
            f"{len(lost)} of {len(class_names)} classes kept no image: {_names(class_names, lost)} (try --safety-net)"
        )
    if unreachable:
        out.append(
            f"{len(unreachable)} of {len(class_names)} classes have no pool image at all, no selection can teach them:"
            f" {_names(class_names, unreachable)}"
        )
    return out


def _names(class_names: Sequence[str], ids: Sequence[int]) -> str:
    shown = ", ".join(class_names[c] for c in ids[:8])
    return shown + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
