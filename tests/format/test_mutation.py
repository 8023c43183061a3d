"""Every small change of every small vector: every bit flipped, 0x00 and 0xff at each byte, every truncation.

As they are, all of them must be refused, for every byte is under a checksum. With the checksums made right again they
reach the decoders, and then each must be refused, or be the one valid way to write some other content.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import plada_format as pf
from fuzz import oracle
from fuzz.anatomy import Anatomy, parse
from plada_format import accel

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
ENTRIES = json.loads((VECTORS / "manifest.json").read_text(encoding="utf-8"))["vectors"]
LARGEST = 220  # bytes; larger ones hold more of the same
for _entry in ENTRIES:
    if _entry["file"].startswith("valid/") and "groups" in _entry.get("caller", {}):
        oracle.know(_entry["caller"]["groups"])
ALL = [e for e in ENTRIES if e["file"].startswith("valid/") and e["size"] <= LARGEST]


def _distinct(entries: list[dict[str, object]]) -> list[str]:
    """The files without those that repeat another's sections byte for byte under different header numbers."""
    best: dict[object, str] = {}
    for entry in sorted(entries, key=lambda e: int(str(e["size"]))):
        data = (VECTORS / str(entry["file"])).read_bytes()
        header = pf.inspect(data)
        bodies = tuple((s.type, data[s.offset : s.offset + s.length]) for s in header.sections)
        trivial = all(not body for _, body in bodies)
        best.setdefault("trivial" if trivial else bodies, str(entry["file"]))
    return sorted(best.values())


FILES = _distinct(ALL)


def changed(data: bytes, first: int = 0) -> Iterator[bytes]:
    """All small changes of ``data`` from byte ``first`` on, but for truncations."""
    for at in range(first, len(data)):
        for value in {data[at] ^ 1 << bit for bit in range(8)} | {0x00, 0xFF}:
            if value != data[at]:
                yield data[:at] + bytes((value,)) + data[at + 1 :]


def mutants(file: Anatomy) -> Iterator[bytes]:
    """The small changes of fixed fields, table and bodies, with right checksums."""
    for fixed in changed(bytes(file.fixed), 8):
        mutant = file.copy()
        mutant.fixed[:] = fixed
        mutant.header_length = fixed[10] if fixed[10] != file.fixed[10] else None
        yield mutant.build()
    mutant = file.copy()
    table = file.right_table()
    for mutant.table in [
        *changed(table),
        *(table[:end] for end in range(len(table))),
        table + b"\0",
        table + b"\xff\0",
    ]:
        yield mutant.build()
    for n, piece in enumerate(file.pieces):
        mutant = file.copy()
        for kind in {piece.type ^ 1 << bit for bit in range(8)} | {0x00, 0xFF}:
            mutant.pieces[n].type = kind  # the body's checksum covers it
            yield mutant.build()
        mutant = file.copy()
        whole = piece.body
        for body in [*changed(whole), *(whole[:end] for end in range(len(whole))), whole + b"\0", whole + b"\xff"]:
            mutant.pieces[n].body = body
            yield mutant.build()


def limits_for(data: bytes) -> pf.Limits:
    """The usual limits of fuzzing, but for files that are about huge pools."""
    huge = pf.inspect(data).pool_size > oracle.LIMITS.max_pool
    return pf.Limits(2**32 - 1, oracle.LIMITS.max_kept) if huge else oracle.LIMITS


@pytest.mark.parametrize("name", FILES)
def test_every_change_is_noticed(name: str) -> None:
    data = (VECTORS / name).read_bytes()
    limits = limits_for(data)
    for mutant in changed(data):
        verdict = oracle.examine(mutant, limits)
        assert verdict.error is not None, f"{name}: a change of one byte goes unnoticed: {mutant.hex()}"
    for end in range(len(data)):
        verdict = oracle.examine(data[:end], limits)
        assert verdict.error is not None
        assert verdict.error.code is pf.ErrorCode.TRUNCATED, f"{name} cut to {end} bytes: {verdict.error}"


@pytest.mark.parametrize("name", FILES)
def test_every_change_under_right_checksums(name: str) -> None:
    """Refused, or canonical; and the decoder written from SPEC.md says the same, with the same error code."""
    data = (VECTORS / name).read_bytes()
    limits = limits_for(data)
    file = parse(data)
    assert file is not None
    mode = "numba" if pf.warmup() else "numpy"
    outcomes = set()
    header = pf.inspect(data)
    step = 8 if header.label_codec.startswith("adaptive") and header.num_classes > 4096 else 1  # slow to set up
    with accel.use(mode):
        for number, mutant in enumerate(mutants(file)):
            if number % step:
                continue
            verdict = oracle.examine(mutant, limits)
            if number % (4 * step) == 0:
                oracle.same_as_reference(mutant, limits)
            if verdict.name == "CONTENT_DIGEST":
                right = oracle.with_right_digest(mutant)
                assert right is not None
                verdict = oracle.examine(right, limits)
                assert verdict.name != "CONTENT_DIGEST"
                oracle.same_everywhere(right, limits)
            outcomes.add(verdict.name)
    assert len(outcomes) > 5


def test_enough_files_are_covered() -> None:
    kinds = {s.type for name in FILES for s in pf.inspect((VECTORS / name).read_bytes()).sections}
    assert {
        0x00,
        0x01,
        0x02,
        0x03,
        0x10,
        0x11,
        0x20,
        0x21,
        0x22,
        0x23,
        0x30,
        0x08,
        0x09,
        0x28,
        0x29,
        0x80,
        0x81,
        0x82,
        0x83,
    } <= kinds
