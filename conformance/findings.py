"""Disagreements: made smaller, and kept in conformance/findings with what is needed to see them again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from conformance.compare import Panel, Verdicts, name_of
from conformance.protocol import OWN_CODES, Case
from conformance.workers import ROOT
from fuzz.anatomy import parse

FOLDER = ROOT / "conformance" / "findings"
MOST_STEPS = 400  # questions to the workers while a file is made smaller


def shrink(case: Case, holds: Callable[[Case], bool]) -> Case:
    """A smaller case for which ``holds`` is still true: expectations left out, pieces of sections or bytes cut."""
    left = MOST_STEPS

    def better(candidate: Case) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and holds(candidate)

    for name in ("fingerprint", "groups", "pool_size"):
        simpler = replace(case, **{name: None})
        if simpler != case and better(simpler):
            case = simpler
    size = max(len(case.file) // 2, 1)
    while size and left > 0:
        at, changed = 0, False
        while at < len(case.file) and left > 0:
            smaller = _without(case.file, at, size)
            if smaller is not None and len(smaller) < len(case.file) and better(replace(case, file=smaller)):
                case, changed = replace(case, file=smaller), True
            else:
                at += size
        size = size // 2 if not changed or size > 1 else size
    return case


def _without(data: bytes, at: int, size: int) -> bytes | None:
    """The file without some bytes of its bodies, with right checksums; of all bytes where it cannot be parsed."""
    file = parse(data)
    if file is None:
        return data[:at] + data[at + size :]
    for piece in file.pieces:
        if at < len(piece.body):
            piece.body = piece.body[:at] + piece.body[at + size :]
            return file.build()
        at -= len(piece.body)
    if file.tail:
        file.tail = file.tail[:-size]
        return file.build()
    return None


def keep(panel: Panel, case: Case, verdicts: Verdicts, what: str, *, folder: Path = FOLDER) -> dict[str, object]:
    """Write a disagreement out; returns its line. Made smaller unless about a frame or a worker that died."""
    names = list(verdicts.answers)
    codes = {name: a.code for name, a in verdicts.answers.items()}

    def holds(candidate: Case) -> bool:
        found = panel.ask(candidate, names)
        return not found.agree and {name: a.code for name, a in found.answers.items()} == codes

    own = set(codes.values()) & set(OWN_CODES)  # asking again what hangs would take minutes
    small = case if verdicts.about_frame or own else shrink(case, holds)
    digest = hashlib.sha256(small.file).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{digest}.plada").write_bytes(small.file)
    line: dict[str, object] = {
        "what": what,
        "file": f"{digest}.plada",
        "bytes": len(small.file),
        "answers": {
            name: name_of(a.code) + (f" {a.digest.hex()}" if a.code == 0 else "")
            for name, a in (verdicts if small is case else panel.ask(small, names)).answers.items()
        },
        "pool_size": small.pool_size,
        "fingerprint": small.fingerprint.hex() if small.fingerprint else None,
        "groups": list(small.groups) if small.groups is not None else None,
        "limits": [small.limit_pool, small.limit_kept],
    }
    (folder / f"{digest}.json").write_text(json.dumps(line, indent=1) + "\n")
    return line
