"""The section about the rehearsal that chose the policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .facts import Facts
from .selection_parts import section, tall
from .text import bar, esc, named, number, percent, signed, table


def rehearsal_part(facts: Facts) -> str:
    """Every candidate with its trials, the pre-check and the rule; empty where nothing was rehearsed."""
    record = facts.rehearsal
    if not record:
        return ""
    arms = sorted(record.get("arms") or [], key=_order)
    tried = [arm for arm in arms if arm["trials"]]
    top = max((arm["mean"] or 0.0 for arm in tried), default=1.0) or 1.0
    rows = [_row(arm, top) for arm in arms]
    marks = ["own" if arm["name"] == record.get("chosen") else "" for arm in arms]
    head = ["candidate", "images", "bytes", "accuracy", "single students", ""]
    body = f"<p>{esc(_how(record, tried))}</p><p>{esc(record.get('rule', ''))}</p>{_check(record)}"
    body += tall(
        table("Validation accuracy of every candidate", head, rows, numeric=(1, 2, 3), row_classes=marks), len(rows)
    )
    body += "".join(_turn(turn, facts.class_names) for turn in record.get("turns") or [])
    return section("rehearsal", "How the policy was chosen", body)


def _turn(turn: dict[str, Any], names: Sequence[str]) -> str:
    """What each class's images were worth, and what was made of it."""

    def cell(gains: dict[str, float], one: int) -> str:
        return signed(100 * gains[str(one)], ".1f") if str(one) in gains else ""

    rows = [
        [esc(names[one]), number(images), cell(turn["doubled"], one), cell(turn["halved"], one),
         esc(f"times {turn['factors'][str(one)]}" if str(one) in turn["factors"] else "")]
        for one, images in enumerate(turn["quota"])
    ]  # fmt: skip
    head = ["class", "images", "points if doubled", "points if halved", "its quota"]
    title = f"Class quotas turned: {turn['arm']}, each class alone with twice and with half its images"
    return tall(table(title, head, rows, numeric=(1, 2, 3)), len(rows))


def _order(arm: dict[str, Any]) -> tuple[int, float, int]:
    return -len(arm["trials"]), -(arm["mean"] or 0.0), int(arm["bytes"])


def _row(arm: dict[str, Any], top: float) -> list[str]:
    mean = arm["mean"]
    shown = bar((mean or 0.0) / top) if mean is not None else ""
    singles = ", ".join(
        f"{100 * trial['accuracy']:.1f}{' (' + trial['student'] + ')' if trial['rung'] < 0 else ''}"
        for trial in arm["trials"]
    )
    return [
        named(esc(arm["name"]), shown),
        number(arm["count"]),
        number(arm["bytes"]),
        percent(mean),
        esc(singles),
        esc(arm.get("note") or ""),
    ]


def _how(record: dict[str, Any], tried: list[dict[str, Any]]) -> str:
    students = sum(len(arm["trials"]) for arm in tried)
    seen = record.get("training_images", 0)
    more = f" and {number(seen)} training images, which the teacher has seen but no student" if seen else ""
    text = (
        f"{number(students)} students of {number(len(tried))} candidates within {number(record['budget'])} bytes, on"
        f" {number(record.get('validation_images', 0))} validation images of the target{more}; the test images played"
        f" no part. Student: linear classifier on {record.get('proxy', 'a frozen backbone')}."
    )
    if any(trial["rung"] < 0 for arm in tried for trial in arm["trials"]):
        text += " Finalists were trained as whole networks, and these results alone decided."
    seconds = record.get("seconds")
    return text + (f" It took {seconds:.0f} s." if isinstance(seconds, (int, float)) else "")


def _check(record: dict[str, Any]) -> str:
    check = record.get("pre_check")
    if not check:
        return ""
    text = (
        f"Before anything was trained: the {number(check['count'])} surest pool images cover"
        f" {check['effective_classes']:.1f} of {check['classes']} classes effectively, the most frequent one with"
        f" {percent(check['top_share'], 0)}; median energy of the pool {signed(check['pool_median'], '.1f')}"
    )
    own = check.get("val_median")
    if own is not None and not math.isnan(own):
        text += f", of the target's own images {signed(own, '.1f')}"
    text += "; the target looks far from the pool." if check["far"] else "; the pool covers the target."
    return f"<p>{esc(text)}</p>"
