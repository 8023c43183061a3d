"""The whole page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import plada_format as pf
from plada_format.atomic import atomic_write
from plada_format.errors import UserError

from . import result_parts, selection_parts
from .facts import Facts, read_facts
from .rehearsal_part import rehearsal_part
from .results import Results
from .style import STYLE
from .text import esc, number, size_text

if TYPE_CHECKING:
    from plada_train.sources import ImageSource

_TITLES = {
    "verdict": "Worth", "curve": "Accuracy and bytes", "baselines": "Baselines", "accuracy": "Accuracies",
    "rehearsal": "Rehearsal", "histogram": "Histogram", "classes": "Classes", "contact": "Images", "bytes": "Bytes",
    "leakage": "Leakage", "excluded": "Excluded", "holds": "Receiver", "provenance": "Provenance",
}  # fmt: skip


def write_selection_report(
    payload_path: str | os.PathLike[str],
    html_path: str | os.PathLike[str],
    *,
    images: str | None = None,
    manifest: str | os.PathLike[str] | None = None,
) -> None:
    """The report of ``plada select --report``: without students.

    Args:
        payload_path: payload, with its record beside it.
        html_path: file to write.
        images: the pool's images, for the contact sheet.
        manifest: of the pool, to find images by key; without it they must lie in the manifest's order.

    Raises:
        UserError: ``images`` cannot be opened.
        OSError: the report cannot be written.
    """
    write_report(payload_path, html_path, images=images, manifest=manifest)


def write_report(
    payload_path: str | os.PathLike[str],
    html_path: str | os.PathLike[str],
    *,
    results: Results | None = None,
    images: ImageSource | str | None = None,
    manifest: Any = None,
    test: ImageSource | None = None,
) -> Path:
    """Write ``report.html``: one file, no scripts, no network; whole or not at all.

    Args:
        payload_path: payload; its selection's record is used if it lies beside it.
        html_path: file to write.
        results: what was measured.
        images: the pool's images or their spec, for pictures.
        manifest: :class:`plada_format.Manifest` or path.
        test: the test set's images, for pictures of duplicates.

    Returns:
        The path written.

    Raises:
        PladaError: damaged payload or manifest.
        UserError, OSError: something cannot be opened or written.
    """
    opened = pf.Manifest.open(manifest) if isinstance(manifest, (str, os.PathLike)) else manifest
    facts = read_facts(payload_path, manifest=opened)
    source: ImageSource | None
    if isinstance(images, str):
        from plada_train import open_source

        source = open_source(images)
    else:
        source = images
    page = render(facts, results or Results(), source, opened, test)
    target = Path(html_path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as file:
        file.write(page.encode())
    return target


def render(
    facts: Facts,
    results: Results,
    source: ImageSource | None = None,
    manifest: Any = None,
    test: ImageSource | None = None,
) -> str:
    """The page as text. Arguments as for :func:`write_report`."""
    _check(facts, results)
    positions, why_not = _positions(facts, source, manifest)
    parts = [
        result_parts.verdict_part(results),
        result_parts.chart_part(facts, results),
        result_parts.baselines_part(results),
        result_parts.accuracy_part(facts, results),
        rehearsal_part(facts),
        selection_parts.histogram_part(facts),
        selection_parts.classes_part(facts),
        selection_parts.contact_part(facts, source, positions, why_not),
        selection_parts.bytes_part(facts),
        result_parts.leakage_part(results, source if positions is not None else None, test),
        selection_parts.excluded_part(facts),
        result_parts.holds_part(facts, results),
        selection_parts.provenance_part(facts, results.provenance),
    ]
    present = [part for part in parts if part]
    links = "".join(
        f'<li><a href="#{name}">{title}</a></li>'
        for name, title in _TITLES.items()
        if any(part.startswith(f'<section id="{name}"') for part in present)
    )
    title = results.title or f"Payload {facts.name}"
    lead = f"{number(len(facts.payload))} pool images with one label each, {size_text(len(facts.data))}"
    if facts.record:
        lead += f": {selection_parts.policy_text(facts.record)}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        # Nothing may be fetched: pictures and styles are inside. The empty icon keeps browsers from asking for one.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
        " img-src data:; style-src 'unsafe-inline'\">"
        f'<link rel="icon" href="data:,"><title>{esc(title)}</title><style>{STYLE}</style></head><body>'
        '<a class="skip" href="#main">Skip to the content</a>'
        f'<header><h1>{esc(title)}</h1><p class="lead">{esc(lead)}</p>{result_parts.cards(facts, results)}'
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header><main id="main">{"".join(present)}</main>'
        f"<footer>Written by plada {esc(pf.__version__)}.</footer></body></html>\n"
    )


def _check(facts: Facts, results: Results) -> None:
    classes = len(facts.class_names)
    for name, evaluation in [("teacher", results.teacher), *((s.get("name"), s.get("evaluation"))
                             for s in results.students)]:  # fmt: skip
        if evaluation and evaluation.get("classes") and len(evaluation["classes"]) != classes:
            raise UserError(f"report: {name} knows {len(evaluation['classes'])} classes, the payload has {classes}")


def _positions(facts: Facts, source: ImageSource | None, manifest: Any) -> tuple[NDArray[np.int64] | None, str]:
    """Where the payload's images lie in the source (-1: missing); or why that cannot be told."""
    if source is None:
        return None, "Give the pool's images (--images) to see what was kept."
    wanted = facts.payload.indices.astype(np.int64)
    if manifest is not None:
        from plada_train import resolve_keys

        return resolve_keys(source, manifest, wanted), ""
    if len(source) != facts.payload.pool_size:
        return None, (
            f"No pictures: the images given are {number(len(source))}, the pool has"
            f" {number(facts.payload.pool_size)}; its manifest would tell which is which."
        )
    return wanted, ""
