"""A small world of real images in which every step can run in a second, and children that run one step."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).resolve().parents[1] / "data"
ARCH = "test_resnet"
CODES = {"pool verify": 5}  # of a step that went well; 0 for all others


@dataclass
class World:
    """Inputs of all steps; ``root`` holds the pool, target, manifest, teacher, table and payload."""

    root: Path

    def path(self, name: str) -> str:
        return str(self.root / name)

    def steps(self, out: Path) -> dict[str, list[str]]:
        """Step -> arguments of ``plada``; everything that it writes lies in ``out``."""
        pool, manifest = f"folder:{self.path('pool')}", self.path("p.pladapool")
        changed = f"folder:{self.path('changed')}"
        target, plain = f"npz:{self.path('target.npz')}", ["--device", "cpu", "--threads", "1", "--quiet"]
        model = ["--arch", ARCH, "--weights", self.path("w.safetensors"), *plain]
        teach = ["teach", target, "-o", f"{out}/m", "--input-size", "32", *model]
        score = ["score", "--teacher", self.path("teacher"), "--pool", manifest, "--images", pool]
        select = ["select", self.path("table"), "--pool", manifest, "-o", f"{out}/x.plada", "--force"]
        join = [self.path("task.plada"), "--pool", pool, "--manifest", manifest]
        train = ["train", *join, "--out", f"{out}/m", "--input-size", "32", *model]
        export = ["export", join[0]]
        return {
            "pool build": ["pool", "build", pool, f"{out}/p.pladapool", "--name", "p", "--force", "--quiet"],
            "pool verify": ["pool", "verify", changed, manifest, "--list", f"{out}/bad.tsv", "--quiet"],
            "teach head": [*teach, "--mode", "head"],
            "teach all weights": [*teach, "--mode", "finetune", "--epochs", "2"],
            "score": [*score, "--table", f"{out}/t", "--batch-size", "8", *plain],
            "score merge": ["score", "--merge", self.path("table"), "--table", f"{out}/t"],
            "select": [*select, "--budget", "300", "--safety-net", "--allow-missing-classes"],
            "report": [*select, "--count", "12", "--report", f"{out}/r.html", "--images", pool],
            "train head": [*train, "--recipe", "head"],
            "train all weights": [*train, "--recipe", "finetune", "--epochs", "2"],
            "evaluate": ["evaluate", self.path("teacher"), target, "--out", f"{out}/e.json", *plain],
            "export parquet": [*export, f"{out}/d.parquet", *join[1:], "--force", "--quiet"],
            "export csv": [*export, f"{out}/d.csv", *join[1:], "--force", "--quiet"],
            "export folder": [*export, f"{out}/d", *join[1:], "--force", "--quiet"],
        }  # fmt: skip


def make_world(root: Path) -> World:
    """24 pool images in three folders, 3 + 1 target images of each of ten classes, and what the first steps make."""
    import torch
    from safetensors.torch import save_file

    from plada_format.cli.main import main
    from plada_train import load_model, open_source

    images = open_source(f"npz:{DATA / 'pool_2k.npz'}")
    for number in range(24):
        path = root / "pool" / f"g{number // 8}" / f"{number:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(images.read(number))
    shutil.copytree(root / "pool", root / "changed")
    (root / "changed" / "g1" / "11.jpg").write_bytes(b"changed")
    _write_target(root / "target.npz")
    torch.manual_seed(0)
    save_file(load_model(ARCH, num_classes=0).module.state_dict(), root / "w.safetensors")
    world = World(root)
    for step, made, wanted in (
        ("pool build", "p.pladapool", "p.pladapool"),
        ("teach head", "m", "teacher"),
        ("score", "t", "table"),
        ("select", "x.plada", "task.plada"),
    ):
        first = root / "first"
        first.mkdir(exist_ok=True)
        assert main(world.steps(first)[step]) == 0, step
        (first / made).rename(root / wanted)
    return world


def _write_target(path: Path) -> None:
    archive = dict(np.load(DATA / "cifar10_ci.npz"))
    labels, split, offsets = archive["labels"], archive["split"], archive["offsets"].astype(np.int64)
    chosen = [
        place
        for label in range(10)
        for part, count in ((0, 3), (1, 1))
        for place in np.flatnonzero((labels == label) & (split == part))[:count]
    ]
    files = [archive["data"][offsets[i] : offsets[i + 1]] for i in chosen]
    ends = np.cumsum([0] + [len(file) for file in files])
    np.savez(
        path,
        data=np.concatenate(files),
        offsets=ends,
        labels=labels[chosen],
        split=split[chosen],
        names=archive["names"],
    )


def run_child(arguments: list[str], *, kill_at: int | None = None, limit: int | None = None) -> tuple[int, list[str]]:
    """Run ``plada`` in a forked child; its exit code, or minus the signal that ended it, and its lines on stderr.

    Args:
        arguments: of ``plada``.
        kill_at: kill -9 itself instead of the so manieth fsync, which is where files and folders become durable.
        limit: of the size of any file that it writes, bytes; further writing fails as on a full disk.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    here, there = os.pipe()
    pid = os.fork()
    if pid == 0:  # the child never returns to pytest
        code = 99
        with contextlib.suppress(BaseException):
            os.dup2(there, 2)
            os.close(here)
            os.close(there)
            code = _in_child(arguments, kill_at, limit)
        os._exit(code)
    os.close(there)
    with os.fdopen(here) as file:
        lines = file.read().splitlines()
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), lines


def _in_child(arguments: list[str], kill_at: int | None, limit: int | None) -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stderr, sys.stdout = os.fdopen(2, "w", closefd=False), os.fdopen(1, "w", closefd=False)
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    real, calls = os.fsync, [0]

    def fsync(descriptor: Any) -> None:
        calls[0] += 1
        if calls[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        real(descriptor)

    os.fsync = fsync
    from plada_format.cli.main import main

    code = main(arguments)
    sys.stderr.flush()
    return code
