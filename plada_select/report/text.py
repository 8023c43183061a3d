"""Small pieces of HTML and text."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any


def esc(text: Any) -> str:
    """Text for HTML, quotes too; control characters become visible."""
    cleaned = "".join(c if c.isprintable() or c == " " else "\N{REPLACEMENT CHARACTER}" for c in str(text))
    return html.escape(cleaned, quote=True)


def size_text(count: float | None) -> str:
    """Bytes for people: "870 bytes", "12.9 kB" (1,000 bytes)."""
    if count is None:
        return "–"
    if count < 10_000:
        return f"{int(count):,} bytes" if count != 1 else "1 byte"
    for unit, factor in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if count < 1000 * factor or unit == "GB":
            value = count / factor
            return f"{value:,.1f} {unit}" if value < 100 else f"{value:,.0f} {unit}"
    raise AssertionError


def percent(value: float | None, digits: int = 1) -> str:
    """A share as per cent; a dash for none or NaN."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def points(value: float) -> str:
    """A difference of shares, with sign, in points."""
    text = f"{100 * value:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")


def number(value: float) -> str:
    """A count with separators."""
    return f"{int(value):,}"


def table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numeric: Iterable[int] = (),
    row_classes: Sequence[str] | None = None,
    stacked: bool = False,
) -> str:
    """A table in a box that scrolls sideways if need be. Cells are HTML; the first of each row is its header.

    Args:
        caption: plain text, for all readers.
        head: column titles, plain text.
        rows: cells.
        numeric: columns to align at the right.
        row_classes: class of each row.
        stacked: on a narrow screen every row becomes a block of lines. Roles are then spelt out, because browsers
            forget that what is shown as a block is a table.
    """
    right = set(numeric)

    def role(name: str) -> str:
        return f' role="{name}"' if stacked else ""

    def cell(place: int, content: str) -> str:
        css = ' class="num"' if place in right else ""
        if place == 0:
            return f'<th scope="row"{role("rowheader")}{css}>{content}</th>'
        label = f' data-label="{esc(head[place])}"' if stacked else ""
        return f"<td{role('cell')}{label}{css}>{content}</td>"

    def title(place: int, text: str) -> str:
        css = ' class="num"' if place in right else ""
        return f'<th scope="col"{role("columnheader")}{css}>{esc(text).replace("_", "_<wbr>")}</th>'

    titles = "".join(title(place, text) if text else f"<td{role('cell')}></td>" for place, text in enumerate(head))
    body = []
    for at, row in enumerate(rows):
        mark = f' class="{row_classes[at]}"' if row_classes and row_classes[at] else ""
        body.append(f"<tr{role('row')}{mark}>{''.join(cell(place, text) for place, text in enumerate(row))}</tr>")
    kind = f'{role("table")} class="stacked"' if stacked else ""
    group = role("rowgroup")
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{esc(caption)}">'
        f"<table{kind}><caption>{esc(caption)}</caption><thead{group}><tr{role('row')}>{titles}</tr></thead>"
        f"<tbody{group}>{''.join(body)}</tbody></table></div>"
    )


def bar(share: float, kind: str = "a") -> str:
    """A bar of this share of the width (0 to 1); a decoration beside a number."""
    width = min(100.0, max(0.0, 100 * share))
    return f'<span class="bar {kind}" style="width:{width:.1f}%" aria-hidden="true"></span>'


def named(name: str, *drawn: str) -> str:
    """A row's header with bars beside it, or below where it is narrow. ``name`` is HTML."""
    return f'<div class="named"><span>{name}</span><div>{"".join(drawn)}</div></div>'


def signed(value: float, form: str = ".4g") -> str:
    """A number with a true minus sign."""
    return format(value, form).replace("-", "−")


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """A description list; values are HTML."""
    return "<dl>" + "".join(f"<div><dt>{esc(name)}</dt><dd>{value}</dd></div>" for name, value in rows) + "</dl>"
