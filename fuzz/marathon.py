"""Many mutants through all targets, on one or more processes, resumable.

    python fuzz/marathon.py --count 10000000 --jobs 1 --seed 1

Prints a line now and then, and at the end the counts by error code; writes fuzz/results/marathon.json after every
checkpoint. Started again with the same seed and corpus, it goes on where it stopped. Exit code 1 if anything was found;
the bytes are then in fuzz/crashes/.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import platform
import sys
import time
from collections import Counter
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402  # the path comes first, for "python fuzz/marathon.py"

import plada_format as pf  # noqa: E402  # the path comes first
from fuzz import batch, mutate, oracle  # noqa: E402  # the path comes first

RESULT = ROOT / "fuzz" / "results" / "marathon.json"
CRASHES = ROOT / "fuzz" / "crashes"
HANG = 120.0  # seconds on one file after which a worker is given up
#: Address space beyond what the warm worker has. The bound of SPEC.md section 10 for these limits is 16 MiB, 80 with
#: the largest table of soft labels; the rest is room for the allocator's own habits.
ROOM = 256 << 20


def _limit_memory() -> None:
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + ROOM
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    except (ImportError, OSError, ValueError):
        pass  # not Linux: the traced samples remain


def _work(pipe: Connection, current: Any, seed: int, size: int) -> None:
    """A worker: batch numbers in, results out. ``current`` always holds the file in hand, for the case of a crash."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("PLADA_ACCEL", "numba")
    pf.warmup()
    corpus = batch.start_files()
    view = memoryview(current).cast("B")
    serial = 0

    def announce(data: bytes) -> None:
        nonlocal serial
        serial += 1
        view[0:8] = len(data).to_bytes(4, "little") + (serial & 0xFFFFFFFF).to_bytes(4, "little")
        view[8 : 8 + len(data)] = data

    for data in corpus[:50]:  # everything loaded and compiled before memory is limited
        announce(data)
        oracle.same_everywhere(data)
    _limit_memory()
    while (number := pipe.recv()) is not None:
        done = batch.Batch(seed, number, corpus, announce).run(size)
        pipe.send((number, done))


class Worker:
    """A process with its pipe and the file that it has in hand."""

    def __init__(self, seed: int, size: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.current = context.RawArray("B", 8 + 2 * mutate.LARGEST)
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, self.current, seed, size), daemon=True)
        self.process.start()
        other.close()
        self.number: int | None = None
        self.seen = (b"", time.monotonic())

    def give(self, number: int | None) -> None:
        """Send the next batch, or None to stop."""
        self.number = number
        self.pipe.send(number)

    def file(self) -> bytes:
        """The file in hand."""
        raw = bytes(self.current)
        return raw[8 : 8 + int.from_bytes(raw[:4], "little")]

    def hangs(self) -> bool:
        """Whether the same file has been in hand for too long."""
        head = bytes(self.current[:8])
        if head != self.seen[0]:
            self.seen = (head, time.monotonic())
        return time.monotonic() - self.seen[1] > HANG


class State:
    """Progress, kept in the result file."""

    def __init__(self, seed: int, size: int, path: Path) -> None:
        self.path = path
        self.total = batch.Result()
        self.done: set[int] = set()
        self.wall = 0.0
        corpus = hashlib.sha256(b"".join(hashlib.sha256(f).digest() for f in batch.start_files())).hexdigest()[:16]
        self.key = {"seed": seed, "batch_size": size, "corpus": corpus, "plada": pf.__version__, "code": _code_digest()}

    def resume(self) -> bool:
        """Take up the figures of an interrupted run of the same kind."""
        try:
            old = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return False
        if old.get("run") != self.key:
            return False
        first, others = old["batches"]["first"], old["batches"]["others"]
        self.done = set(range(first)) | set(others)
        self.wall = old["wall_seconds"]
        t = self.total
        t.counts = {name: Counter(c) for name, c in old["counts"].items()}
        t.seconds, t.compared, t.referred, t.measured = (
            old[n] for n in ("cpu_seconds", "compared", "referred", "measured")
        )
        t.slowest, t.largest_memory = old["slowest"], old["largest_memory"]
        t.findings = [[message, ""] for message in old["findings"]]
        return True

    def next_number(self, given: set[int]) -> int:
        """The smallest batch that nobody has done or is doing."""
        number = 0
        while number in self.done or number in given:
            number += 1
        return number

    def save(self, wall: float) -> None:
        """Write the result file."""
        first = self.next_number(set())
        t = self.total
        by_code: Counter[str] = sum(t.counts.values(), Counter())
        report = {
            "run": self.key,
            "mutants": t.mutants,
            "mutants_per_second": round(t.mutants / t.seconds) if t.seconds else 0,
            "wall_seconds": round(self.wall + wall, 1),
            "cpu_seconds": round(t.seconds, 1),
            "machine": {"cpu": _cpu(), "python": platform.python_version(), "numpy": np.__version__, "numba": _numba()},
            "by_code": dict(by_code.most_common()),
            "never_reached": sorted(
                c.name for c in pf.ErrorCode if c < pf.ErrorCode.NOT_MANIFEST and c.name not in by_code
            ),
            "counts": {name: dict(c.most_common()) for name, c in t.counts.items()},
            "compared": t.compared,
            "referred": t.referred,
            "measured": t.measured,
            "slowest": t.slowest,
            "largest_memory": t.largest_memory,
            "findings": [message for message, _ in t.findings],
            "batches": {"first": first, "others": sorted(n for n in self.done if n > first)},
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(report, indent=1) + "\n")
        os.replace(temporary, self.path)


