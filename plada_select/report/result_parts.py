"""Sections about what the payload is worth."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..baselines.results import BaselineResult
from .charts import Level, Mark, accuracy_chart
from .facts import Facts
from .results import Results
from .selection_parts import section, tall
from .text import bar, esc, named, number, percent, points, size_text, table
from .thumbnails import picture, pool_pictures

if TYPE_CHECKING:
    from plada_train.sources import ImageSource

_PAIRS_SHOWN = 12


def cards(facts: Facts, results: Results) -> str:
    """The figures at the top."""
    payload, record = results.payload, facts.record
    total = facts.record.get("pool_size") or facts.payload.pool_size
    count = len(facts.payload)
    items = [
        ("own", size_text(len(facts.data)), "the whole payload file"),
        ("", number(count), f"of {number(total)} pool images ({percent(count / total, 2)}),"
         f" {number(len(facts.class_names))} classes"),
    ]  # fmt: skip
    teacher = _accuracy_of(results.teacher)
    if payload is not None and payload.accuracies:
        items.append(("own", percent(payload.accuracy), "student's test accuracy, trained on the payload"
                      + _seeds(payload.accuracies)))  # fmt: skip
    if teacher is not None:
        share = f"; the student reaches {percent(payload.accuracy / teacher)} of it" if payload and teacher else ""
        items.append(("", percent(teacher), f"teacher's test accuracy{share}"))
    random = results.baseline("random")
    if random is not None and random.accuracies:
        items.append(("", percent(random.accuracy), f"as many random pool images{_seeds(random.accuracies, 'draw')}"))
    if not payload and record.get("usable"):
        items.append(("", number(record["usable"]), "pool images took part"))
    inner = "".join(
        f"<div{f' class={css}' if css else ''}><b>{esc(value)}</b><small>{esc(text)}</small></div>"
        for css, value, text in items
    )
    return f'<div class="cards">{inner}</div>'


def _seeds(accuracies: Sequence[float], what: str = "seed") -> str:
    return f", mean of {len(accuracies)} {what}s" if len(accuracies) > 1 else ""


def _accuracy_of(evaluation: dict[str, Any] | None) -> float | None:
    return None if not evaluation or evaluation.get("accuracy") is None else float(evaluation["accuracy"])


def verdict_part(results: Results) -> str:
    """In words, where the payload wins and where it loses."""
    payload = results.payload
    lines: list[tuple[str, str]] = []
    if payload is not None and payload.accuracies:
        lines += _against(payload, results)
    lines += [("say", note) for note in results.notes]
    if not lines:
        return ""
    items = "".join(f'<li class="{kind}">{esc(text)}</li>' for kind, text in lines)
    return section("verdict", "What it is worth", f'<ul class="verdict">{items}</ul>')


def _against(payload: BaselineResult, results: Results) -> list[tuple[str, str]]:
    lines = []
    names = {
        "random": "as many random pool images",
        "random_quota": "random images with the same class counts",
        "plain": "the same criterion without class quotas",
        "entropy": "entropy in place of the payload's criterion",
        "opposite": "the other end of the order",
    }
    for name, title in names.items():
        row = results.baseline(name)
        if row is not None and row.accuracies:
            lines.append(_compare(payload, row, title))
    for row in results.baselines:
        if row.id in ("probe_int8", "small_probe", "jpeg_random", "jpeg_kcenter", "student_int8", "full_pool"):
            lines.append(_alternative(payload, row))
    return lines


def _compare(payload: BaselineResult, row: BaselineResult, title: str) -> tuple[str, str]:
    gap = payload.accuracy - row.accuracy
    noise = _noise(payload, row)
    text = f"{points(gap)} points against {title} ({percent(row.accuracy)})"
    if abs(gap) <= noise:
        return "say", f"{text}: no difference beyond the spread over seeds and draws."
    return ("good" if gap > 0 else "bad"), text + ("." if gap > 0 else ": the payload loses.")


def _noise(one: BaselineResult, other: BaselineResult) -> float:
    """Two standard errors of the difference of two means."""
    parts = [row.spread**2 / len(row.accuracies) for row in (one, other) if row.accuracies]
    return 2 * math.sqrt(sum(parts))


def _alternative(payload: BaselineResult, row: BaselineResult) -> tuple[str, str]:
    title = row.title
    if not row.accuracies:
        tail = ""
        if row.needed is not None:
            tail = f"; {_need_words(row)}"
        return "good", f"{title}: {row.note or 'nothing can be sent'} in as many bytes{tail}."
    gap = payload.accuracy - row.accuracy
    own = payload.bytes
    if row.fits:
        kind = "good" if gap > 0 else "bad"
        text = f"{title}, in as many bytes: {percent(row.accuracy)}, {points(-gap)} points against the payload"
        if gap > 0 and row.needed is not None:
            text += f"; {_need_words(row)}"
        if gap <= 0:
            text += f". Where every receiver holds {' and '.join(row.holds) or 'nothing'}, send that instead"
        return kind, text + "."
    more = f"{row.bytes / own:,.0f} times the payload's bytes" if row.bytes and own else "more bytes"
    text = f"{title}: {size_text(row.bytes)}, {more}, for {percent(row.accuracy)} ({points(-gap)} points)"
    if row.id == "probe_int8" and gap < 0:
        text += ". Where every receiver holds this very backbone and the link can carry it, send the probe instead"
    return "say", text + "."


def _need_words(row: BaselineResult) -> str:
    need = row.needed
    assert need is not None
    what = f" ({number(need.count)} images)" if need.count and row.id != "small_probe" else ""
    if need.reached:
        return f"it needs {size_text(need.bytes)}{what} for the payload's accuracy"
    return f"even {size_text(need.bytes)}{what} reach only {percent(need.accuracy)}"


def letters(results: Results) -> dict[str, str]:
    """A letter for each baseline that has a place in the chart; P for the payload."""
    rows = [row for row in results.baselines if row.accuracies and row.bytes is not None and row.id != "payload"]
    out = {"payload": "P"}
    free = list("ABCDEFGHIJKLMNOQRSTUVWXYZ")
    for place, row in enumerate(rows):
        out[row.id] = free[place] if place < len(free) else str(place + 1)
    return out


def chart_part(facts: Facts, results: Results) -> str:
    """Accuracy against bytes."""
    payload = results.payload
    known = letters(results)
    marks = []
    if payload is not None and payload.accuracies:
        marks.append(Mark("P", "PLADA payload", len(facts.data), payload.accuracy, payload.spread, "own"))
    for row in results.baselines:
        if row.id in known and row.id != "payload" and row.bytes is not None:
            kind = "fits" if row.fits else "over"
            marks.append(Mark(known[row.id], row.title, row.bytes, row.accuracy, row.spread, kind))
    for place, point in enumerate(results.curve):
        title = f"{point.get('series', 'payload')}, {number(point['count'])} images" if point.get("count") else str(
            point.get("series", "payload"))  # fmt: skip
        marks.append(Mark(str(place + 1), title, int(point["bytes"]), float(point["accuracy"]), 0.0, "own"))
    if not marks:
        return ""
    curves = [(row.title, [(point.bytes, point.accuracy) for point in row.curve]) for row in results.baselines]
    levels = []
    teacher = _accuracy_of(results.teacher)
    if teacher is not None:
        levels.append(Level("teacher", teacher))
    drawn = accuracy_chart(marks, curves, levels, len(facts.data))
    drawn += _zoom(marks, curves, len(facts.data))
    key = (
        '<p><span class="badge own">P</span> the payload; <span class="badge fits">A</span> fits in as many bytes;'
        ' <span class="badge">B</span> does not. Thin lines: sizes that were tried. Upright lines: spread over seeds'
        " or draws. The letters are those of the table of baselines.</p>"
    )
    extra = ""
    if results.curve:
        rows = [
            [f'<span class="badge own">{place + 1}</span> {esc(point.get("series", "payload"))}',
             number(point["count"]) if point.get("count") else "–", number(point["bytes"]),
             percent(float(point["accuracy"]))]
            for place, point in enumerate(results.curve)
        ]  # fmt: skip
        extra = table(
            "Other payloads", ["payload", "images", "bytes", "accuracy"], rows, numeric=(1, 2, 3), stacked=True
        )
    return section("curve", "Accuracy against bytes", drawn + key + extra)


def _zoom(marks: list[Mark], curves: list[tuple[str, list[tuple[int, float]]]], budget: int) -> str:
    """The neighbourhood of the payload once more, where the whole chart is crowded there."""
    own = next((mark for mark in marks if mark.letter == "P"), None)
    if own is None:
        return ""

    def near(size: int, accuracy: float) -> bool:
        return budget / 2 <= size <= 2 * budget and abs(accuracy - own.accuracy) <= 0.1

    close = [mark for mark in marks if near(mark.bytes, mark.accuracy)]
    if len(close) < 3 or len(close) == len(marks):
        return ""
    lines = [(title, [point for point in line if near(*point)]) for title, line in curves]
    return f"<h3>Close to the payload</h3>{accuracy_chart(close, lines, [], budget)}"


def baselines_part(results: Results) -> str:
    """The table of everything else that could be sent."""
    if not results.baselines:
        return ""
    payload, known = results.payload, letters(results)
    rows, marks = [], []
    for row in results.baselines:
        own = row.id == "payload"
        kind = "own" if own else "fits" if row.fits else ""
        mark = f'<span class="badge {kind}">{known[row.id]}</span> ' if row.id in known else ""
        gap = "" if own or payload is None or not row.accuracies else points(row.accuracy - payload.accuracy)
        accuracy = percent(row.accuracy) if row.accuracies else "–"
        if len(row.accuracies) > 1:
            accuracy += f"<small>± {100 * row.spread:.1f}, n = {len(row.accuracies)}</small>"
        small = "".join(f"<small>{esc(text)}</small>" for text in (row.note, _counted(row)) if text)
        rows.append(
            [
                f"{mark}{esc(row.title)}{small}",
                "–" if row.bytes is None else number(row.bytes),
                "" if own or row.fits is None else "yes" if row.fits else "no",
                accuracy,
                gap,
                "" if own else _need_cell(row),
                esc(", ".join(row.holds)) if row.holds else ("nothing" if row.bytes is not None else "–"),
            ]
        )
        marks.append("own" if own else "")
    head = ["what is sent", "bytes", "fits", "accuracy", "points", "bytes for the payload's accuracy",
            "receiver holds"]  # fmt: skip
    body = table(
        "Baselines: same student, pool and test set", head, rows, numeric=(1, 3, 4, 5), row_classes=marks, stacked=True
    )
    body += (
        "<p>“Fits”: in at most the payload's bytes. “Points”: accuracy less the payload's. Bytes for the payload's"
        " accuracy were searched for by trying sizes on the test set, which flatters the baselines a little.</p>"
    )
    return section("baselines", "Baselines", body)


def _counted(row: BaselineResult) -> str:
    return f"Counted: {row.counted}." if row.counted else ""


def _need_cell(row: BaselineResult) -> str:
    need = row.needed
    if need is None:
        return "–"
    text = number(need.bytes) if need.reached else f"not with {number(need.bytes)}"
    detail = []
    if need.count:
        detail.append(f"{number(need.count)} {'components' if row.id == 'small_probe' else 'images'}")
    detail.append(percent(need.accuracy))
    return f"{text}<small>{esc(', '.join(detail))}</small>"


def accuracy_part(facts: Facts, results: Results) -> str:
    """Teacher and students, in all and per class."""
    entries: list[tuple[str, str, list[float], dict[str, Any] | None]] = []
    if results.teacher:
        teacher = results.teacher
        name = "Teacher" + (f": {teacher['name']}" if teacher.get("name") else "")
        entries.append((name, teacher.get("summary", ""), [float(teacher["accuracy"])], teacher))
    for student in results.students:
        evaluation = student.get("evaluation")
        values = [float(v) for v in student.get("accuracies") or ([evaluation["accuracy"]] if evaluation else [])]
        entries.append((student.get("name", "Student"), student.get("summary", ""), values, evaluation))
    if not entries:
        return ""
    teacher_accuracy = _accuracy_of(results.teacher)
    rows = []
    for name, summary, values, evaluation in entries:
        mean = statistics.fmean(values) if values else math.nan
        spread = f"<small>± {100 * statistics.stdev(values):.1f} over {len(values)} seeds</small>" if len(
            values) > 1 else ""  # fmt: skip
        error = (evaluation or {}).get("standard_error")
        count = (evaluation or {}).get("count")
        rows.append(
            [
                esc(name) + (f"<small>{esc(summary)}</small>" if summary else ""),
                percent(mean) + spread,
                percent(mean / teacher_accuracy) if teacher_accuracy else "–",
                f"± {100 * error:.1f}" if error else "–",
                number(count) if count else "–",
            ]
        )
    head = ["classifier", "accuracy", "of the teacher", "standard error", "test images"]
    body = table("Accuracy on the test set", head, rows, numeric=(1, 2, 3, 4), stacked=True)
    return section("accuracy", "Teacher and students", body + _per_class(facts, entries) + _confusions(entries))


def _per_class(facts: Facts, entries: list[tuple[str, str, list[float], dict[str, Any] | None]]) -> str:
    shown = [(name, evaluation["classes"]) for name, _, _, evaluation in entries if evaluation and evaluation.get(
        "classes")]  # fmt: skip
    if not shown:
        return ""
    kept = facts.kept_per_class
    head = ["class", "kept images", *(name for name, _ in shown)]
    rows = []
    for c, name in enumerate(facts.class_names):
        values = [classes[c]["accuracy"] if c < len(classes) else None for _, classes in shown]
        drawn = [bar(v or 0, "b" if at == 0 and len(shown) > 1 else "a") for at, v in enumerate(values[:2])]
        rows.append([named(esc(name), *drawn), number(kept[c]), *(percent(v) for v in values)])
    numeric = range(1, len(shown) + 2)
    body = tall(table("Accuracy per class", head, rows, numeric=numeric), len(rows))
    key = ""
    if len(shown) > 1:
        key = (f'<p><span class="key b" aria-hidden="true"></span> {esc(shown[0][0])} '
               f'<span class="key" aria-hidden="true"></span> {esc(shown[1][0])}</p>')  # fmt: skip
    return f"<h3>Per class</h3>{key}{body}"


def _confusions(entries: list[tuple[str, str, list[float], dict[str, Any] | None]]) -> str:
    """The commonest mistakes of the last classifier listed first that has a confusion matrix."""
    for name, _, _, evaluation in entries[1:] + entries[:1]:
        if not evaluation or not evaluation.get("confusion") or not evaluation.get("classes"):
            continue
        titles = [entry["name"] for entry in evaluation["classes"]]
        totals = [entry["count"] for entry in evaluation["classes"]]
        wrong = [
            (count / totals[true], count, true, called)
            for true, row in enumerate(evaluation["confusion"])
            for called, count in enumerate(row)
            if true != called and count and totals[true]
        ]
        rows = [
            [esc(titles[true]), esc(titles[called]), number(count), percent(share)]
            for share, count, true, called in sorted(wrong, key=lambda item: (-item[1], item[2], item[3]))[:6]
        ]
        if not rows:
            return ""
        head = ["true class", "called", "images", "of the class"]
        return table(f"Commonest mistakes of {name}", head, rows, numeric=(2, 3))
    return ""


def leakage_part(results: Results, pool: ImageSource | None, test: ImageSource | None) -> str:
    """Test images in the pool."""
    found = results.leakage
    if not found:
        return ""
    exact, near = found["exact_pairs"], found["near_pairs"]
    kind = "good" if not exact and not near else "bad" if exact else "say"
    text = (
        f"{number(exact)} exact and {number(near)} near duplicates among {number(found['pool_count'])} pool and"
        f" {number(found['test_count'])} test images"
    )
    if exact or near:
        text += f"; {number(found['test_images'])} test images are concerned"
        if found.get("kept") is not None:
            text += f", and {number(found['kept'])} of the pool images found are in the payload"
    body = f'<ul class="verdict"><li class="{kind}">{esc(text)}.</li></ul>'
    closest = "" if found.get("closest") is None else f" The closest pair differs in {found['closest']} bits."
    body += (
        f"<p>Exact: the same pixels after decoding. Near: both perceptual hashes differ in at most"
        f" {found['threshold']} of 64 bits; cropped or mirrored copies are not found.{closest}"
        f" Left out as too plain: {number((found.get('flat') or {}).get('pool', 0))} pool and"
        f" {number((found.get('flat') or {}).get('test', 0))} test images.</p>"
    )
    pairs = [(p, t, "same pixels") for p, t in found.get("exact", [])]
    pairs += [(p, t, f"{d} bits apart") for p, t, d in found.get("near", [])]
    if pairs and pool is not None and test is not None:
        body += _pairs(pairs[:_PAIRS_SHOWN], pool, test)
    return section("leakage", "Test images in the pool", body)


def _pairs(pairs: list[tuple[int, int, str]], pool: ImageSource, test: ImageSource) -> str:
    import numpy as np

    out = []
    for pool_index, test_index, text in pairs:
        one = pool_pictures(pool, np.array([pool_index if pool_index < len(pool) else -1]))[0]
        two = pool_pictures(test, np.array([test_index if test_index < len(test) else -1]))[0]
        out.append(
            f'<figure><div class="thumbs">{picture(one, f"pool image {pool_index}")}'
            f"{picture(two, f'test image {test_index}')}</div><figcaption>{esc(text)}</figcaption></figure>"
        )
    return f'<h3>Pool image and test image</h3><div class="duo">{"".join(out)}</div>'


def holds_part(facts: Facts, results: Results) -> str:
    """What the receiver must have before a payload means anything."""
    rows = [[esc(entry["what"]), size_text(entry.get("bytes")), esc(entry.get("note", ""))] for entry in results.holds]
    if not rows:
        name = f" “{facts.pool_name}”" if facts.pool_name else ""
        rows = [[f"the pool{esc(name)}", "–", f"{number(facts.payload.pool_size)} images with their manifest"]]
        payload = results.payload
        if payload is not None and any("backbone" in what for what in payload.holds):
            rows.append(["the student's pretrained backbone", "–", "the head alone is trained on the payload"])
    body = table("Not counted in the payload's bytes", ["what", "bytes", ""], rows, numeric=(1,))
    return section("holds", "What the receiver already holds", body)
