"""All workers on the same cases, and what counts as a disagreement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from conformance.cases import Codecs, codecs_of
from conformance.protocol import HANGS, OWN_CODES, Answer, Case
from conformance.workers import Spec, Worker, capabilities
from plada_format import ErrorCode

ZSTD_FRAME, CONTENT_DIGEST = int(ErrorCode.ZSTD_FRAME), int(ErrorCode.CONTENT_DIGEST)
PLAIN = "python"  # without numba: slow, asked about a part only
PLAIN_KEPT, PLAIN_CLASSES = 2_000, 64  # largest k, and K with soft labels, of the cases for it


def name_of(code: int) -> str:
    """Name of an error code or of one of the runner's own."""
    if code == 0:
        return "accepted"
    try:
        return ErrorCode(code).name
    except ValueError:
        return OWN_CODES.get(code, f"CODE_{code}")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the workers that were asked about a case made of it.

    Attributes:
        answers: by worker's name.
        zstd: whether the file names a Zstandard codec.
    """

    answers: dict[str, Answer]
    zstd: bool

    @property
    def agree(self) -> bool:
        """All answers are the same, and none is one of the runner's own codes."""
        different = set(self.answers.values())
        return len(different) <= 1 and not any(a.code in OWN_CODES for a in different)

    @property
    def about_frame(self) -> bool:
        """They differ only in whether Zstandard can decompress a damaged frame, or into which bytes.

        What the bytes are the content digest decides, so those that accept must still agree, and so must those that
        fail with any other code.
        """
        others = {a for a in self.answers.values() if a.code not in (ZSTD_FRAME, CONTENT_DIGEST)}
        found = {a.code for a in self.answers.values()}
        return self.zstd and ZSTD_FRAME in found and len(others) <= 1 and not found & set(OWN_CODES)

    @property
    def frame_hangs(self) -> bool:
        """A Zstandard library does not come back from a frame that the others refuse."""
        found = {a.code for a in self.answers.values()}
        return self.zstd and found == {ZSTD_FRAME, HANGS}

    def text(self) -> str:
        """One line."""
        return ", ".join(
            f"{name}: {name_of(a.code)}" + (f" {a.digest.hex()} k={a.count}" if a.code == 0 else "")
            for name, a in self.answers.items()
        )


class Panel:
    """The running workers."""

    def __init__(self, specs: Sequence[Spec], *, plain_share: int = 1) -> None:
        """
        Args:
            specs: which workers.
            plain_share: the Python worker without numba is asked about every so many-th case only.
        """
        self.abilities: dict[str, dict[str, Any]] = {spec.name: capabilities(spec) for spec in specs}
        self.workers = {spec.name: Worker(spec) for spec in specs}
        self.plain_share = plain_share
        self.pool = ThreadPoolExecutor(max(len(specs), 1))
        full = [name for name, can in self.abilities.items() if can["zstd"] and can["adaptive"]]
        #: The worker whose answers decide how mutants go on, and which codes are counted.
        self.leader = (full or list(self.workers))[0]

    def asked(self, case: Case, codecs: Codecs, number: int, whole: bool) -> list[str]:
        """Names of the workers that a case goes to."""
        out = []
        for name, can in self.abilities.items():
            if (codecs.zstd and not can["zstd"]) or (codecs.adaptive and not can["adaptive"]):
                continue
            if name == PLAIN and not (whole or number % self.plain_share == 0):
                continue
            if name == PLAIN and (codecs.adaptive or not whole) and not _is_small(case.file):
                continue
            out.append(name)
        return out

    def start(self, cases: Sequence[Case], first: int = 0, *, whole: bool = False) -> Round:
        """Send the cases to the workers.

        Args:
            first: number of the first case, for the share of the plain worker.
            whole: the plain worker is asked about all of them, but for large ones with adaptive codecs.
        """
        kinds = [codecs_of(case.file) for case in cases]
        names = [self.asked(c, k, first + n, whole) for n, (c, k) in enumerate(zip(cases, kinds))]
        requests = [case.request() for case in cases]
        jobs = {}
        for name, worker in self.workers.items():
            numbers = [n for n, asked in enumerate(names) if name in asked]
            jobs[name] = (numbers, self.pool.submit(worker.ask, [requests[n] for n in numbers]))
        return Round(cases, kinds, jobs)

    def ask(self, case: Case, names: Iterable[str]) -> Verdicts:
        """One case to some workers."""
        answers = {name: self.workers[name].ask([case.request()])[0] for name in names}
        return Verdicts(answers, codecs_of(case.file).zstd)

    def close(self) -> None:
        """End the workers."""
        self.pool.shutdown()
        for worker in self.workers.values():
            worker.close()


class Round:
    """Cases on their way."""

    def __init__(self, cases: Sequence[Case], kinds: Sequence[Codecs], jobs: dict[str, Any]) -> None:
        self.cases = cases
        self._kinds = kinds
        self._jobs = jobs

    def verdicts(self) -> list[Verdicts]:
        """Wait for all answers."""
        found: list[dict[str, Answer]] = [{} for _ in self.cases]
        for name, (numbers, job) in self._jobs.items():
            for n, answer in zip(numbers, job.result()):
                found[n][name] = answer
        return [Verdicts(answers, kind.zstd) for answers, kind in zip(found, self._kinds)]


def _is_small(data: bytes) -> bool:
    if len(data) < 46:
        return True
    kept, classes = int.from_bytes(data[16:20], "little"), int.from_bytes(data[20:22], "little") + 1
    return kept <= PLAIN_KEPT and (classes <= PLAIN_CLASSES or 0x83 not in data[46 : data[10]])
