"""What the commands of :mod:`plada_distill.commands` do."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from . import bridging, reporting, runs, tuning

HANDLERS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": runs.run,
    "federate": runs.federate,
    "tune": tuning.tune,
    "report": reporting.report,
    "bridge": bridging.bridge,
}
