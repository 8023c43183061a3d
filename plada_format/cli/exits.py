"""Exit codes, and how an exception becomes one of them (docs/cli.md has the table)."""

from __future__ import annotations

from enum import IntEnum

from .. import errors


class Exit(IntEnum):
    """What ``plada`` returns to the shell."""

    OK = 0
    USER = 1
    USAGE = 2
    UNSUPPORTED = 3
    CORRUPT = 4
    POOL = 5
    LIMIT = 6
    MISSING = 7
    INTERNAL = 70
    INTERRUPTED = 130
    PIPE = 141
    TERMINATED = 143


def for_exception(error: BaseException) -> Exit:
    """The exit code for ``error``; :attr:`Exit.INTERNAL` for whatever should not have happened."""
    if isinstance(error, errors.PladaError):
        return _for_format_error(error)
    if isinstance(error, BrokenPipeError):
        return Exit.PIPE
    if isinstance(error, MemoryError):
        return Exit.LIMIT
    if isinstance(error, ImportError):
        return Exit.MISSING
    if isinstance(error, (errors.UserError, OSError)):
        return Exit.USER
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    return Exit.INTERNAL


def _for_format_error(error: errors.PladaError) -> Exit:
    if error.code == errors.ErrorCode.MISSING_DEPENDENCY:
        return Exit.MISSING
    classes: tuple[tuple[type[errors.PladaError], Exit], ...] = (
        (errors.NotPladaError, Exit.UNSUPPORTED),
        (errors.UnsupportedError, Exit.UNSUPPORTED),
        (errors.PoolMismatchError, Exit.POOL),
        (errors.LimitError, Exit.LIMIT),
        (errors.InvalidInputError, Exit.USER),
    )
    return next((code for kind, code in classes if isinstance(error, kind)), Exit.CORRUPT)
