"""The same files through every decoder: accepted or not, error code and content must be the same everywhere.

    python -m conformance                      the vectors and 100,000 fresh mutants
    python -m conformance --count 1000000      more; goes on where a run with the same seed and workers was stopped

Exit code 1: the decoders disagree (conformance/findings has the files). 2: a worker is missing or does not start.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import multiprocessing.connection
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import plada_format as pf
from conformance import cases, findings
from conformance.compare import Panel, Verdicts, name_of
from conformance.protocol import Case
from conformance.workers import ROOT, Spec, WorkerError, available, capabilities

RESULT = ROOT / "conformance" / "results" / "conformance.json"
MOST_FINDINGS = 40  # that are made smaller and written out


@dataclass
class Tally:
    """Counts of one batch or many; plain types only, so that it crosses processes and goes into JSON.

    Attributes:
        files: cases that were put to the workers.
        by_code: cases by the leading worker's verdict.
        asked: by worker, the cases that it was asked about.
        adaptive: cases whose section table names an adaptive codec.
        frames: cases whose section table names a Zstandard codec.
        frame_differences: those where workers only differ in whether the frame can be decompressed.
        frame_hangs: those where a worker's Zstandard library does not come back, and the others refuse the frame.
        disagreements: all others where they differ.
        found: lines of :func:`conformance.findings.keep` for disagreements.
        frames_found: such lines for differences about frames, one of each batch.
    """

    files: int = 0
    by_code: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    adaptive: int = 0
    frames: int = 0
    frame_differences: int = 0
    frame_hangs: int = 0
    disagreements: int = 0
    found: list[dict[str, Any]] = field(default_factory=list)
    frames_found: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take over the counts of another batch."""
        for name in ("files", "adaptive", "frames", "frame_differences", "frame_hangs", "disagreements"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.by_code.update(other.by_code)
        self.asked.update(other.asked)
        self.found = (self.found + other.found)[:MOST_FINDINGS]
        self.frames_found = (self.frames_found + other.frames_found)[:10]

    def count(self, panel: Panel, case: Case, verdicts: Verdicts, what: str) -> None:
        """Count one case; a disagreement is made smaller and written out."""
        self.files += 1
        leading = verdicts.answers.get(panel.leader) or next(iter(verdicts.answers.values()), None)
        self.by_code[name_of(leading.code) if leading else "not asked"] += 1
        self.asked.update(verdicts.answers.keys())
        self.frames += verdicts.zstd
        self.adaptive += cases.codecs_of(case.file).adaptive
        if verdicts.agree:
            return
        if verdicts.about_frame:
            self.frame_differences += 1
            if not self.frames_found:
                self.frames_found.append(findings.keep(panel, case, verdicts, what))
            return
        if verdicts.frame_hangs:  # not made smaller: each try would take as long as it takes to see that it hangs
            self.frame_hangs += 1
            print(f"HANGS in {what}: {verdicts.text()}", file=sys.stderr, flush=True)
            answers = {name: name_of(a.code) for name, a in verdicts.answers.items()}
            self.frames_found.append({"what": what, "answers": answers, "file": case.file.hex()})
            return
        self.disagreements += 1
        if len(self.found) < MOST_FINDINGS:
            print(f"DISAGREEMENT in {what}: {verdicts.text()}", file=sys.stderr, flush=True)
            self.found.append(findings.keep(panel, case, verdicts, what))


def run_vectors(panel: Panel) -> Tally:
    """All vectors; the manifest is one more opinion."""
    tally = Tally()
    all_vectors = list(cases.vectors())
    verdicts = panel.start([v.case for v in all_vectors], whole=True).verdicts()
    for vector, found in zip(all_vectors, verdicts):
        with_manifest = Verdicts({"manifest": vector.expected, **found.answers}, found.zstd)
        tally.files += 1
        tally.asked.update(found.answers.keys())
        tally.by_code[name_of(vector.expected.code)] += 1
        if not with_manifest.agree:
            tally.disagreements += 1
            print(f"DISAGREEMENT in {vector.name}: {with_manifest.text()}", file=sys.stderr, flush=True)
            answers = {name: name_of(a.code) for name, a in with_manifest.answers.items()}
            tally.found.append({"what": f"vector {vector.name}", "answers": answers})
    return tally


def run_batch(panel: Panel, seed: int, number: int, size: int, start: Sequence[bytes]) -> Tally:
    """One batch of mutants; the next round is made while the workers are busy with this one."""
    tally = Tally()
    source = cases.Mutants(seed, number, start)
    pending = panel.start(source.take(min(cases.ROUND, size)))
    while pending is not None:
        following = None
        if source.made < size:
            first = source.made
            following = panel.start(source.take(min(cases.ROUND, size - first)), first)
        for case, verdicts in zip(pending.cases, pending.verdicts()):
            tally.count(panel, case, verdicts, f"batch {number}")
            if panel.leader in verdicts.answers:
                source.learn(case, verdicts.answers[panel.leader])
        pending = following
    return tally


def _work(pipe: Any, specs: Sequence[Spec], seed: int, plain_share: int) -> None:
    panel = Panel(specs, plain_share=plain_share)
    start = cases.start_files()
    try:
        while (job := pipe.recv()) is not None:
            pipe.send((job, run_batch(panel, seed, *job, start)))
    except (EOFError, KeyboardInterrupt):
        pass
    finally:
        panel.close()


def _source_digest() -> str:
    """Identifies runner, mutation, reference decoder and start files."""
    sha = hashlib.sha256()
    for folder in ("conformance", "fuzz", "plada_format"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            sha.update(path.read_bytes())
    for data in cases.start_files():
        sha.update(hashlib.sha256(data).digest())
    return sha.hexdigest()[:16]


class Progress:
    """Counts in the result file, so that a run can be stopped and go on."""

    def __init__(self, path: Path, key: dict[str, Any], *, fresh: bool) -> None:
        self.path, self.key = path, key
        self.vectors, self.mutants = Tally(), Tally()
        self.done: set[int] = set()
        self.seconds = 0.0
        if not fresh:
            self._resume()

    def _resume(self) -> None:
        try:
            old = json.loads(self.path.read_text())
            if old["run"] != self.key:
                return
            counts = old["mutants"]
            tally = Tally(**{**counts, "by_code": Counter(counts["by_code"]), "asked": Counter(counts["asked"])})
            self.mutants, self.done, self.seconds = tally, set(old["batches"]), old["seconds"]
        except (OSError, ValueError, KeyError, TypeError):
            return

    def save(self) -> None:
        """Write the result file."""
        report = {
            "run": self.key,
            "seconds": round(self.seconds, 1),
            "vectors": vars(self.vectors),
            "mutants": {**vars(self.mutants), "by_code": dict(self.mutants.by_code.most_common())},
            "never_reached": sorted(
                c.name for c in pf.ErrorCode if c < 40 and c.name not in self.mutants.by_code + self.vectors.by_code
            ),
            "batches": sorted(self.done),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(report, indent=1) + "\n")
        os.replace(temporary, self.path)


def run(
    specs: Sequence[Spec], count: int, *, seed: int = 1, jobs: int = 1, plain_share: int = 10, path: Path = RESULT,
    fresh: bool = False, quiet: bool = False,
) -> Progress:  # fmt: skip
    """Vectors, then mutants until there are ``count`` in all.

    Raises:
        WorkerError: a worker does not start.
    """
    abilities = {spec.name: capabilities(spec) for spec in specs}
    size = min(cases.BATCH, max(count, 1))
    key = {"seed": seed, "batch": size, "plada": pf.__version__, "code": _source_digest(), "plain_share": plain_share,
           "workers": abilities}  # fmt: skip
    progress = Progress(path, key, fresh=fresh)
    start, before = time.monotonic(), progress.seconds
    panel = Panel(specs)
    try:
        progress.vectors = run_vectors(panel)
    finally:
        panel.close()
    numbers = iter([n for n in range(-(-count // size)) if n not in progress.done])
    context = multiprocessing.get_context("spawn")
    crew = []
    for _ in range(jobs):
        pipe, other = context.Pipe()
        process = context.Process(target=_work, args=(other, specs, seed, plain_share), daemon=True)
        process.start()
        other.close()
        crew.append((pipe, process))
    try:
        busy = {}
        for pipe, _ in crew:
            number = next(numbers, None)
            if number is not None:
                pipe.send((number, min(size, count - number * size)))
                busy[pipe] = number
        while busy:
            for pipe in multiprocessing.connection.wait(list(busy), timeout=5.0):
                try:
                    (done, _), tally = pipe.recv()
                except EOFError:
                    raise WorkerError(f"the process with batch {busy[pipe]} died; its own message is above") from None
                progress.mutants.add(tally)
                progress.done.add(done)
                progress.seconds = before + time.monotonic() - start
                progress.save()
                del busy[pipe]
                number = next(numbers, None)
                if number is not None:
                    pipe.send((number, min(size, count - number * size)))
                    busy[pipe] = number
                if not quiet:
                    t = progress.mutants
                    rate = t.files / max(progress.seconds, 1e-9)
                    print(f"{t.files:>10,} mutants, {rate:,.0f}/s, {t.disagreements} disagreements",
                          file=sys.stderr, flush=True)  # fmt: skip
    finally:
        for pipe, process in crew:
            try:
                pipe.send(None)
            except OSError:
                pass
            process.join(20)
            if process.is_alive():
                process.kill()
    progress.seconds = before + time.monotonic() - start
    progress.save()
    return progress


def report(progress: Progress) -> str:
    """The counts as text."""
    v, m = progress.vectors, progress.mutants
    lines = [f"{name:>26} {n:>12,}" for name, n in m.by_code.most_common()]
    lines += [f"{'worker':>26} {'vectors':>12} {'mutants':>12}"]
    lines += [f"{name:>26} {v.asked[name]:>12,} {m.asked[name]:>12,}" for name in progress.key["workers"]]
    lines += [
        f"{v.files:,} readings of vectors, {m.files:,} mutants in {progress.seconds:,.0f} s; "
        f"{m.adaptive:,} with adaptive codecs, {m.frames:,} with Zstandard",
        f"differences about a Zstandard frame only: {m.frame_differences + v.frame_differences}",
        f"frames at which a Zstandard library hangs: {m.frame_hangs + v.frame_hangs}",
        f"disagreements: {m.disagreements + v.disagreements}",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000, help="mutants in all (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with workers of its own (default: 1)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", help="only these, separated by commas (default: all)")
    parser.add_argument(
        "--with", dest="more", action="append", default=[], metavar="NAME=COMMAND",
        help="a further worker, or another one of that name; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--plain-share", type=int, default=10, metavar="M",
        help="Python without numba gets every M-th mutant, if that has at most 2,000 images (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--result", type=Path, default=RESULT, help="file for the counts (default: %(default)s)")
    parser.add_argument("--fresh", action="store_true", help="begin anew, do not go on")
    options = parser.parse_args(arguments)
    try:
        names = options.workers.split(",") if options.workers else None
        for text in options.more:
            if "=" not in text.strip("="):
                raise WorkerError(f"--with needs NAME=COMMAND, not '{text}'")
        more = dict(text.split("=", 1) for text in options.more)
        specs = available(names, more, strict=bool(os.environ.get("CI")))
        if len(specs) < 2:
            raise WorkerError("there is nothing to compare: fewer than two workers")
        progress = run(
            specs, options.count, seed=options.seed, jobs=options.jobs, plain_share=options.plain_share,
            path=options.result, fresh=options.fresh,
        )  # fmt: skip
    except WorkerError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    print(report(progress))
    return 1 if progress.mutants.disagreements + progress.vectors.disagreements else 0
