"""What was measured with a payload, as the report shows it and a JSON file keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

from ..baselines.results import BaselineResult


@dataclass
class Results:
    """Everything is optional; the report leaves out what is not there.

    Attributes:
        title: heading of the report.
        teacher: ``Evaluation.to_json()``, and perhaps ``name`` and ``summary``.
        students: each ``name``, ``summary``, ``accuracies`` (one per seed) and ``evaluation`` (``Evaluation.to_json()``
            of one seed, or None). The first is the one that the baselines were measured with.
        baselines: rows of the table.
        leakage: :class:`plada_select.baselines.Leakage` or its ``to_json()``.
        curve: other payloads: ``series``, ``bytes``, ``accuracy``, ``count``.
        holds: what the receiver has already: ``what``, ``bytes`` (or None), ``note``.
        notes: sentences that belong beside the figures.
        provenance: more lines for that block.
    """

    title: str = ""
    teacher: dict[str, Any] | None = None
    students: list[dict[str, Any]] = field(default_factory=list)
    baselines: list[BaselineResult] = field(default_factory=list)
    leakage: Any = None
    curve: list[dict[str, Any]] = field(default_factory=list)
    holds: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    provenance: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.leakage is not None and not isinstance(self.leakage, Mapping):
            self.leakage = self.leakage.to_json()

    def baseline(self, name: str) -> BaselineResult | None:
        """The row with this id."""
        return next((row for row in self.baselines if row.id == name), None)

    @property
    def payload(self) -> BaselineResult | None:
        """The payload's own row, made from the first student where no baseline was run."""
        found = self.baseline("payload")
        if found is not None or not self.students or not self.students[0].get("accuracies"):
            return found
        return BaselineResult("payload", "PLADA payload", tuple(self.students[0]["accuracies"]))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**self.__dict__, "baselines": [row.to_json() for row in self.baselines]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Results:
        """From :meth:`to_json`."""
        return cls(**{**value, "baselines": [BaselineResult.from_json(row) for row in value.get("baselines", ())]})

    def save(self, path: Path | str) -> Path:
        """Write as JSON, whole or not at all."""
        target = Path(path)
        with atomic_write(target) as file:
            file.write((json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n").encode())
        return target

    @classmethod
    def load(cls, path: Path | str) -> Results:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: no such content.
        """
        try:
            return cls.from_json(json.loads(Path(path).read_bytes()))
        except (ValueError, TypeError, KeyError, AttributeError) as problem:
            raise UserError(f"{path}: no results of this version ({problem})") from None
