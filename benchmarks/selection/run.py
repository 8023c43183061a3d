"""Selection on a synthetic table of 14,197,114 rows, on one core: seconds and memory, with and without budget search.

    python -m benchmarks.selection.run [--rows N] [--classes K] [--output benchmarks/selection/results.csv]

Images lie in 21,841 groups, as in a pool in folder order; each group leans to one class and has its own level of
energy. Every case runs in a fresh process pinned to one core: read the table, order, select, encode (with the codecs
that ``plada select`` takes by default, unless the case says otherwise), write. The limits
are 3 s without and 20 s with budget search, 2 GiB; the command fails beyond them unless --no-limits is given.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROWS = 14_197_114
GROUPS = 21_841
LIMIT_SECONDS = {"keep": 3.0, "budget": 20.0}
LIMIT_BYTES = 2 << 30
CASES: dict[str, dict[str, object]] = {
    "plain 1 %": {"keep": "1%"},
    "plain 1 %, profile full": {"keep": "1%", "profile": "full"},
    "Safety-Net alpha 0, share 1, 1 %": {"keep": "1%", "alpha": "0", "share": "1"},
    "Safety-Net alpha -0.2, share 0.5, 1 %": {"keep": "1%", "alpha": "-0.2", "share": "0.5"},
    "Safety-Net alpha 0, share 1, 10 %": {"keep": "10%", "alpha": "0", "share": "1"},
    "plain, 150 kB": {"budget": 150_000},
    "Safety-Net alpha 0, share 1, 150 kB": {"budget": 150_000, "alpha": "0", "share": "1"},
    "Safety-Net alpha 0.5, share 0.5, 150 kB": {"budget": 150_000, "alpha": "0.5", "share": "0.5"},
    "Safety-Net alpha 0, share 1, 20 kB": {"budget": 20_000, "alpha": "0", "share": "1"},
}


def build_table(folder: Path, rows: int, classes: int) -> None:
    """Write the synthetic table; the same every time."""
    from plada_select.scoretable import CHUNK_ROWS, Provenance, start_table, write_chunk

    rng = np.random.default_rng(0)
    borders = np.sort(rng.choice(rows - 1, min(GROUPS, rows) - 1, replace=False)) + 1
    group = np.zeros(rows, np.int32)
    group[borders] = 1
    group = np.cumsum(group, dtype=np.int32)
    main_class = rng.integers(0, classes, group[-1] + 1).astype(np.uint16)
    level = rng.normal(-8, 1.5, group[-1] + 1).astype(np.float32)
    provenance = Provenance("5e" * 16, rows, classes, "00" * 32, "00" * 32, "float32")
    task = {"class_names": [f"class {c}" for c in range(classes)]}
    start_table(folder, provenance, task)
    for chunk in range(provenance.num_chunks):
        count = provenance.rows(chunk)
        part = group[chunk * CHUNK_ROWS : chunk * CHUNK_ROWS + count]
        energy = level[part] + rng.standard_normal(count, dtype=np.float32)
        label = np.where(rng.random(count) < 0.7, main_class[part], rng.integers(0, classes, count).astype(np.uint16))
        columns = {"label": label, "energy": energy, "entropy": -energy, "max_logit": energy, "margin": energy}
        write_chunk(folder, provenance, chunk, {**columns, "status": np.zeros(count, np.uint8)})


def run_case(folder: Path, case: dict[str, object]) -> dict[str, object]:
    """One selection in this process."""
    import resource

    from plada_select.pipeline import select_payload, write_outcome
    from plada_select.safety_net import SafetyNet
    from plada_select.scoretable import ScoreTable
    from plada_select.select import Policy

    began, used = time.perf_counter(), time.process_time()
    net = SafetyNet(case["alpha"], case["share"]) if "alpha" in case else None
    wish = {name: case[name] for name in ("keep", "budget") if name in case}
    wish["encode_options"] = {"profile": case.get("profile", "compact")}  # the default of ``plada select``
    outcome = select_payload(ScoreTable.open(folder), Policy(safety_net=net), **wish)
    with tempfile.TemporaryDirectory() as target:
        write_outcome(outcome, Path(target) / "task.plada")
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(time.process_time() - used, 2),
        "peak_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "kept": len(outcome.selection),
        "bytes": len(outcome.data),
        "files_encoded": outcome.record["request"]["files_encoded"],
    }


def child(folder: Path, case: dict[str, object]) -> dict[str, object]:
    """Run a case in a fresh process on one core."""
    code = (
        "import json, os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from pathlib import Path; from benchmarks.selection.run import run_case;"
        "print(json.dumps(run_case(Path(sys.argv[1]), json.loads(sys.argv[2]))))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder), json.dumps(case)],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return {**json.loads(run.stdout), "process_seconds": round(time.perf_counter() - began, 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--table", type=Path, help="keep the synthetic table here and use it again")
    parser.add_argument("--case", help="only the cases whose name contains this")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("results.csv"))
    parser.add_argument("--no-limits", action="store_true", help="only measure")
    args = parser.parse_args()
    failures = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.table or Path(scratch) / "table"
        if not (folder / "table.json").exists():
            print(f"building a table of {args.rows:,} rows", file=sys.stderr)
            build_table(folder, args.rows, args.classes)
        rows = []
        for name, case in CASES.items():
            if args.case and args.case not in name:
                continue
            row = {"case": name, "rows": args.rows, "classes": args.classes, **child(folder, case)}
            rows.append(row)
            print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
            limit = (
                LIMIT_SECONDS["budget" if "budget" in case else "keep"] if case.get("keep") != "10%" else float("inf")
            )
            if float(row["seconds"]) > limit or int(row["peak_MiB"]) << 20 > LIMIT_BYTES:
                failures.append(name)
    with open(args.output, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    if failures and not args.no_limits:
        print(f"beyond the limits: {', '.join(failures)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
