"""``plada doctor``: what is installed, and whether it works together."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from typing import TYPE_CHECKING

from .exits import Exit
from .text import one_line, printable, table

if TYPE_CHECKING:
    from .parts import Subparsers

# Each check runs in its own process: a broken library may crash, and a slow one must not slow the others' timing.
_CHECKS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "codec",
        "",
        "import plada_format as p; d = p.encode([1, 5, 9], [0, 1, 0], pool_size=20, num_classes=2, profile='baseline');"
        "assert p.decode(d).indices.tolist() == [1, 5, 9]; print('encodes and decodes')",
        ("numpy",),
    ),
    (
        "zstandard",
        "",
        "import zstandard as z; d = z.ZstdCompressor().compress(b'plada' * 9);"
        "assert z.ZstdDecompressor().decompress(d) == b'plada' * 9;"
        "print('compresses, library', '.'.join(map(str, z.ZSTD_VERSION)))",
        ("zstandard",),
    ),
    (
        "numba",
        "fast",
        "import numba; f = numba.njit(lambda x: x + 1); assert f(1) == 2; print('compiles')",
        ("numba", "llvmlite"),
    ),
    (
        "torch",
        "train",
        "import torch; assert int(torch.ones(2).sum()) == 2;"
        "print('computes on', 'CUDA' if torch.cuda.is_available() else 'CPU')",
        ("torch",),
    ),
    (
        "timm",
        "train",
        # The training part knows how to live with a torchvision that was built for another torch.
        "from plada_train.timm_guard import import_timm, was_needed; n = len(import_timm().list_models());"
        "print(n, 'models' + (', torchvision does not fit this torch (worked around)' if was_needed() else ''))",
        ("torch", "torchvision", "timm"),
    ),
    ("Pillow", "train", "import PIL.Image; print('loads')", ("Pillow",)),
    ("pyarrow", "train", "import pyarrow.parquet; print('loads')", ("pyarrow",)),
    ("matplotlib", "report", "import matplotlib; print('loads')", ("matplotlib",)),
)


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="print versions and check that the installed libraries work together",
        description="Print versions and check that what is installed works together. Exit code 7 if not.",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check library after library. Absent optional ones are no failure, broken ones are."""
    rows = [
        ("python", f"{platform.python_version()} ({platform.system()} {platform.machine()}, {os.cpu_count()} CPUs)"),
        ("plada", _version("plada") or "run from a source tree"),
        ("numpy", _version("numpy") or "not installed"),
    ]
    broken = []
    for name, extra, code, packages in _CHECKS:
        missing = [package for package in packages if _version(package) is None]
        versions = ", ".join(
            f"{package} {_version(package)}" if len(packages) > 1 else str(_version(package)) for package in packages
        )
        if missing:
            how = f' (pip install "plada[{extra}]")' if extra else " (needed)"
            rows.append((name, f"not installed: {', '.join(missing)}{how}"))
            broken += [] if extra else [name]
            continue
        good, text = _try(code)
        rows.append((name, f"{versions}: {text}" if good else f"{versions}: BROKEN: {text}"))
        broken += [] if good else [name]
    print(table([(printable(left), printable(right)) for left, right in rows]))
    if broken:
        print(f"plada: error: does not work: {', '.join(broken)}", file=sys.stderr)
        return int(Exit.MISSING)
    return int(Exit.OK)


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _try(code: str) -> tuple[bool, str]:
    """Run ``code`` in a fresh interpreter; its last line of output, or of its complaint."""
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, one_line(error)
    lines = [line for line in (done.stderr if done.returncode else done.stdout).splitlines() if line.strip()]
    return done.returncode == 0, lines[-1].strip() if lines else f"exit code {done.returncode}"
