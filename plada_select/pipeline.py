"""``plada select`` as a function: score table in, payload file and the record of the selection out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

from .payload import PayloadSpec, fit_budget, loss_warnings, lost_classes, short_metadata
from .raterank import refined
from .scoretable import CHUNK_ROWS, ScoreTable
from .select import Policy, Ranking, Selection, count_of, rank
from .tensorfile import TensorFile, serialise

HISTOGRAM_BINS = 128


@dataclass(frozen=True)
class Outcome:
    """A finished selection.

    Attributes:
        data: the payload file.
        selection: what it carries.
        record: JSON-able description (policy, counts, bytes, provenance); see docs of :func:`write_outcome`.
        arrays: what a report plots; see :func:`write_outcome`.
        warnings: lines for the user.
    """

    data: bytes
    selection: Selection
    record: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    warnings: list[str] = field(default_factory=list)


def select_payload(
    table: ScoreTable,
    policy: Policy,
    *,
    keep: str | float | None = None,
    count: int | None = None,
    budget: int | None = None,
    allow_missing_classes: bool = False,
    weight_temperature: float | None = None,
    soft_labels: NDArray[np.float32] | None = None,
    metadata: Mapping[str, str] | None = None,
    class_names: list[str] | None = None,
    encode_options: Mapping[str, Any] | None = None,
    group_starts: NDArray[np.integer] | None = None,
    embedding: NDArray[np.floating[Any]] | None = None,
) -> Outcome:
    """Select by exactly one of ``keep`` (fraction), ``count`` or ``budget`` (bytes of the whole file) and encode.

    Args:
        table: complete score table.
        metadata: added to (or, with an empty value, removed from) the short metadata of the table's task.
        class_names: in place of the table's.
        encode_options: for :func:`plada_format.encode` (profile, codecs, groups).
        group_starts: of the pool, for a policy that weighs bits; by default the groups of ``encode_options``.
        embedding: float (N, d) of the pool in its order, for a policy with a spread.

    Raises:
        UserError: contradictory or impossible wishes, each with the figure that would do.
        PladaError: the encoder refuses (for example class names beyond the format's limits).
    """
    if sum(value is not None for value in (keep, count, budget)) != 1:
        raise UserError("say exactly one of --keep, --count and --budget")
    names = list(class_names or table.task.get("class_names") or [str(c) for c in range(table.num_classes)])
    if len(names) != table.num_classes:
        raise UserError(f"{len(names)} class names for a table of {table.num_classes} classes")
    options = dict(encode_options or {})
    starts = options.get("groups") if group_starts is None else group_starts
    ranking = refined(rank(table, policy), policy.refine, starts, embedding)
    spec = PayloadSpec(
        pool_size=len(table),
        class_names=names,
        pool_fingerprint=bytes.fromhex(table.provenance.pool_fingerprint),
        metadata=short_metadata(table.task, metadata),
        direction=policy.direction,
        soft_labels=soft_labels,
        encode_options=options,
    )
    if weight_temperature is not None:
        spec = replace(spec, scores=ranking.scores, weight_temperature=weight_temperature)
    probes = 1
    if budget is not None:
        fitted = fit_budget(ranking, spec, budget, allow_missing_classes=allow_missing_classes)
        selection, data, probes = fitted.selection, fitted.data, fitted.probes
    else:
        selection = ranking.select(count_of(ranking, keep=keep, count=count))
        data = spec.encode(selection)
    request = {"keep": None if keep is None else str(keep), "count": count, "budget": budget}
    return _outcome(table, policy, ranking, spec, selection, data, {**request, "files_encoded": probes})


def _outcome(
    table: ScoreTable,
    policy: Policy,
    ranking: Ranking,
    spec: PayloadSpec,
    selection: Selection,
    data: bytes,
    request: dict[str, Any],
) -> Outcome:
    names = list(spec.class_names)
    kept = np.bincount(selection.labels, minlength=len(names)).astype(np.int64)
    plain = ranking.plain().select(len(selection)) if policy.safety_net or policy.refine else selection
    scores = ranking.scores
    lost, unreachable = lost_classes(ranking.class_counts, kept)
    warnings = loss_warnings(names, ranking.class_counts, kept)
    left_out = sum(ranking.excluded.values())
    if left_out:
        warnings.append(
            f"{left_out} of {len(table)} pool images took no part (unreadable {ranking.excluded['unusable']}, scores"
            f" not finite"
            f" {ranking.excluded['not finite']})"
        )
    histogram, edges = _histogram(scores)
    kept_histogram, _ = np.histogram(scores[selection.indices], edges)
    record = {
        "format": "plada selection",
        "version": 1,
        "policy": policy.to_json(),
        "score": ranking.score_name,
        "request": request,
        "kept": len(selection),
        "pool_size": len(table),
        "usable": ranking.usable,
        "excluded": dict(ranking.excluded),
        "bytes": len(data),
        "class_names": names,
        "lost_classes": lost,
        "unreachable_classes": unreachable,
        "metadata": dict(spec.metadata),
        "weights": spec.weight_temperature,
        "soft_labels": spec.soft_labels is not None,
        "table": str(table.folder),
        "task": table.task,
        "provenance": table.provenance.to_json(),
    }
    arrays: dict[str, NDArray[Any]] = {
        "indices": selection.indices,
        "labels": selection.labels,
        "scores": np.ascontiguousarray(scores[selection.indices]),
        "plain_indices": plain.indices,
        "pool_per_class": ranking.class_counts,
        "kept_per_class": kept,
        "plain_per_class": np.bincount(plain.labels, minlength=len(names)).astype(np.int64),
        "quota_per_class": selection.quota if selection.quota is not None else np.zeros(len(names), np.int64),
        "histogram": histogram.astype(np.int64),
        "histogram_kept": kept_histogram.astype(np.int64),
        "histogram_edges": edges.astype(np.float64),
    }
    return Outcome(data, selection, record, arrays, warnings)


def _histogram(scores: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Counts and edges over the finite scores; in pieces that fit the cache, several times faster than np.histogram."""
    low, high = float(np.nanmin(scores)), float(np.nanmax(scores))
    if low == high:
        high = low + 1.0
    edges = np.linspace(low, high, HISTOGRAM_BINS + 1)
    counts = np.zeros(HISTOGRAM_BINS + 1, np.int64)
    scale = np.float32(HISTOGRAM_BINS / (high - low))
    for start in range(0, len(scores), CHUNK_ROWS):
        part = scores[start : start + CHUNK_ROWS]
        place = np.nan_to_num((part - np.float32(low)) * scale, nan=HISTOGRAM_BINS + 1.0, posinf=0, neginf=0)
        np.minimum(place, HISTOGRAM_BINS - 1, out=place, where=~np.isnan(part))
        counts += np.bincount(place.astype(np.int16), minlength=HISTOGRAM_BINS + 2)[: HISTOGRAM_BINS + 1]
    return counts[:HISTOGRAM_BINS], edges


def record_paths(payload_path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Where the record of a payload lies: ``NAME.selection.json`` and ``NAME.selection.safetensors`` beside it."""
    path = Path(payload_path)
    base = path.with_suffix("") if path.suffix == ".plada" else path
    return base.with_name(base.name + ".selection.json"), base.with_name(base.name + ".selection.safetensors")


def refuse_existing(path: str | os.PathLike[str]) -> None:
    """Raise UserError if there is a file at ``path``."""
    if Path(path).exists():
        raise UserError(f"{path} exists; use --force to replace it")


def write_outcome(outcome: Outcome, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Write the payload and, beside it, its record; each file appears whole or not at all, the payload last.

    ``NAME.selection.json`` holds ``outcome.record``. ``NAME.selection.safetensors`` holds: ``indices`` uint32 and
    ``labels`` uint16 and ``scores`` float32 of the kept images in index order; ``plain_indices`` uint32, the same count
    by global order alone; ``pool_per_class``, ``kept_per_class``, ``plain_per_class``, ``quota_per_class`` int64
    (classes,); ``histogram`` and ``histogram_kept`` int64 (bins,) with ``histogram_edges`` float64 (bins + 1,) of the
    criterion's score over the pool's usable and the kept images.
    """
    path = Path(path)
    json_path, arrays_path = record_paths(path)
    if not overwrite:
        refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(arrays_path) as file:
        file.write(serialise(outcome.arrays, {"format": "plada selection 1"}))
    with atomic_write(json_path) as file:
        file.write((json.dumps(outcome.record, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
    with atomic_write(path, overwrite=overwrite) as file:
        file.write(outcome.data)
    return path


def read_outcome(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Record and arrays that :func:`write_outcome` left beside a payload.

    Raises:
        UserError: none there, or damaged.
    """
    json_path, arrays_path = record_paths(path)
    try:
        record = json.loads(json_path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{json_path}: missing; 'plada select' writes it beside the payload") from None
    except ValueError:
        raise UserError(f"{json_path}: damaged; run 'plada select' again") from None
    return record, TensorFile.open(arrays_path).read()
