"""What a payload and the record of its selection say, gathered for the report; every part may be missing."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plada_format as pf
from plada_format.errors import PladaError, UserError

from ..pipeline import read_outcome
from ..rehearsal.record import read_rehearsal
from ..scoretable import ScoreTable

_TRIED_UP_TO = 200_000  # images from which on trying every codec takes too long


@dataclass(frozen=True)
class Piece:
    """Bytes of a part of the file."""

    name: str
    codec: str
    bytes: int


@dataclass(frozen=True)
class CodecTrial:
    """What a codec would need for this content: bytes of its stream, and whether the file uses it."""

    kind: str
    name: str
    profile: str
    bytes: int
    used: bool


@dataclass(frozen=True)
class Facts:
    """Contents of one payload file and its record.

    Attributes:
        name: of the file.
        payload: decoded.
        data: the file.
        class_names: K names.
        record: the selection's JSON record; empty if there is none.
        arrays: the selection's arrays; empty if there are none.
        pieces: the file by parts; they add up to its length.
        trials: other codecs on the same content.
        status: pool images by status name, from the score table; empty if that is not there.
        pool_name: of the manifest, or "".
        rehearsal: record of the rehearsal that chose the policy; empty if there was none.
    """

    name: str
    payload: pf.Payload
    data: bytes
    class_names: tuple[str, ...]
    record: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    pieces: tuple[Piece, ...] = ()
    trials: tuple[CodecTrial, ...] = ()
    status: dict[str, int] = field(default_factory=dict)
    pool_name: str = ""
    rehearsal: dict[str, Any] = field(default_factory=dict)

    @property
    def kept_per_class(self) -> NDArray[np.int64]:
        """int64 (K,), of the payload itself."""
        return self.payload.class_counts()

    @property
    def plain_per_class(self) -> NDArray[np.int64] | None:
        """Kept per class by the global order alone; None where no Safety-Net was used."""
        net = (self.record.get("policy") or {}).get("safety_net")
        return self.arrays.get("plain_per_class") if net else None

    @property
    def score(self) -> str:
        """Name of the score of the histogram and the contact sheet."""
        return str(self.record.get("score", "score")).replace("_", " ")

    @property
    def high_first(self) -> bool:
        """Whether the highest scores were kept."""
        return (self.record.get("policy") or {}).get("direction") == "high"

    @property
    def by_score(self) -> bool:
        """Whether the score decided (not chance, not a consensus of several)."""
        return (self.record.get("policy") or {}).get("criterion") not in (None, "random", "consensus")

    def scores(self) -> NDArray[np.float32] | None:
        """Score of each kept image, in payload order."""
        found = self.arrays.get("scores")
        return found if found is not None and len(found) == len(self.payload) else None


def read_facts(payload_path: str | os.PathLike[str], *, manifest: Any = None) -> Facts:
    """Read a payload and what lies beside it.

    Args:
        payload_path: the file; its record (``NAME.selection.json`` and ``.safetensors``) is used if it is there and
            belongs to it.
        manifest: :class:`plada_format.Manifest` or path; needed only for files whose codec uses the pool's groups.

    Raises:
        PladaError, OSError: the payload is damaged or cannot be read.
    """
    path = Path(payload_path)
    data = path.read_bytes()
    opened = pf.Manifest.open(manifest) if isinstance(manifest, (str, os.PathLike)) else manifest
    groups = None if opened is None else opened.group_starts
    payload = pf.decode(data, groups=groups)
    record, arrays = _record(path, payload)
    names = payload.class_names or tuple(
        record.get("class_names") or [f"class {c}" for c in range(payload.num_classes)]
    )
    return Facts(
        path.name,
        payload,
        data,
        tuple(names),
        record,
        arrays,
        _pieces(payload.header, len(data)),
        _trials(data, payload, groups),
        _status(record),
        "" if opened is None else opened.name,
        read_rehearsal(path) or {},
    )


def _record(path: Path, payload: pf.Payload) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The record beside the payload, if it is of this very selection."""
    try:
        record, arrays = read_outcome(path)
        belongs = np.array_equal(arrays["indices"], payload.indices) and np.array_equal(
            arrays["labels"], payload.labels
        )
    except (UserError, OSError, KeyError):
        return {}, {}
    return (record, arrays) if belongs else ({}, {})


def _pieces(header: Any, total: int) -> tuple[Piece, ...]:
    codecs = {"index": header.index_codec, "label": header.label_codec}
    titles = {"index": "pool indices", "label": "labels"}
    parts = [
        Piece(titles.get(section.name, section.name), codecs.get(section.name, ""), section.length)
        for section in header.sections
    ]
    rest = total - sum(part.bytes for part in parts)
    return (*parts, Piece("header, section heads and checksums", "", rest))


def _trials(data: bytes, payload: pf.Payload, groups: Any) -> tuple[CodecTrial, ...]:
    from plada_format.codecs import INDEX_CODECS, LABEL_CODECS

    if not 0 < len(payload) <= _TRIED_UP_TO:
        return ()
    out: list[CodecTrial] = []
    header = payload.header
    for kind, codecs, used in (
        ("index", INDEX_CODECS.values(), header.index_codec),
        ("label", LABEL_CODECS.values(), header.label_codec),
    ):
        for codec in codecs:
            try:
                if codec.name == used:
                    size = next(s.length for s in header.sections if s.name == kind)
                else:
                    other = pf.encode(
                        payload.indices,
                        payload.labels,
                        pool_size=payload.pool_size,
                        num_classes=payload.num_classes,
                        groups=groups,
                        profile="full",
                        index_codec=codec.name if kind == "index" else "auto",
                        label_codec=codec.name if kind == "label" else "auto",
                    )
                    size = next(s.length for s in pf.inspect(other).sections if s.name == kind)
            except (PladaError, StopIteration):  # not for this content, or a codec of groups without groups
                continue
            out.append(CodecTrial(kind, codec.name, codec.profile, size, codec.name == used))
    return tuple(sorted(out, key=lambda trial: (trial.kind, trial.bytes, trial.name)))


def _status(record: dict[str, Any]) -> dict[str, int]:
    folder = record.get("table")
    if not folder or not Path(folder).is_dir():
        return {}
    try:
        from plada_train.decode import status_counts

        table = ScoreTable.open(folder, pool_size=record["pool_size"])
        return status_counts(table.columns("status")["status"])
    except (UserError, OSError, ImportError, KeyError):
        return {}
