"""The second decoder, ``tests/reference/reference_decoder.py``: written from SPEC.md alone, slow, sharing no line with
``plada_format``. Where the two disagree, one of them or the text is wrong."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import plada_format as pf

_PATH = Path(__file__).resolve().parents[1] / "tests" / "reference" / "reference_decoder.py"
_found = importlib.util.spec_from_file_location("plada_reference_decoder", _PATH)
if _found is None or _found.loader is None:
    raise ImportError(f"{_PATH} is missing")
decoder: Any = importlib.util.module_from_spec(_found)
_found.loader.exec_module(decoder)


def verdict(data: bytes, **expectations: Any) -> tuple[str, dict[str, Any] | None]:
    """Name of the error code, or "accepted", and the content of an accepted file."""
    try:
        content: dict[str, Any] = decoder.decode(data, **expectations)
    except decoder.Reject as reject:
        return pf.ErrorCode(reject.code).name, None
    return "accepted", content


def outcome(call: Any, *arguments: Any) -> Any:
    """What a building block of the reference decoder returns, or the name of the code with which it refuses."""
    try:
        return call(*arguments)
    except decoder.Reject as reject:
        return pf.ErrorCode(reject.code).name
