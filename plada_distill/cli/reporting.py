"""``plada distill report``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..report import write_report


def report(args: argparse.Namespace) -> int:
    """``plada distill report``."""
    folder = Path(args.folder)
    print(write_report(folder, Path(args.output) if args.output else folder / "report.html"))
    return 0