def _code_digest() -> str:
    """Identifies the decoder and the fuzzer: figures of different code are never added up."""
    sha = hashlib.sha256()
    for folder in ("plada_format/codecs", "plada_format/engines", "plada_format", "fuzz"):
        pattern = "*.py" if folder in ("plada_format", "fuzz") else "**/*.py"
        for path in sorted((ROOT / folder).glob(pattern)):
            sha.update(path.read_bytes())
    return sha.hexdigest()[:16]


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _numba() -> str | None:
    try:
        import numba

        return str(numba.__version__)
    except ImportError:
        return None


def save_crash(data: bytes) -> Path:
    """Keep the bytes of a finding under their hash."""
    CRASHES.mkdir(parents=True, exist_ok=True)
    path = CRASHES / f"{hashlib.sha256(data).hexdigest()[:16]}.plada"
    path.write_bytes(data)
    return path


def run(
    count: int | None, seconds: float | None, jobs: int, seed: int, *, size: int = batch.BATCH, path: Path = RESULT,
    fresh: bool = False, quiet: bool = False,
) -> batch.Result:  # fmt: skip
    """Run until ``count`` mutants in all, or for ``seconds`` of this call; returns all figures, also resumed ones."""
    state = State(seed, size, path)
    if not fresh and state.resume() and not quiet:
        print(f"goes on after {state.total.mutants} mutants", file=sys.stderr)
    start = last = time.monotonic()
    workers = [Worker(seed, size) for _ in range(jobs)]

    def finding(message: str, data: bytes) -> None:
        where = save_crash(data)
        state.total.findings.append([f"{message} ({where.name})", ""])
        print(f"FOUND: {message} ({len(data)} bytes, {where})", file=sys.stderr)

    def wanted() -> bool:
        in_hand = size * sum(w.number is not None for w in workers)
        enough = count is not None and state.total.mutants + in_hand >= count
        late = seconds is not None and time.monotonic() - start > seconds
        return not enough and not late

    try:
        while True:
            for w in workers:
                if w.number is None and wanted():
                    w.give(state.next_number({v.number for v in workers if v.number is not None}))
            busy = [w for w in workers if w.number is not None]
            if not busy:
                break
            ready = wait([w.pipe for w in busy], timeout=1.0)
            for n, w in enumerate(workers):
                if w.pipe in ready:
                    try:
                        number, result = w.pipe.recv()
                    except EOFError:
                        w.process.join(5)
                        finding(f"batch {w.number}: the process dies with exit code {w.process.exitcode}", w.file())
                        state.done.add(w.number or 0)
                        workers[n] = Worker(seed, size)
                        continue
                    for message, raw in result.findings:
                        finding(message, bytes.fromhex(raw))
                    result.findings = []
                    state.total.add(result)
                    state.done.add(number)
                    w.number = None
                elif w.number is not None and w.hangs():
                    finding(f"batch {w.number}: no end after {HANG:.0f} s", w.file())
                    w.process.kill()
                    state.done.add(w.number)
                    workers[n] = Worker(seed, size)
            if time.monotonic() - last > 20:
                last = time.monotonic()
                state.save(last - start)
                if not quiet:
                    t = state.total
                    rate = t.mutants / max(t.seconds, 1e-9)
                    print(
                        f"{t.mutants:>11,} mutants, {rate:,.0f}/s, {len(t.findings)} findings",
                        file=sys.stderr,
                        flush=True,
                    )
    except KeyboardInterrupt:
        print("stopped; start again to go on", file=sys.stderr)
    finally:
        for w in workers:
            if w.process.is_alive():
                try:
                    w.pipe.send(None)
                except OSError:
                    pass
                w.process.join(0.2)
                w.process.kill()
        state.wall += time.monotonic() - start
        state.save(0.0)
    return state.total


def report(result: batch.Result) -> str:
    """The figures as text."""
    by_code: Counter[str] = sum(result.counts.values(), Counter())
    lines = [f"{name:>26} {n:>12,}" for name, n in by_code.most_common()]
    never = [c.name for c in pf.ErrorCode if c < pf.ErrorCode.NOT_MANIFEST and c.name not in by_code]
    rate = result.mutants / max(result.seconds, 1e-9)
    targets = ", ".join(f"{name} {sum(c.values()):,}" for name, c in result.counts.items())
    lines += [
        f"never reached: {', '.join(never) or 'none'}",
        f"{result.mutants:,} mutants ({targets}); {rate:,.0f} per second of one core",
        f"back ends compared on {result.compared:,}, the plain decoder asked about {result.referred:,}, "
        f"memory traced on {result.measured:,}",
        "slowest: {:.3f} s ({}, batch {}, {} bytes)".format(*result.slowest),
        "memory: at most {:.0%} of the bound ({}, batch {}, {} bytes)".format(*result.largest_memory),
        f"findings: {len(result.findings)}",
    ]
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000_000, help="mutants in all (default: %(default)s)")
    parser.add_argument("--seconds", type=float, help="stop after so long, whatever the count")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--result", type=Path, default=RESULT, help="file for the figures (default: %(default)s)")
    parser.add_argument("--fresh", action="store_true", help="begin anew, do not resume")
    options = parser.parse_args()
    result = run(options.count, options.seconds, options.jobs, options.seed, path=options.result, fresh=options.fresh)
    print(report(result))
    return 1 if result.findings else 0


if __name__ == "__main__":
    sys.exit(main())
