"""The commands of the format itself; they need numpy and zstandard only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import decode, doctor, encode, info, recode, verify

if TYPE_CHECKING:
    from .parts import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add encode, decode, info, verify, recode and doctor."""
    for command in (encode, decode, info, verify, recode, doctor):
        command.add(subparsers)
