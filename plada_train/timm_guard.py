"""``import timm`` on machines whose torchvision does not fit their torch.

timm imports torchvision. The torchvision of PyPI that goes with some torch releases is a CUDA build whose compiled
operators do not load beside a CPU-only torch; the import then ends with ``operator torchvision::nms does not exist``,
although timm needs none of these operators. Declaring the two operator schemas is enough. This is done only after the
plain import has failed with exactly that message, so that a working torchvision is never touched.
"""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import Any

from plada_format.errors import UserError

_SYMPTOM = "operator torchvision::nms does not exist"
_SCHEMAS = ("nms", "qnms")
_lock = threading.Lock()
_library: Any = None  # the declarations live as long as this object


def import_timm() -> ModuleType:
    """The module ``timm``.

    Raises:
        UserError: timm or torchvision is not installed.
    """
    with _lock:
        try:
            return importlib.import_module("timm")
        except ModuleNotFoundError as problem:
            raise UserError(f"{problem.name} is not installed (pip install 'plada[train]')") from None
        except RuntimeError as problem:
            if _SYMPTOM not in str(problem):
                raise
        _forget_half_loaded()
        _declare()
        return importlib.import_module("timm")


def was_needed() -> bool:
    """Whether the schemas had to be declared in this process."""
    return _library is not None


def _forget_half_loaded() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in ("torchvision", "timm")]:
        del sys.modules[name]


def _declare() -> None:
    import torch

    global _library
    _library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in _SCHEMAS:
        _library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
