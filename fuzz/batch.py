"""One batch of mutants: a pure function of (seed, batch number, corpus), so that any finding can be repeated.

Within a batch the accepted mutants become seeds in their turn, which lets edits add up.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import plada_format as pf
from fuzz import mutate, oracle, seeds
from fuzz.anatomy import Anatomy, groups_for, parse
from plada_format.codecs import GROUPED, INDEX_CODECS, LABEL_CODECS

BATCH = 5_000  # mutants
FRESH = 40  # newly encoded payloads per batch
COPIED = oracle.ZSTD_TYPES | {0x80, 0x81}  # sections that recode copies: frames and text
SLOW = 1.0  # seconds of processor time that no file may take
TARGETS = ("decode", "structured", "roundtrip")


@dataclass
class Result:
    """What one batch, or many, came to. Plain types only, so that it crosses processes and goes into JSON.

    Attributes:
        counts: by target, then by outcome ("accepted" or the name of an error code).
        compared: mutants decoded by more than one back end.
        referred: mutants decoded by the plain decoder of tests/reference, too.
        measured: mutants whose peak memory was traced.
        slowest: seconds, target, batch and size of the slowest mutant.
        largest_memory: highest traced peak as a fraction of the bound, with target and batch.
        findings: [message, hexadecimal bytes], at most 20 per batch.
    """

    counts: dict[str, Counter[str]] = field(default_factory=lambda: {t: Counter() for t in TARGETS})
    seconds: float = 0.0
    compared: int = 0
    referred: int = 0
    measured: int = 0
    slowest: list[Any] = field(default_factory=lambda: [0.0, "", 0, 0])
    largest_memory: list[Any] = field(default_factory=lambda: [0.0, "", 0, 0])
    findings: list[list[str]] = field(default_factory=list)

    @property
    def mutants(self) -> int:
        """Files examined."""
        return sum(sum(c.values()) for c in self.counts.values())

    def add(self, other: Result) -> None:
        """Take over the figures of another batch."""
        for target, counts in other.counts.items():
            self.counts[target].update(counts)
        self.seconds += other.seconds
        self.compared += other.compared
        self.referred += other.referred
        self.measured += other.measured
        self.slowest = max(self.slowest, other.slowest)
        self.largest_memory = max(self.largest_memory, other.largest_memory)
        self.findings += other.findings


def arguments_of(p: pf.Payload) -> dict[str, Any]:
    """Arguments of ``encode`` that hold the content of a payload."""
    return {
        "indices": p.indices,
        "labels": p.labels,
        "pool_size": p.pool_size,
        "num_classes": p.num_classes,
        "pool_fingerprint": p.pool_fingerprint,
    }


def round_trip(data: bytes, rng: random.Random) -> None:
    """Write an accepted file again with other codecs: the content must stay, and every codec must take it.

    Raises:
        Finding: it does not.
    """
    groups = oracle.groups_of(data)
    before = pf.decode(data, groups=groups, limits=oracle.LIMITS)
    groups = np.array(groups_for(before.pool_size), np.uint32) if before.pool_size else None
    # a bitmap of a large pool with few images in it is slow to compress, and finds nothing
    left_out = GROUPED if groups is None else set()
    kinds = [k for k in seeds.INDEX_IDS if (before.pool_size <= 1 << 16 or k not in (0x00, 0x11)) and k not in left_out]
    label_kinds = [kind for kind in seeds.LABEL_IDS if kind not in left_out]
    index, label = INDEX_CODECS[rng.choice(kinds)].name, LABEL_CODECS[rng.choice(label_kinds)].name
    try:
        again = pf.recode(data, index_codec=index, label_codec=label, groups=groups, limits=oracle.LIMITS)
        after = pf.decode(again, groups=groups, limits=oracle.LIMITS)
        fresh = pf.encode(**arguments_of(before), groups=groups, index_codec=index, label_codec=label)
    except Exception as problem:
        raise oracle.Finding(f"recode to {index}, {label}: {problem!r}") from problem
    if not np.array_equal(before.indices, after.indices) or not np.array_equal(before.labels, after.labels):
        raise oracle.Finding(f"recode to {index}, {label} changes the content")
    signed = 0xFF in before.extra  # a signature does not outlive a change
    if not signed and before != after:
        raise oracle.Finding(f"recode to {index}, {label} changes an ancillary section")
    if after.header.content_digest != before.header.content_digest:
        raise oracle.Finding(f"recode to {index}, {label} changes the digest")
    streams = [[d[s.offset : s.offset + s.length] for s in pf.inspect(d).sections[:2]] for d in (again, fresh)]
    if streams[0] != streams[1]:
        raise oracle.Finding(f"encode and recode to {index}, {label} write different streams")


class Batch:
    """The work of one batch."""

    def __init__(self, seed: int, number: int, corpus: list[bytes], announce: Callable[[bytes], None]) -> None:
        self.rng = random.Random(f"{seed}/{number}")
        self.number = number
        self.announce = announce
        self.result = Result()
        rng = self.rng
        fresh = [seeds.fresh(rng) for _ in range(FRESH)]
        for data in fresh:
            self._check("roundtrip", data, must_pass=True)
        old = rng.sample(corpus, min(len(corpus), FRESH))
        self.files: list[tuple[bytes, Anatomy]] = [(d, f) for d in fresh + old if (f := parse(d)) is not None]
        self.lanes = seeds.many_lanes(rng) if number % 8 == 0 else None

    def run(self, size: int = BATCH) -> Result:
        """Examine about ``size`` mutants."""
        start = time.process_time()
        rng = self.rng
        while self.result.mutants < size:
            data, file = rng.choice(self.files)
            if self.lanes and rng.random() < 0.02:
                data = self.lanes
                self._check("structured", mutate.mutate(rng, data))
            elif rng.random() < 0.1:
                self._check("decode", mutate.raw(rng, data))
            else:
                donors = [rng.choice(self.files)[1], rng.choice(self.files)[1]]
                self._check("structured", mutate.structured(rng, file, donors))
        self.result.seconds = time.process_time() - start
        return self.result

    def _expectations(self, data: bytes) -> dict[str, Any]:
        rng = self.rng
        n = int.from_bytes(data[12:16], "little")
        k = int.from_bytes(data[16:20], "little")
        if len(data) < 60 or rng.random() > 0.03:
            return {}
        out: dict[str, Any] = {}
        if k <= oracle.LIMITS.max_kept and n <= oracle.LIMITS.max_pool:
            out["pool_size"] = n if rng.random() < 0.7 else n + 1
        if rng.random() < 0.7:
            own = data[22:38]
            out["pool_fingerprint"] = own if any(own) and rng.random() < 0.5 else b"another pool...."
        if rng.random() < 0.2:
            out["groups"] = np.array([0, 3], np.uint32)
        return out

    def _check(self, target: str, data: bytes, *, must_pass: bool = False) -> None:
        self.announce(data)
        rng, result = self.rng, self.result
        start = time.process_time()
        try:
            verdict = oracle.examine(data, **self._expectations(data))
            name = verdict.name
            seconds = time.process_time() - start
            if seconds > result.slowest[0]:
                result.slowest = [seconds, target, self.number, len(data)]
            if seconds > SLOW:
                raise oracle.Finding(f"takes {seconds:.2f} s")
            if must_pass and verdict.error is not None and verdict.error.code not in range(14, 18):
                raise oracle.Finding(f"fresh payload is refused: {verdict.error}")
            self._sample(target, data, verdict)
            if verdict.payload is not None:
                if target == "structured" and len(self.files) < 400:
                    file = parse(data)
                    if file is not None:
                        self.files.append((data, file))
                if rng.random() < 0.02 and len(data) < 4000 and verdict.payload.header.count < 5000:
                    round_trip(data, rng)
                    result.counts["roundtrip"]["accepted"] += 1
        except oracle.Finding as problem:
            name = "finding"
            if len(result.findings) < 20:
                result.findings.append([f"{target}, batch {self.number}: {problem}", data.hex()])
        result.counts[target][name] += 1
        if name == "CONTENT_DIGEST" and target == "structured":
            right = oracle.with_right_digest(data)
            if right is not None:
                self._check("structured", right)

    def _sample(self, target: str, data: bytes, verdict: oracle.Verdict) -> None:
        """The dearer checks, on some."""
        rng, result = self.rng, self.result
        if rng.random() < 0.04:
            result.compared += 1
            oracle.same_everywhere(data)
        # writing frames and text again proves nothing, as they are copied: there the plain decoder is asked more often
        copied = verdict.payload is not None and any(s.type in COPIED for s in verdict.payload.header.sections)
        if rng.random() < (0.15 if copied else 0.03) and len(data) < 2000 and _short(data):
            result.referred += 1
            oracle.same_as_reference(data)
        if rng.random() < 0.01:
            result.measured += 1
            part = oracle.memory_of(data) / oracle.bound_for(data)
            result.largest_memory = max(result.largest_memory, [part, target, self.number, len(data)])


def _short(data: bytes) -> bool:
    """Whether the plain decoder is done with the file in a few milliseconds."""
    try:
        header = pf.inspect(data)
    except pf.PladaError:
        return True
    soft = any(s.type == 0x83 for s in header.sections)
    return header.count < 2000 and header.pool_size <= 1 << 16 and not (soft and header.num_classes > 64)


def start_files() -> list[bytes]:
    """Corpus and conformance vectors: what mutation starts from besides fresh payloads."""
    vectors = seeds.CORPUS.parents[1] / "vectors"
    files = seeds.corpus()
    for name in ("valid", "invalid"):
        files += [p.read_bytes() for p in sorted((vectors / name).glob("*.plada")) if p.stat().st_size <= 4000]
    return files
