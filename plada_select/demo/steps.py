"""Runs the demo's steps one after the other, each once: what is done is kept, also across kills."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

from .passes import PassCounter


class StepFailed(UserError):
    """A command of the demo ended with an error that it has already printed."""


@dataclass
class Steps:
    """Runs steps and remembers them in ``folder/NAME.json``.

    Attributes:
        folder: where the records lie.
        identity: of the plan; records of another one are not used.
        counter: of backbone passes.
        seconds, passes: of all steps so far, including those that an earlier process ran.
        names: steps so far.
    """

    folder: Path
    identity: dict[str, Any]
    counter: PassCounter
    total: int = 0
    seconds: float = 0.0
    passes: int = 0
    names: list[str] = field(default_factory=list)
    _fresh: bool = True

    def run(self, name: str, title: str, work: Callable[[], Any]) -> Any:
        """The JSON value that ``work`` returns, or that it returned when this step was done before.

        A step that runs makes all later ones run too.
        """
        self.names.append(name)
        number = f"[{len(self.names)}/{self.total}]" if self.total else f"[{len(self.names)}]"
        record = self._load(name) if self._fresh else None
        if record is None:
            self._fresh = False
            print(f"\n{number} {title}", flush=True)
            record = self._do(name, work)
            print(f"      {record['seconds']:.0f} s, {record['passes']:,} backbone passes", flush=True)
        else:
            print(f"{number} {title}: done before", flush=True)
        self.seconds += record["seconds"]
        self.passes += record["passes"]
        return record["value"]

    def command(self, name: str, title: str, *lines: Sequence[str], then: Callable[[], Any] | None = None) -> Any:
        """A step that runs ``plada`` command lines; ``then`` gives its value."""

        def work() -> Any:
            for line in lines:
                plada(line)
            return None if then is None else then()

        return self.run(name, title, work)

    def _load(self, name: str) -> dict[str, Any] | None:
        try:
            record = json.loads((self.folder / f"{name}.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return record if record.get("identity") == json.loads(json.dumps(self.identity)) else None

    def _do(self, name: str, work: Callable[[], Any]) -> dict[str, Any]:
        self.folder.mkdir(parents=True, exist_ok=True)
        before, started = self.counter.count, time.perf_counter()
        value = work()
        record = {
            "identity": self.identity,
            "seconds": round(time.perf_counter() - started, 2),
            "passes": self.counter.count - before,
            "value": value,
        }
        with atomic_write(self.folder / f"{name}.json") as file:
            file.write(json.dumps(record, indent=1).encode() + b"\n")
        return record


def plada(arguments: Sequence[str]) -> None:
    """Print a command line, and run it in this process through the command's own entry point.

    Raises:
        StepFailed: it ended with an error; its message is on the screen.
    """
    from plada_format.cli.main import main

    print(f"    $ plada {shlex.join(arguments)}", flush=True)
    code = main(list(arguments))
    sys.stdout.flush()
    if code:
        raise StepFailed(f"'plada {arguments[0]}' ended with exit code {code}; run the demo again to go on from there")
