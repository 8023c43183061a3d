"""The payload against everything else, on one student: baselines, other payloads, leakage, and the report."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..select import Policy, Selection, rank

if TYPE_CHECKING:
    from ..baselines import BaselineResult, Contest
    from .work import Demo

_OF_THE_POOL = ("payload", "random", "plain", "entropy", "opposite")
_COSTLY = ("random_quota", "full_pool")  # thousands of pool images


def compare(demo: Demo, done: dict[str, Any]) -> dict[str, Any]:
    """All baselines that the demo's passes allow; with ``full_pool`` all there are."""
    from ..baselines import run_baselines

    plan = demo.plan
    contest = _contest(demo, done)
    test = demo.task.split("test")
    _fetch_draws(demo, contest)
    same = {"plain"} if contest.policy.safety_net is None else set()
    same |= {"entropy"} if contest.policy.criterion == "entropy" else set()
    found = run_baselines(contest, which=set(_OF_THE_POOL) - same, search=plan.full_pool)
    if plan.full_pool:
        found += run_baselines(contest, which=_COSTLY)
    found += run_baselines(contest, which=("probe_int8",))
    found += run_baselines(_with_basis(demo, contest), which=("small_probe",))
    found += run_baselines(
        contest,
        which=("student_int8",),
        test=test.subset(np.arange(min(plan.int8_test, len(test)))),
    )
    found += run_baselines(
        contest, which=("jpeg_random", "jpeg_kcenter", "teacher"), teacher=done["teacher"]["test"],
        jpeg_limit=len(contest.target.labels) if plan.full_pool and contest.target else plan.jpeg_limit,
    )  # fmt: skip
    return {"results": [result.to_json() for result in found], "curve": _other_payloads(demo, contest, found)}


def _contest(demo: Demo, done: dict[str, Any]) -> Contest:
    from ..baselines import Contest, HeadStudent, Target

    plan = demo.plan
    train = demo.task.split("train")
    if plan.probe_images < len(train):
        train = train.subset(np.arange(plan.probe_images) * len(train) // plan.probe_images)
    test = demo.task.split("test")
    student = HeadStudent(
        demo.backbone,
        class_names=demo.task.class_names,
        pool_features=demo.pool_rows,
        test_features=demo.features(test, "test features").values,
        test_labels=test.labels,
        cache=plan.path("cache"),
    )
    return Contest(
        student,
        demo.table,
        demo.policy(done["choice"]),
        Path(plan.path("task.plada")).read_bytes(),
        seeds=plan.seeds,
        draws=plan.draws,
        target=Target(train, demo.features(train, "target features").values, train.labels),
        encode_options={"profile": "compact"},
    )


def _fetch_draws(demo: Demo, contest: Contest) -> None:
    """Compute the features of all random draws in one go: small requests fill their last batch with nothing."""
    wanted = [rank(demo.table, Policy("random", seed=draw)).select(contest.count) for draw in range(contest.draws)]
    demo.pool_rows.want(np.concatenate([selection.indices for selection in wanted]))


def _with_basis(demo: Demo, contest: Contest) -> Contest:
    """The same, with principal components from the pool images whose features are there already."""
    student = contest.student
    status = np.where(demo.pool_rows.known, 0, 128).astype(np.uint8)
    other = type(student)(
        demo.backbone,
        class_names=student.class_names,
        pool_features=demo.pool_rows,
        test_features=student.test_features,
        test_labels=student.test_labels,
        pool_status=status,
    )
    return replace(contest, student=other, payload_accuracies=contest.payload_result.accuracies)


def _other_payloads(demo: Demo, contest: Contest, found: list[BaselineResult]) -> list[dict[str, Any]]:
    """Bytes and accuracy of the three payloads; only the last one was not measured yet."""
    import plada_format as pf

    known = {"task": contest.payload_result}
    known.update((result.id, result) for result in found if result.id == "plain")
    curve = []
    for name in ("plain", "task", "budget"):
        data = Path(demo.plan.path(f"{name}.plada")).read_bytes()
        kept = pf.decode(data)
        if name in known:
            accuracy = known[name].accuracy
        else:
            scores, _ = contest.train(Selection(kept.indices, kept.labels))
            accuracy = statistics.fmean(scores)
        curve.append({"series": name, "bytes": len(data), "count": len(kept), "accuracy": accuracy})
    return curve


def check_leakage(demo: Demo) -> dict[str, Any]:
    """Duplicates between the pool and the test set."""
    import plada_format as pf

    from ..baselines import leakage_check

    kept = pf.read(demo.plan.path("task.plada")).indices.astype(np.int64)
    test = demo.task.split("test").source
    found: dict[str, Any] = leakage_check(demo.images, test, kept=kept, threads=demo.plan.threads).to_json()
    print(
        f"      {found['exact_pairs']} exact and {found['near_pairs']} near duplicates of test images in the pool;"
        f" {found['kept']} of these pool images are in the payload"
    )
    return found


def report(demo: Demo, done: dict[str, Any]) -> str:
    """Write report.html; returns its path."""
    from ..baselines import BaselineResult
    from ..report import Results, write_report

    plan, teacher, tuned = demo.plan, done["teacher"], done["tuned"]
    students = [
        {
            "name": plan.student_arch,
            "summary": f"frozen {plan.student_arch} with a linear classifier, trained from the payload alone",
            **done["students"],
        },
        {
            "name": f"{plan.student_arch}, fine-tuned",
            "summary": f"all weights, {tuned['epochs']} epochs; on the first {tuned['count']} test images",
            "accuracies": [tuned["accuracy"]],
            "evaluation": tuned["evaluation"],
        },
    ]
    results = Results(
        title="plada demo: CIFAR-10 from a pool of 10,000 small photographs",
        teacher={**teacher["evaluation"], "name": plan.teacher_arch, "summary": teacher["summary"]},
        students=students,
        baselines=[BaselineResult.from_json(value) for value in done["baselines"]["results"]],
        leakage=done["leakage"],
        curve=done["baselines"]["curve"],
        holds=[
            {"what": "the pool", "bytes": (plan.data / plan.pool_file).stat().st_size, "note": "as packed here"},
            {"what": f"{plan.student_arch} with ImageNet weights", "bytes": None, "note": "or any other network"},
        ],
        notes=notes(plan, done),
    )
    results.save(plan.path("results.json"))
    path = write_report(
        plan.path("task.plada"),
        plan.path("report.html"),
        results=results,
        images=demo.images,
        manifest=plan.path("pool.pladapool"),
        test=demo.task.split("test").source,
    )
    return str(path)


def notes(plan: Any, done: dict[str, Any]) -> list[str]:
    """What a reader must know to judge the figures."""
    lines = [
        f"Students are frozen {plan.student_arch} networks with a linear classifier, unless they say 'fine-tuned'.",
        "Both backbones come with ImageNet weights, and the pool's images are from ImageNet classes: the backbones"
        " have seen them with labels. The target's images they have not seen.",
        "Policy and count were chosen on the validation split; the test set was used for the figures alone.",
        f"The student's INT8 weights were judged on the first {plan.int8_test} test images.",
        "The small probe's components come from the pool images that the student's backbone had looked at.",
    ]
    if not plan.full_pool:
        lines.append(
            "Not run within the demo's 30,000 backbone passes: the full pool, random images with the payload's class"
            " counts, and how many random images it takes to be as good as the payload; and the search over JPEGs stops"
            f" at {plan.jpeg_limit} images (--full-pool runs all of that)."
        )
    return lines
