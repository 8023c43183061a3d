"""Which workers there are, and talking to one of them."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from conformance.protocol import ANSWER, DIED, HANGS, Answer, answer_of

ROOT = Path(__file__).resolve().parents[1]
HANG = 60.0  # seconds without any answer
FIRST = 600.0  # seconds until a process gives its first one: numba may have to compile
_PYTHON = (sys.executable, "-m", "conformance.worker_python")


@dataclass(frozen=True)
class Spec:
    """How a worker is started.

    Attributes:
        name: as in the results.
        command: program and arguments, relative to the root of the repository.
        build: what makes the program, for the message when it is missing.
        environment: variables to set.
        needs: further files that the build makes.
        version: command whose first line says which compiler or interpreter it is.
    """

    name: str
    command: tuple[str, ...]
    build: str
    environment: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    version: tuple[str, ...] = ()

    @property
    def program(self) -> Path | None:
        """The file that the build makes; None for a module of Python."""
        return next((ROOT / part for part in self.command if "/" in part and not part.startswith(sys.prefix)), None)

    def missing(self) -> str | None:
        """Why the worker cannot run, or None."""
        if self.environment.get("PLADA_ACCEL") == "numba" and importlib.util.find_spec("numba") is None:
            return "numba is not installed"
        if "/" not in self.command[0] and shutil.which(self.command[0]) is None:
            return f"{self.command[0]} is not installed"
        files = [self.program, *(ROOT / name for name in self.needs)]
        absent = next((path for path in files if path is not None and not path.is_file()), None)
        if absent is None:
            return None
        return f"{os.path.relpath(absent, ROOT)} is not there" + (f"; {self.build} makes it" if self.build else "")


#: Cheap ones first: the first worker with every codec decides which mutants go on as seeds.
SPECS = (
    Spec("rust", ("ports/rust/target/release/worker",), "make -C ports/rust", version=("rustc", "-V")),
    Spec("c", ("ports/c/build/plada-worker",), "make -C ports/c", version=("cc", "--version")),
    Spec(
        "js",
        ("node", "ports/js/worker.mjs"),
        "npm --prefix ports/js run build:lib",
        version=("node", "-v"),
        needs=("ports/js/dist/index.js",),
    ),
    Spec("python-numba", _PYTHON, "", {"PLADA_ACCEL": "numba"}),
    Spec("python", _PYTHON, "", {"PLADA_ACCEL": "numpy"}),
)


class WorkerError(RuntimeError):
    """A worker that cannot be used; the message says which and why."""


def available(names: Sequence[str] | None, more: Mapping[str, str], *, strict: bool) -> list[Spec]:
    """The workers that can run.

    Args:
        names: only these, or None for all.
        more: commands of further workers by name; one of a name that exists takes its place.
        strict: a missing one is an error instead of a line on standard error.

    Raises:
        WorkerError: an unknown name; or, if ``strict``, a worker that is missing.
    """
    further = [Spec(name, tuple(shlex.split(command)), "") for name, command in more.items()]
    specs = [spec for spec in SPECS if spec.name not in more] + further
    unknown = set(names or ()) - {s.name for s in specs}
    if unknown:
        known = ", ".join(s.name for s in specs)
        raise WorkerError(f"no worker is called {', '.join(sorted(unknown))}; there are {known}")
    found = []
    for spec in specs:
        if names is not None and spec.name not in names:
            continue
        reason = spec.missing()
        if reason is None:
            found.append(spec)
        elif strict:
            raise WorkerError(f"worker {spec.name}: {reason}")
        else:
            print(f"worker {spec.name} is left out: {reason}", file=sys.stderr)
    return found


def _environment(spec: Spec) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, **spec.environment}


def capabilities(spec: Spec) -> dict[str, Any]:
    """What the worker says of itself: ``zstd`` and ``adaptive``, and which program it is.

    Raises:
        WorkerError: it does not start or says something else.
    """
    command = [*spec.command, "--capabilities"]
    try:
        done = subprocess.run(command, cwd=ROOT, env=_environment(spec), capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise WorkerError(f"worker {spec.name} does not start: {problem}") from None
    try:
        said = json.loads(done.stdout)
        out = {"zstd": bool(said["zstd"]), "adaptive": bool(said["adaptive"])}
    except (ValueError, KeyError, TypeError):
        problem = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise WorkerError(f"worker {spec.name} does not say what it can do: {problem[0]}") from None
    return {**out, "version": _version(spec)}


def _version(spec: Spec) -> str:
    """Compiler or interpreter, and a digest of the program."""
    if spec.program is None:
        numba = f", numba {metadata.version('numba')}" if spec.environment.get("PLADA_ACCEL") == "numba" else ""
        return f"Python {platform.python_version()}{numba}"
    said: list[str] = []
    if spec.version and shutil.which(spec.version[0]):
        said = subprocess.run(spec.version, capture_output=True, text=True, timeout=60).stdout.splitlines()
    program = hashlib.sha256(spec.program.read_bytes()).hexdigest()[:16]
    return f"{said[0] if said else 'compiler unknown'}, program {program}"


class Worker:
    """A running worker."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._lock = threading.Lock()  # a round may be on its way while a finding is made smaller
        self.log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # standard error of the worker
        self._start()

    def _start(self) -> None:
        self._answered = False
        self.process = subprocess.Popen(
            self.spec.command, cwd=ROOT, env=_environment(self.spec), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.log, bufsize=0,
        )  # fmt: skip

    def ask(self, requests: Sequence[bytes]) -> list[Answer]:
        """Answers to all requests, which are on their way together so that the worker never waits.

        A request at which the worker dies or hangs is answered with one of the runner's own codes, and the worker is
        started anew for the others.
        """
        with self._lock:
            return self._ask(requests)

    def _ask(self, requests: Sequence[bytes]) -> list[Answer]:
        answers: list[Answer] = []
        while len(answers) < len(requests):
            data, problem = self._exchange(b"".join(requests[len(answers) :]), len(requests) - len(answers))
            answers += [answer_of(data[at : at + ANSWER]) for at in range(0, len(data) - ANSWER + 1, ANSWER)]
            if problem:
                answers.append(Answer(problem))
                self.close()
                self._start()
        return answers

    def _exchange(self, out: bytes, count: int) -> tuple[bytes, int]:
        """What came back, and DIED or HANGS if that is not everything."""
        assert self.process.stdin and self.process.stdout
        source, sink = self.process.stdout.fileno(), self.process.stdin.fileno()
        os.set_blocking(sink, False)
        view = memoryview(out)
        found = bytearray()
        last = time.monotonic()
        while len(found) < count * ANSWER:
            readable, writable, _ = select.select([source], [sink] if view else [], [], 1.0)
            if writable:
                try:
                    view = view[os.write(sink, view[: 1 << 16]) :]
                except BlockingIOError:
                    pass
                except OSError:  # it is gone; what it answered before is still to be read
                    view = view[:0]
            if readable:
                part = os.read(source, 1 << 16)
                if not part:
                    return bytes(found), DIED
                found += part
                self._answered = True
                last = time.monotonic()
            elif time.monotonic() - last > (HANG if self._answered else FIRST):
                return bytes(found), HANGS
        return bytes(found), 0

    def error_output(self) -> str:
        """The last line that the worker wrote to standard error."""
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def close(self) -> None:
        """End the process."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
