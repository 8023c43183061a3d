"""What else could be sent in as many bytes: every baseline on the same student, the same pool and the same test set.

Importing this package is cheap; each name below loads its module when first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    "BaselineResult": "results",
    "Need": "results",
    "Point": "results",
    "HeadStudent": "students",
    "TunedStudent": "students",
    "Student": "students",
    "Target": "students",
    "Contest": "contest",
    "IDS": "contest",
    "run_baselines": "contest",
    "teacher_result": "contest",
    "random_selection": "selections",
    "criterion_selection": "selections",
    "opposite_energy": "selections",
    "full_pool": "selections",
    "linear_probe_int8": "weights",
    "small_probe_int8": "weights",
    "student_int8": "weights",
    "quantise_rows": "weights",
    "jpeg_images": "jpeg",
    "k_center_order": "jpeg",
    "random_order": "jpeg",
    "pack_jpegs": "jpeg",
    "unpack_jpegs": "jpeg",
    "Leakage": "leakage",
    "leakage_check": "leakage",
}
__all__ = sorted(_NAMES)  # noqa: PLE0605  # the names are those of the table above


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
