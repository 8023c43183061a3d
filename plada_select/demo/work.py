"""The demo's steps. What a user can do with a command is done with that command."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..select import Policy
from .choose import POLICIES, as_flags, choose, rehearse
from .plan import Plan
from .rows import LazyRows
from .steps import Steps

if TYPE_CHECKING:
    import plada_format as pf
    from plada_train import Features, ImageSource, LabelledImages, LoadedModel, Task

    from ..scoretable import ScoreTable

PAYLOAD, PLAIN, BUDGET = "task.plada", "plain.plada", "budget.plada"
_MANIFEST, _SCORES, _TEACHER, _CACHE, _TUNED = "pool.pladapool", "scores", "teacher", "cache", "student-tuned"
STEPS = 11


class Demo:
    """One run: the plan, the steps, and what several steps look at."""

    def __init__(self, plan: Plan, steps: Steps) -> None:
        self.plan, self.steps = plan, steps

    def run(self) -> dict[str, Any]:
        """All steps; returns what the last screen shows."""
        done: dict[str, Any] = {"pool": self.pool(), "teacher": self.teach()}
        self.score()
        done["choice"] = self.rehearse(done["teacher"]["val"])
        done["files"] = self.select(done["choice"])
        self.verify()
        done["students"] = self.students()
        done["tuned"] = self.tuned(done["choice"]["trial"]["count"])
        done["baselines"] = self.baselines(done)
        done["leakage"] = self.leakage()
        done["report"] = self.report(done)
        return done

    # What several steps look at, loaded when first needed.

    @cached_property
    def images(self) -> ImageSource:
        """The pool."""
        from plada_train import open_source

        return open_source(self.plan.pool)

    @cached_property
    def task(self) -> Task:
        """The target, with the split that ``plada teach`` makes."""
        from plada_train import open_task

        return open_task(self.plan.target)

    @cached_property
    def manifest(self) -> pf.Manifest:
        """Of the pool."""
        import plada_format as pf

        return pf.Manifest.open(self.plan.path(_MANIFEST))

    @cached_property
    def table(self) -> ScoreTable:
        """The teacher's scores."""
        from ..scoretable import ScoreTable

        return ScoreTable.open(self.plan.path(_SCORES), pool_fingerprint=self.manifest.fingerprint)

    @cached_property
    def backbone(self) -> LoadedModel:
        """The student's, frozen."""
        from plada_train import load_model

        plan = self.plan
        return load_model(plan.student_arch, plan.student_weights, num_classes=0, input_size=plan.input_size)

    @cached_property
    def pool_rows(self) -> LazyRows:
        """The student backbone's features of the pool."""
        return LazyRows(self.backbone, self.images, self.plan.path(_CACHE), "pool features")

    def features(self, images: LabelledImages, name: str) -> Features:
        """The student backbone's features of target images."""
        from plada_train import extract_features

        rule = self.backbone.preprocess.for_source(self.task.source)
        return extract_features(
            self.backbone, images.source, preprocess=rule, cache=self.plan.path(_CACHE), description=name
        )

    # Server

    def pool(self) -> Any:
        """Manifest of the pool."""
        line = ["pool", "build", self.plan.pool, self.plan.path(_MANIFEST), "--name", "demo pool", "--force"]
        title = "Pool: hash the images that server and clients hold"
        return self.steps.command("pool", title, line, then=lambda: {"images": len(self.images)})

    def teach(self) -> Any:
        """Teacher: a linear classifier on a frozen backbone."""
        plan = self.plan
        line = [
            "teach", plan.target, "-o", plan.path(_TEACHER), "--arch", plan.teacher_arch,
            "--weights", plan.teacher_weights, "--mode", "head", "--input-size", str(plan.input_size),
            "--cache", plan.path(_CACHE), *self.threads(), *self.forced(_TEACHER),
        ]  # fmt: skip

        test = plan.path(f"{_TEACHER}/test.json")
        again = [
            "evaluate", plan.path(_TEACHER), plan.target, "--cache", plan.path(_CACHE), "--out", test, *self.threads(),
        ]  # fmt: skip

        def found() -> dict[str, Any]:
            metrics = json.loads(Path(plan.path(_TEACHER), "model.json").read_bytes())["metrics"]
            evaluation = json.loads(Path(test).read_bytes())
            return {
                "val": metrics["val_accuracy"],
                "test": evaluation["accuracy"],
                "summary": metrics["summary"],
                "evaluation": evaluation,
            }

        title = "Server: train the teacher on the labelled target, and test it"
        return self.steps.command("teach", title, line, again, then=found)

    def score(self) -> Any:
        """Score table."""
        plan = self.plan
        line = [
            "score", "--table", plan.path(_SCORES), "--teacher", plan.path(_TEACHER), "--pool", plan.path(_MANIFEST),
            "--images", plan.pool, *self.threads(),
        ]  # fmt: skip
        return self.steps.command("score", "Server: run the teacher over the pool", line)

    def rehearse(self, teacher: float) -> Any:
        """Policy and count, on the validation split."""
        plan = self.plan

        def work() -> dict[str, Any]:
            images = self.task.split("val")
            val = self.features(images, "validation features")
            self.prefetch(plan.counts)
            trials = rehearse(self.table, plan.counts, self.pool_rows, (val.values, images.labels))
            chosen = choose(trials, plan.goal * teacher, plan.budget)
            width = max(len(trial.policy) for trial in trials)
            for trial in trials:
                mark = " <- chosen" if trial == chosen.trial else ""
                print(
                    f"      {trial.policy:{width}} {trial.count:4} images {trial.bytes:5} bytes"
                    f"  validation {trial.accuracy:.1%}{mark}"
                )
            print(
                f"      goal: {plan.goal:.0%} of the teacher's {teacher:.1%} = {chosen.goal:.1%}, in the fewest bytes"
            )
            return {**chosen.to_json(), "flags": as_flags(POLICIES[chosen.trial.policy])}

        title = "Server: rehearse the student on the validation split (it decides policy and count)"
        return self.steps.run("rehearse", title, work)

    def prefetch(self, counts: tuple[int, ...]) -> None:
        """Features of all images that the trials keep, in one go."""
        from ..select import rank

        most = max(count for count in counts if count <= len(self.table))
        kept = [rank(self.table, policy).select(most).indices for policy in POLICIES.values()]
        self.pool_rows.want(np.concatenate(kept))

    def select(self, choice: dict[str, Any]) -> Any:
        """Three payloads: without Safety-Net, as chosen, and as many images as the budget holds."""
        plan, flags, count = self.plan, choice["flags"], str(choice["trial"]["count"])
        base = ["select", plan.path(_SCORES), "--pool", plan.path(_MANIFEST), "--force", "-o"]
        plain = [flag for flag in flags if flag != "--safety-net"]
        lines = (
            [*base, plan.path(PLAIN), "--count", count, *plain],
            [*base, plan.path(PAYLOAD), "--count", count, *flags],
            [*base, plan.path(BUDGET), "--budget", str(plan.budget), *flags],
        )

        def sizes() -> dict[str, Any]:
            return {name: Path(plan.path(name)).stat().st_size for name in (PLAIN, PAYLOAD, BUDGET)}

        title = f"Server: select and encode (without Safety-Net; as chosen; at {plan.budget:,} bytes)"
        return self.steps.command("select", title, *lines, then=sizes)

    # Client

    def verify(self) -> Any:
        """The checks that a client makes first."""
        file, pool = self.plan.path(PAYLOAD), self.plan.path(_MANIFEST)
        lines = (["verify", file, "--manifest", pool], ["info", file])
        return self.steps.command("verify", "Client: check the payload", *lines)

    def train_line(self, payload: str, out: str, *more: str) -> list[str]:
        """``plada train`` for the student."""
        plan = self.plan
        return [
            "train", plan.path(payload), "--pool", plan.pool, "--manifest", plan.path(_MANIFEST), "--out",
            plan.path(out), "--arch", plan.student_arch, "--weights", plan.student_weights, "--cache",
            plan.path(_CACHE), *more, *self.forced(out), *self.threads(),
        ]  # fmt: skip

    def students(self) -> Any:
        """The student, with every seed."""
        plan, lines = self.plan, []
        for seed in plan.seeds:
            out = f"student-{seed}"
            lines.append(self.train_line(PAYLOAD, out, "--recipe", "head", "--seed", str(seed)))
            lines.append(
                ["evaluate", plan.path(out), plan.target, "--cache", plan.path(_CACHE), "--out",
                 plan.path(f"{out}/test.json"), *self.threads()]
            )  # fmt: skip

        def found() -> dict[str, Any]:
            tests = [json.loads(Path(plan.path(f"student-{seed}/test.json")).read_bytes()) for seed in plan.seeds]
            return {"accuracies": [test["accuracy"] for test in tests], "evaluation": tests[0]}

        title = f"Client: train the student from the payload alone ({len(plan.seeds)} seeds), and test it"
        return self.steps.command("students", title, *lines, then=found)

    def tuned(self, count: int) -> Any:
        """The same with all weights trained."""
        plan = self.plan
        epochs = max(1, plan.tune_passes // (2 * count))
        more = ("--recipe", "finetune", "--epochs", str(epochs))

        def found() -> dict[str, Any]:
            from plada_train import evaluate, load_checkpoint

            test = self.task.split("test")
            part = test.subset(np.arange(min(plan.tuned_test, len(test))))
            result = evaluate(load_checkpoint(plan.path(_TUNED)).model, part, threads=plan.threads)
            print(f"      fine-tuned student: {result.accuracy:.1%} of the first {result.count} test images")
            return {
                "accuracy": result.accuracy,
                "count": result.count,
                "epochs": epochs,
                "evaluation": result.to_json(),
            }

        title = "Client: a student with all weights fine-tuned, for comparison"
        return self.steps.command("tuned", title, self.train_line(PAYLOAD, _TUNED, *more), then=found)

    def forced(self, out: str) -> list[str]:
        """The flag that replaces a model: one is there if the run was killed between the model and its record."""
        return ["--force"] if Path(self.plan.path(out), "model.safetensors").exists() else []

    def threads(self) -> list[str]:
        """As a flag."""
        return [] if self.plan.threads is None else ["--threads", str(self.plan.threads)]

    # Comparison

    def baselines(self, done: dict[str, Any]) -> Any:
        """Everything else that could be sent in as many bytes."""
        from .compare import compare

        title = "What else could be sent in as many bytes, on the same student"
        return self.steps.run(self.named("baselines"), title, lambda: compare(self, done))

    def leakage(self) -> Any:
        """Whether test images lie in the pool."""
        from .compare import check_leakage

        return self.steps.run("leakage", "Are test images in the pool?", lambda: check_leakage(self))

    def report(self, done: dict[str, Any]) -> Any:
        """report.html."""
        from .compare import report

        return self.steps.run(self.named("report"), "Report", lambda: report(self, done))

    def named(self, step: str) -> str:
        """Name of a step that ``--full-pool`` changes."""
        return f"{step}-full" if self.plan.full_pool else step

    def policy(self, choice: dict[str, Any]) -> Policy:
        """The chosen policy."""
        return POLICIES[choice["trial"]["policy"]]
