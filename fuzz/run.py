"""Run one fuzz target for so many seconds.

    python fuzz/run.py --target decode --seconds 60
    python -m fuzz --seconds 60                        # each target in turn

With Atheris the run is guided by coverage; its growing corpus is kept in fuzz/corpus-live/. Without it (other systems),
the mutants of ``fuzz.batch`` run instead. A finding stops the run: exit code 1, and the bytes are in fuzz/crashes/.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

TARGETS = ("decode", "structured", "roundtrip")
LARGEST = 4096  # bytes of an input: larger ones find nothing new and take longer


def atheris_run(target: str, seconds: int, seed: int) -> int:
    """Exit code of a coverage-guided run."""
    live = ROOT / "fuzz" / "corpus-live" / target
    crashes = ROOT / "fuzz" / "crashes"
    for folder in (live, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    starts = [ROOT / "fuzz" / "corpus", ROOT / "vectors" / "valid"]
    if target == "roundtrip":  # its inputs are Hypothesis's choices, not files: any bytes will do to begin with
        rng = random.Random(0)
        starts = []
        for number in range(64):
            (live / f"start-{number:02}").write_bytes(rng.randbytes(16 << number % 8))
    command = [
        sys.executable,
        str(ROOT / "fuzz" / f"fuzz_{target}.py"),
        f"-max_total_time={seconds}",
        f"-max_len={LARGEST}",
        f"-artifact_prefix={crashes}{os.sep}{target}-",
        f"-seed={seed}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        "-verbosity=0",
        str(live),
        *map(str, starts),
    ]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def plain_run(seconds: int, seed: int) -> int:
    """Exit code of a run without coverage: all targets at once."""
    from fuzz import marathon

    result = marathon.run(None, seconds, 1, seed, path=ROOT / "fuzz" / "corpus-live" / "plain.json", fresh=True)
    print(marathon.report(result))
    return 1 if result.findings else 0


def main(arguments: list[str] | None = None) -> int:
    """Command line; without ``--target``, each in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS, help="default: each in turn")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    if not find_spec("atheris"):
        print("Atheris is not installed: mutants without coverage guidance, all targets at once", file=sys.stderr)
        return plain_run(options.seconds, options.seed)
    worst = 0
    for target in (options.target,) if options.target else TARGETS:
        print(f"== {target}, {options.seconds} s", file=sys.stderr, flush=True)
        code = atheris_run(target, options.seconds, options.seed)
        if code:
            print(f"== {target}: stopped with exit code {code}; see fuzz/crashes", file=sys.stderr)
        worst = worst or min(abs(code), 1)
    return worst


if __name__ == "__main__":
    sys.exit(main())
