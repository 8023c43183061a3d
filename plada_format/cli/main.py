"""Entry point of the command ``plada``: find the installed parts, parse, run, turn every failure into one line."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from .exits import Exit, for_exception
from .parser import Parser, add_config_option, with_config
from .parts import missing_library, register_all
from .text import one_line

DESCRIPTION = "Which images of a shared pool to use, and one class label for each, in a few hundred bytes."


def build_parser() -> Parser:
    """The whole command line. Imports nothing heavier than argparse."""
    parser = Parser(prog="plada", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=_version())
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    failed = register_all(subparsers)
    if failed:
        lines = [f"part '{name}' could not be loaded: {reason}" for name, reason in failed.items()]
        parser.epilog = "; ".join(lines)
        parser.hint = "".join(f"; {line}" for line in lines)
    add_config_option(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``plada`` with ``argv`` (default: the process's arguments); returns one of the exit codes of docs/cli.md."""
    # Spinning OpenMP threads make a shared machine many times slower; this must be set before any library starts them.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _on_termination()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # class names in a terminal that cannot show them
    part = ""
    try:
        parser = build_parser()
        arguments = parser.parse_args(with_config(parser, sys.argv[1:] if argv is None else list(argv)))
        run = getattr(arguments, "run", None)
        if run is None:
            parser.print_help(sys.stderr)
            return int(Exit.USAGE)
        part = str(run.__module__).partition(".")[0]
        code = int(run(arguments) or 0)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except SystemExit as stop:
        return _flushed(stop.code)
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("PLADA_TRACEBACK"):
            raise
        return _report(error, part)


def _report(error: Exception | KeyboardInterrupt, part: str) -> int:
    code = for_exception(error)
    if code is Exit.PIPE or (isinstance(error, OSError) and error.filename is None):
        _drop_stdout()  # whatever is still buffered cannot be written either
    if code is Exit.PIPE:
        return int(code)
    if isinstance(error, KeyboardInterrupt):
        message = "interrupted"
    elif isinstance(error, MemoryError):
        message = "not enough memory"
    elif isinstance(error, ImportError):
        message = missing_library(error, part)
    elif code is Exit.INTERNAL:
        what = f"{type(error).__name__}: {one_line(error)}"
        message = f"internal error, please report it: {what} (PLADA_TRACEBACK=1 shows where)"
    else:
        message = "".join(f"{note}: " for note in getattr(error, "__notes__", ())) + one_line(error)
    _complain(message)
    return int(code)


def _complain(message: str) -> None:
    try:
        print(f"plada: error: {message}", file=sys.stderr)
    except OSError:
        pass  # nobody listens


def _flushed(code: str | int | None) -> int:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _drop_stdout()
    if isinstance(code, str):  # sys.exit("message")
        _complain(code)
        return int(Exit.USER)
    return int(Exit.OK) if code is None else code


def _drop_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush stays silent."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError:
        pass


def _on_termination() -> None:
    """SIGTERM unwinds like an error, so that temporary files go away."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(int(Exit.TERMINATED))

    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, stop)
    except ValueError:
        pass  # not in the main thread: whoever embeds us decides


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"plada {version('plada')}"
    except PackageNotFoundError:
        return "plada (not installed)"


if __name__ == "__main__":
    raise SystemExit(main())
