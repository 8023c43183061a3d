"""Small pieces of HTML and text."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

BARS = '<div class="barcell">'


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
    return f"{100 * value:+.1f}".replace("-", "−")


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
    css: str = "",
) -> str:
    """A table in a box that scrolls sideways if need be. Cells are HTML; the first of each row is its header.

    Args:
        caption: plain text, for all readers.
        head: column titles, plain text.
        rows: cells.
        numeric: columns to align at the right.
        row_classes: class of each row.
        css: class of the table.
    """
    right = set(numeric)

    def cell(tag: str, place: int, content: str, scope: str) -> str:
        css = "num" if place in right else "bars" if content.startswith(BARS) else ""
        return f"<{tag}{scope}{f' class={css}' if css else ''}>{content}</{tag}>"

    titles = "".join(
        cell("th", place, esc(title), ' scope="col"') if title else "<td></td>" for place, title in enumerate(head)
    )
    body = []
    for at, row in enumerate(rows):
        cells = "".join(
            cell("th" if place == 0 else "td", place, content, ' scope="row"' if place == 0 else "")
            for place, content in enumerate(row)
        )
        mark = f' class="{row_classes[at]}"' if row_classes and row_classes[at] else ""
        body.append(f"<tr{mark}>{cells}</tr>")
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{esc(caption)}">'
        f"<table{f' class={css!r}' if css else ''}><caption>{esc(caption)}</caption>"
        f"<thead><tr>{titles}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def bar(share: float, kind: str = "a") -> str:
    """A bar of this share of the width (0 to 1); a decoration beside a number."""
    width = min(100.0, max(0.0, 100 * share))
    return f'<span class="bar {kind}" style="width:{width:.1f}%" aria-hidden="true"></span>'


def bars(*drawn: str) -> str:
    """A cell of bars, one above the other."""
    return f"{BARS}{''.join(drawn)}</div>"


def signed(value: float, form: str = ".4g") -> str:
    """A number with a true minus sign."""
    return format(value, form).replace("-", "−")


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """A description list; values are HTML."""
    return "<dl>" + "".join(f"<div><dt>{esc(name)}</dt><dd>{value}</dd></div>" for name, value in rows) + "</dl>"
