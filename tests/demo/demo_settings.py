"""Names that the demo's tests share."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).resolve().parents[1] / "data"
TEACHER, STUDENT = "test_efficientnet", "test_resnet"
