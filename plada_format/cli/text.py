"""Text for terminals: untrusted strings made harmless, numbers made readable."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def printable(text: str, limit: int = 2000) -> str:
    """``text`` on one line without control characters: names in a payload are untrusted, and terminals obey escapes."""
    clean = "".join(
        repr(char)[1:-1] if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else char
        for char in text[:limit]
    )
    return clean if len(text) <= limit else clean + " ..."


def one_line(error: BaseException) -> str:
    """The message of an exception, on one line; never empty."""
    if isinstance(error, OSError) and error.strerror:
        names = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
        message = f"{names}: {error.strerror}" if names else error.strerror
    else:
        message = str(error) or type(error).__name__
    return printable(" ".join(message.splitlines()))


def grouped(number: int) -> str:
    """12345 as '12,345'."""
    return f"{number:,}"


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Two aligned columns."""
    width = max((len(left) for left, _ in rows), default=0)
    return "\n".join(f"{left:<{width}}  {right}".rstrip() for left, right in rows)
