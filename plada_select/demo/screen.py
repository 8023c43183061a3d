"""The demo's last screen."""

from __future__ import annotations

import statistics
from typing import Any

from .plan import Plan
from .steps import Steps

_WIDTH = 62
_RULE = "=" * 100


def show(plan: Plan, done: dict[str, Any], steps: Steps) -> None:
    """Payload bytes, accuracies of teacher, student and baselines, and where the report is."""
    print("\n" + "\n".join(lines(plan, done, steps)), flush=True)


def lines(plan: Plan, done: dict[str, Any], steps: Steps) -> list[str]:
    """The text of the last screen."""
    trial, files = done["choice"]["trial"], done["files"]
    teacher, accuracies = done["teacher"]["test"], done["students"]["accuracies"]
    mean = statistics.fmean(accuracies)
    tuned = done["tuned"]
    results = {result["id"]: result for result in done["baselines"]["results"]}
    out = [
        _RULE,
        f"Payload  {plan.path('task.plada')}: {files['task.plada']} bytes, class names included;"
        f" {trial['count']} of {done['pool']['images']:,} images",
        f"         {trial['policy']}; policy and count chosen on the validation split",
        "",
        _row(f"Teacher: {done['teacher']['summary']}", teacher),
        _row(f"Student: frozen {plan.student_arch} + linear classifier,", None),
        _row(f"         from the payload alone, mean of {len(accuracies)} seeds", mean, _share(mean, teacher)),
        _row(f"Student with all weights fine-tuned ({tuned['count']:,} test images)", tuned["accuracy"]),
        "",
        "On the same student:",
    ]
    random = results.get("random")
    if random is not None:
        value = statistics.fmean(random["accuracies"])
        title = f"{random['count']} random pool images, {len(random['accuracies'])} draws"
        more = f"payload: {100 * (mean - value):+.1f} points"
        out.append(_row(_sized(title, random["bytes"]), value, more))
    out += [_result(result) for name, result in results.items() if name not in ("payload", "random", "teacher")]
    for point in done["baselines"]["curve"]:
        if point["series"] == "budget":
            title = f"Same policy, {point['count']} images"
            out.append(_row(_sized(title, point["bytes"]), point["accuracy"]))
    out += [
        "",
        f"{steps.passes:,} backbone passes, {steps.seconds / 60:.1f} minutes.   Report: {done['report']}",
        _RULE,
    ]
    return out


def _row(text: str, accuracy: float | None, more: str = "") -> str:
    if accuracy is None:
        return text
    return f"{text:{_WIDTH}} {accuracy:6.1%}  {more}".rstrip()


def _sized(title: str, size: int | None) -> str:
    amount = "" if size is None else f"{size:,} B"
    return f"{title:{_WIDTH - 12}}{amount:>12}"


def _result(result: dict[str, Any]) -> str:
    """A line of the comparison. What is needed is only said where another size was looked for."""
    title = _sized(result["title"], result["bytes"])
    need, more = result["needed"], ""
    if need and need["bytes"] != result["bytes"]:
        if need["reached"]:
            more = f"the payload's accuracy takes {need['bytes']:,} B"
        else:
            more = f"{need['accuracy']:.1%} with {need['bytes']:,} B"
    if not result["accuracies"]:
        return f"{title:{_WIDTH}}   none  {more}".rstrip()
    return _row(title, statistics.fmean(result["accuracies"]), more)


def _share(student: float, teacher: float) -> str:
    return f"= {student / teacher:.1%} of the teacher"
