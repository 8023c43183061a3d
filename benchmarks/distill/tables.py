"""Writes the tables of docs/distdd.md, 'Results', from the files in results/.

    python -m benchmarks.distill.tables
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from ..report import replace_between

HERE = Path(__file__).resolve().parent
RESULTS, DOCS = HERE / "results", HERE.parents[1] / "docs" / "distdd.md"
# Published with DC and DSA, 1 and 10 images per class, whole training sets, width 128.
PUBLISHED = {
    ("cifar10", 1): ("28.3", "28.8"),
    ("cifar10", 10): ("44.9", "52.1"),
    ("fashion", 1): ("70.5", "70.6"),
    ("fashion", 10): ("82.3", "84.6"),
}


def load(name: str) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def spread(values: Sequence[float]) -> str:
    """In percent: mean and sample standard deviation, over seeds."""
    text = f"{100 * mean(values):.1f}"
    return f"{text} ± {100 * stdev(values):.1f}" if len(values) > 1 else text


def points(values: Sequence[float]) -> str:
    text = f"{100 * mean(values):+.1f}".replace("-", "−")
    return f"{text} ± {100 * stdev(values):.1f}" if len(values) > 1 else text


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def centralised() -> str:
    rows = []
    for path in sorted(RESULTS.glob("*_ipc*_w*.json")):
        if path.name.startswith(("pilot", "federated", "tune")):
            continue
        found = json.loads(path.read_text())
        settings = found["settings"]
        task, each = path.name.split("_")[0], settings["images_per_class"]
        for updates in sorted({row["updates"] for row in found["rows"]}):
            own = {row["seed"]: row["distilled"]["mean"] for row in found["rows"] if row["updates"] == updates}
            real = {seed: found["random"][str(seed)]["mean"] for seed in own}
            gain = [own[seed] - real[seed] for seed in own]
            rows.append((
                f"{task}, {each}", str(settings["network"]["width"]), f"{updates:,}", str(len(own)),
                spread([*real.values()]), spread([*own.values()]), points(gain), " / ".join(PUBLISHED[task, each]),
            ))  # fmt: skip
    head = ("task, images per class", "width", "image updates", "seeds", "random real, %", "distilled, %",
            "gain, points", "published DC / DSA, %")  # fmt: skip
    return table(head, rows)


def rates() -> str:
    rows = []
    for path in sorted(RESULTS.glob("pilot_*.json")):
        found = json.loads(path.read_text())
        s = found["settings"]
        for row in found["rows"]:
            rows.append((
                f"{found['task']['name'].split('_')[0]}, {s['images_per_class']}", s["init"], f"{s['image_lr']:g}",
                f"{s['outer_steps']} x {s['inner_epochs']} at {s['network_lr']:g}", str(row["updates"]),
                str(found["recipe"]["epochs"]), spread([found["random"][str(row["seed"])]["mean"]]),
                spread([row["distilled"]["mean"]]),
            ))  # fmt: skip
    head = ("task, images per class", "start", "image rate", "steps x inner epochs, rate", "updates",
            "test network's epochs", "random real, %", "distilled, %")  # fmt: skip
    return table(head, rows)


def federated(name: str) -> str:
    found = load(name)
    if not found:
        return ""
    cells: dict[str, dict[int, dict[str, Any]]] = {}
    for row in found["rows"]:
        cells.setdefault(row["cell"], {})[row["seed"]] = row
    base = cells.get("centralised", {})
    steps = found["arguments"]["iterations"] * (found["arguments"]["outer_steps"] or 1)
    rows = []
    for cell, by_seed in cells.items():
        scores = [row["accuracy"]["mean"] for row in by_seed.values()]
        shared = [seed for seed in by_seed if seed in base]
        gaps = [by_seed[seed]["accuracy"]["mean"] - base[seed]["accuracy"]["mean"] for seed in shared]
        down = mean(row.get("bytes_down", 0) for row in by_seed.values())
        up = mean(row.get("bytes_up", 0) for row in by_seed.values())
        rows.append((
            cell, str(len(scores)), spread(scores), "" if cell == "centralised" else points(gaps),
            f"{down / 1e6:.2f}" if down else "", f"{up / 1e6:.2f}" if up else "",
            f"{(down + up) / steps / 1e3:,.0f}" if down else "",
        ))  # fmt: skip
    head = ("cell", "seeds", "accuracy, %", "against centralised, points", "down, MB", "up, MB", "kB per image update")
    return table(head, rows)


def tuning() -> str:
    rows = []
    for path in sorted(RESULTS.glob("tune_*.json")):
        found = json.loads(path.read_text())
        tune, words = found["tune"], found["commands"]["distill"]
        reference = tune["reference"]
        ranks, count = reference["ranks"], tune["bytes"]
        best = max(reference["scores"], key=lambda one: reference["scores"][one]["mean"])
        rows.append((
            f"{words[words.index('--images-per-class') + 1]}, {words[words.index('--codec') + 1]}",
            spread([found["evaluation"]["scores"]["distilled"]["mean"]]), str(len(tune["distilled"])),
            signed(ranks["spearman"]), signed(ranks["kendall"]), within_rates(tune["distilled"], reference["scores"]),
            f"{tune['best']} ({100 * reference['scores'][tune['best']]['mean']:.1f} %)",
            f"{best} ({100 * reference['scores'][best]['mean']:.1f} %)", f"{100 * reference['regret']:.1f}",
            f"{count['distillation'] / 1e6:.1f}", f"{count['configurations']} x {count['fedavg_run'] / 1e6:.2f}",
            str(count["break_even"]),
        ))  # fmt: skip
    head = ("images per class, codec", "set's own accuracy, %", "candidates", "Spearman", "Kendall",
            "Spearman at each rate", "chosen on the set", "best by FedAvg", "points lost", "distillation, MB",
            "FedAvg, MB", "pays from")  # fmt: skip
    return table(head, rows)


def signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def within_rates(proxy: dict[str, Any], truth: dict[str, Any]) -> str:
    """Spearman's rho of the architectures alone, at each learning rate."""
    from plada_distill.tune import rank_correlation

    parts = []
    for rate in sorted({name.split(" lr ")[1].split()[0] for name in proxy}, key=float):
        names = [name for name in proxy if f" lr {rate} " in name]
        rho = rank_correlation([proxy[name]["mean"] for name in names], [truth[name]["mean"] for name in names])
        if (value := rho["spearman"]) is not None:
            parts.append(f"{rate}: {signed(value)}")
    return ", ".join(parts)


def bridge() -> str:
    found = load("bridge")
    rows = []
    for what in dict.fromkeys(row["what"] for row in found.get("rows", [])):
        own = [row for row in found.get("rows", []) if row["what"] == what]
        wire = [(row.get("bytes_down", 0) + row.get("bytes_up", 0)) / 1e6 for row in own]
        rows.append((
            what, str(len(own)), f"{mean(row['images'] for row in own):.0f}",
            f"{mean(row['result_bytes'] for row in own):,.0f}", f"{mean(wire):.1f}" if wire[0] else "",
            spread([row["convnet"] for row in own]), spread([row["frozen"] for row in own]),
        ))  # fmt: skip
    head = ("what", "seeds", "images", "bytes of the result", "MB between server and clients", "ConvNet-3, %",
            "linear on frozen MobileNetV2, %")  # fmt: skip
    return table(head, rows)


def main() -> None:
    parts = {
        "centralised": centralised(),
        "rates": rates(),
        "tuning": tuning(),
        "bridge": bridge(),
        **{path.stem: federated(path.stem) for path in RESULTS.glob("federated_*.json")},
    }
    for name, made in parts.items():
        replace_between(DOCS, name, made)


if __name__ == "__main__":
    main()
