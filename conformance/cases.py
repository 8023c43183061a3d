"""The files: every vector with what it must come to, and batches of fresh mutants that follow from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.protocol import Answer, Case
from conformance.workers import ROOT
from fuzz import batch, mutate, oracle, seeds
from fuzz.anatomy import FIXED, Anatomy, groups_for, parse, read_varint
from plada_format import ErrorCode

BATCH = 5_000  # mutants
ROUND = 400  # mutants on their way at the same time
FRESH = 60  # newly encoded payloads per batch
MOST_FILES = 500  # that mutation starts from

ZSTD_CODECS = frozenset((0x10, 0x11, 0x30))
ADAPTIVE_CODECS = frozenset((0x08, 0x09, 0x28, 0x29))
DIGEST = int(ErrorCode.CONTENT_DIGEST)


@dataclass(frozen=True, slots=True)
class Codecs:
    """What a file's section table names, as far as it can be followed."""

    zstd: bool
    adaptive: bool


def codecs_of(data: bytes) -> Codecs:
    """The codecs that a reader would meet; also those of embedded streams, whatever follows them."""
    kinds: set[int] = set()
    if len(data) > FIXED:
        end = min(max(data[10] - 4, FIXED), len(data))
        at, body = (FIXED + 8 if data[11] & 1 else FIXED), data[10]
        while at < end:
            kind = data[at]
            kinds.add(kind)
            found = read_varint(data[:end], at + 1)
            if found is None:
                break
            length, at = found
            if kind in (0x82, 0x83) and body < len(data):
                kinds.add(data[body])
            body += length + 4
    return Codecs(bool(kinds & ZSTD_CODECS), bool(kinds & ADAPTIVE_CODECS))


# --- vectors ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Vector:
    """A file of vectors/ and the answer that the manifest asks for."""

    name: str
    case: Case
    expected: Answer


def vectors() -> Iterator[Vector]:
    """All vectors of payloads; a valid one also as a reader meets it that knows pool size and fingerprint."""
    folder = ROOT / "vectors"
    for entry in json.loads((folder / "manifest.json").read_text())["vectors"]:
        data = (folder / entry["file"]).read_bytes()
        caller: dict[str, Any] = entry.get("caller", {})
        groups = caller.get("groups")
        plain = Case(
            data,
            pool_size=caller.get("pool_size"),
            fingerprint=bytes.fromhex(caller["pool_fingerprint"]) if "pool_fingerprint" in caller else None,
            groups=None if groups is None else tuple(groups),
        )
        if "error" in entry:
            yield Vector(entry["file"], plain, Answer(entry["error"]))
            continue
        expected = Answer(0, bytes.fromhex(entry["content_digest"]), entry["count"])
        if entry["pool_size"] <= plain.limit_pool:
            yield Vector(entry["file"], plain, expected)
        own = data[22:38]
        told = Case(data, entry["pool_size"], own if any(own) else None, plain.groups)
        yield Vector(f"{entry['file']} (pool known)", told, expected)


# --- mutants ----------------------------------------------------------------------------------------------------------


class Mutants:
    """One batch: the same seed, number and answers give the same files.

    Files that are accepted become seeds in their turn; where only the content digest is wrong, the same file follows
    with the digest that belongs to it.
    """

    def __init__(self, seed: int, number: int, start: Sequence[bytes]) -> None:
        self.rng = random.Random(f"conformance/{seed}/{number}")
        rng = self.rng
        fresh = [seeds.fresh(rng) for _ in range(FRESH)]
        old = rng.sample(list(start), min(len(start), FRESH))
        self.files: list[tuple[bytes, Anatomy]] = [(d, f) for d in fresh + old if (f := parse(d)) is not None]
        self.lanes = seeds.many_lanes(rng) if number % 8 == 0 else None
        self.waiting: list[bytes] = fresh
        self.made = 0

    def take(self, count: int) -> list[Case]:
        """The next cases."""
        files = self.waiting[:count]
        self.waiting = self.waiting[count:]
        while len(files) < count:
            files.append(self._mutant())
        self.made += count
        return [self._case(data) for data in files]

    def learn(self, case: Case, answer: Answer) -> None:
        """Take the verdict on a case into account."""
        if answer.code == 0 and len(self.files) < MOST_FILES:
            anatomy = parse(case.file)
            if anatomy is not None:
                self.files.append((case.file, anatomy))
        elif answer.code == DIGEST:
            right = oracle.with_right_digest(case.file)
            if right is not None and right != case.file:
                self.waiting.append(right)

    def _mutant(self) -> bytes:
        rng = self.rng
        data, file = rng.choice(self.files)
        if self.lanes and rng.random() < 0.01:
            return mutate.mutate(rng, self.lanes)
        if rng.random() < 0.1:
            return mutate.raw(rng, data)
        return mutate.structured(rng, file, [rng.choice(self.files)[1], rng.choice(self.files)[1]])

    def _case(self, data: bytes) -> Case:
        """The file with the expectations of some caller, mostly one who has the right pool."""
        rng = self.rng
        n = int.from_bytes(data[12:16], "little") if len(data) >= FIXED else 0
        k = int.from_bytes(data[16:20], "little") if len(data) >= FIXED else 0
        pool_size = fingerprint = groups = None
        if len(data) > FIXED and data[11] & 1 and n and rng.random() < 0.95:
            groups = tuple(groups_for(n))
        elif rng.random() < 0.02:
            groups = rng.choice(((0,), (0, 3), (0, 1, 2, 70_000)))
        if rng.random() < 0.04:
            if k <= oracle.LIMITS.max_kept and n <= oracle.LIMITS.max_pool:
                pool_size = n if rng.random() < 0.7 else n + 1
            if rng.random() < 0.6:
                own = data[22:38]
                fingerprint = own if len(own) == 16 and any(own) and rng.random() < 0.5 else b"another pool...."
        if groups is not None and pool_size is not None and groups[-1] >= pool_size:
            groups = None  # that would be the caller's own mistake
        return Case(data, pool_size, fingerprint, groups, oracle.LIMITS.max_pool, oracle.LIMITS.max_kept)


def start_files() -> list[bytes]:
    """What mutation starts from besides fresh payloads: fuzz/corpus and the smaller vectors."""
    return batch.start_files()
