"""Sections about the payload and how it was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .charts import Cut, histogram
from .facts import Facts
from .text import bar, esc, named, number, pairs, percent, signed, size_text, table
from .thumbnails import picture, pool_pictures

if TYPE_CHECKING:
    from plada_train.sources import ImageSource

_MANY = 25  # rows from which on a table scrolls in its own box
_PICTURES = 480  # in the contact sheet, over all classes
_PER_ROW = 6


def section(name: str, title: str, body: str) -> str:
    """A section with a heading that the navigation can reach."""
    return f'<section id="{name}" aria-labelledby="{name}-h"><h2 id="{name}-h">{esc(title)}</h2>{body}</section>'


def tall(content: str, rows: int) -> str:
    """A long table in a box of its own."""
    return f'<div class="tall" tabindex="0">{content}</div>' if rows > _MANY else content


def histogram_part(facts: Facts) -> str:
    """The score over the pool, what was kept, and the cut."""
    arrays = facts.arrays
    if "histogram" not in arrays:
        return ""
    counts, kept, edges = arrays["histogram"], arrays["histogram_kept"], arrays["histogram_edges"]
    cuts = _cuts(facts)
    drawn = histogram(counts, kept, edges, score=facts.score, cuts=[cut for cut, _ in cuts])
    text = (
        '<p><span class="key b" aria-hidden="true"></span> all usable pool images '
        '<span class="key" aria-hidden="true"></span> kept. Both are counted on a logarithmic scale.</p>'
    )
    notes = "".join(f"<p>{esc(note)}</p>" for _, note in cuts)
    if not facts.by_score:
        criterion = (facts.record.get("policy") or {}).get("criterion")
        notes = f"<p>The criterion was {esc(criterion)}; the {esc(facts.score)} is shown for comparison only.</p>"
    return section("histogram", f"{facts.score.capitalize()} of the pool, and the cut", drawn + text + notes)


def _cuts(facts: Facts) -> list[tuple[Cut, str]]:
    """What to draw, each with a sentence."""
    scores = facts.scores()
    if scores is None or not len(scores) or not facts.by_score:
        return []
    last = np.min if facts.high_first else np.max
    if facts.plain_per_class is None:
        value = float(last(scores))
        return [(Cut(value, value, f"cut {signed(value, '.2f')}"), f"The cut lies at {signed(value)}.")]
    labels = facts.payload.labels
    per_class = [float(last(scores[labels == c])) for c in np.unique(labels)]
    low, high = min(per_class), max(per_class)
    text = f"With class quotas the cuts of the classes lie between {signed(low, '.3g')} and {signed(high, '.3g')}."
    out = [(Cut(low, high, "cuts of the classes"), text)]
    plain = _plain_cut(facts)
    if plain is not None:
        text = f"By the global order alone as many images would be cut at about {signed(plain, '.3g')}."
        out.append((Cut(plain, plain, "one cut for all"), text))
    return out


def _plain_cut(facts: Facts) -> float | None:
    """Where the global order alone would cut for the same count, to one bin of the histogram."""
    counts, edges = facts.arrays["histogram"], facts.arrays["histogram_edges"]
    ordered = counts[::-1] if facts.high_first else counts
    place = int(np.searchsorted(np.cumsum(ordered), len(facts.payload)))
    if place >= len(counts):
        return None
    return float(edges[len(counts) - place - 1] if facts.high_first else edges[place + 1])


def classes_part(facts: Facts) -> str:
    """Kept images per class, before and after the Safety-Net."""
    kept = facts.kept_per_class
    before, pool = facts.plain_per_class, facts.arrays.get("pool_per_class")
    quota = facts.arrays.get("quota_per_class") if before is not None else None
    top = max(1, int(kept.max(initial=0)), int(before.max(initial=0)) if before is not None else 0)
    head, numeric = ["class"], []
    if pool is not None:
        head.append("in the pool")
    if before is not None:
        head += ["without quotas", "with quotas"]
    else:
        head.append("kept")
    if quota is not None and not np.array_equal(quota, kept):
        head.append("of these by quota")
    else:
        quota = None
    numeric = list(range(1, len(head)))
    rows, marks = [], []
    for c, name in enumerate(facts.class_names):
        drawn = [bar(before[c] / top, "b")] if before is not None else []
        row = [named(esc(name), *drawn, bar(kept[c] / top))]
        if pool is not None:
            row.append(number(pool[c]))
        if before is not None:
            row.append(number(before[c]))
        row.append(number(kept[c]))
        if quota is not None:
            row.append(number(quota[c]))
        rows.append(row)
        marks.append("lost" if kept[c] == 0 else "")
    body = tall(table("Images per class, by the teacher's label", head, rows, numeric=numeric), len(rows))
    if before is not None:
        key = ('<span class="key b" aria-hidden="true"></span> by the global order alone '
               '<span class="key" aria-hidden="true"></span> with class quotas (Safety-Net)')  # fmt: skip
        body = f"<p>{key}</p>{body}"
    return section("classes", "Kept images per class", _losses(facts) + body)


def _losses(facts: Facts) -> str:
    out = []
    for key, text in (
        ("lost_classes", "lost all their images; a student cannot learn them"),
        ("unreachable_classes", "have no pool image at all: the teacher gave their label to none"),
    ):
        ids = facts.record.get(key) or []
        if ids:
            names = ", ".join(facts.class_names[c] for c in ids[:12]) + (" …" if len(ids) > 12 else "")
            out.append(f'<li class="bad">{len(ids)} of {len(facts.class_names)} classes {text}: {esc(names)}.</li>')
    return f'<ul class="verdict">{"".join(out)}</ul>' if out else ""


def contact_part(facts: Facts, source: ImageSource | None, positions: NDArray[np.int64] | None, why_not: str) -> str:
    """Kept images of each class: the surest, and those at the cut."""
    if source is None or positions is None:
        if not why_not:
            return ""
        return section("contact", "Kept images", f'<p class="soft">{esc(why_not)}</p>')
    scores, labels = facts.scores(), facts.payload.labels
    present = np.flatnonzero(facts.kept_per_class)
    per_class = int(np.clip(_PICTURES // max(1, len(present)), 2, 2 * _PER_ROW))
    shown = present[: _PICTURES // 2]
    blocks = []
    for c in shown.tolist():
        rows = np.flatnonzero(labels == c)
        if scores is not None:
            order = scores[rows].argsort(kind="stable")
            rows = rows[order[::-1] if facts.high_first else order]
        first, last = _ends(rows, per_class)
        where = f"{'highest' if facts.high_first else 'lowest'} {facts.score}" if facts.by_score else "first"
        end = "at the cut" if facts.by_score else "last"
        count = int(facts.kept_per_class[c])
        inner = _strip(facts, source, positions, first, where if len(last) else f"all, {where} first")
        if len(last):
            inner += _strip(facts, source, positions, last, end)
        name = esc(facts.class_names[c])
        blocks.append(f'<div><h3>{name} <small class="soft">{number(count)} kept</small></h3>{inner}</div>')
    more = len(present) - len(shown)
    text = "<p>The label is the teacher's guess: it may be wrong for the picture and still teach the class.</p>"
    if more:
        text += f'<p class="soft">{number(more)} more classes are not shown.</p>'
    return section("contact", "Kept images", f'{text}<div class="sheet">{"".join(blocks)}</div>')


def _ends(rows: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and the last of an ordered class, without overlap."""
    if len(rows) <= most // 2:
        return rows, rows[:0]
    half = most // 2
    return rows[:half], rows[half:][-half:]


def _strip(
    facts: Facts, source: ImageSource, positions: NDArray[np.int64], rows: NDArray[np.int64], caption: str
) -> str:
    scores = facts.scores()
    uris = pool_pictures(source, positions[rows])
    images = []
    for row, uri in zip(rows.tolist(), uris):
        alt = f"pool image {int(facts.payload.indices[row])}"
        if scores is not None:
            alt += f", {facts.score} {signed(float(scores[row]), '.2f')}"
        images.append(picture(uri, esc(alt)))
    return f'<figure><div class="thumbs">{"".join(images)}</div><figcaption>{esc(caption)}</figcaption></figure>'


def bytes_part(facts: Facts) -> str:
    """Where the bytes of the file go, and what other codecs would need."""
    total = len(facts.data)
    pieces = facts.pieces
    stack = "".join(
        f'<span class="s{place % 7}" style="flex:{piece.bytes} 0 0"></span>'
        for place, piece in enumerate(pieces)
        if piece.bytes
    )
    rows = [
        [
            f'<span class="key s{place % 7}" aria-hidden="true"></span> {esc(piece.name)}',
            f"<code>{esc(piece.codec)}</code>" if piece.codec else "",
            number(piece.bytes),
            percent(piece.bytes / total),
        ]
        for place, piece in enumerate(pieces)
    ]
    rows.append(["the whole file", "", number(total), ""])
    body = f'<div class="stack" aria-hidden="true">{stack}</div>'
    body += table("Bytes by section", ["section", "codec", "bytes", "share"], rows, numeric=(2, 3))
    if len(facts.payload):
        data_bytes = sum(piece.bytes for piece in pieces[:2])
        body += (
            f"<p>Index and labels take {8 * data_bytes / len(facts.payload):.2f} bits per kept image,"
            f" the whole file {8 * total / len(facts.payload):.2f}.</p>"
        )
    return section("bytes", "Bytes", body + _trials(facts))


def _trials(facts: Facts) -> str:
    if not facts.trials:
        return ""
    used = {trial.kind: trial.bytes for trial in facts.trials if trial.used}
    titles = {"index": "Pool indices by codec", "label": "Labels by codec"}
    out = "<h3>The same content by other codecs</h3>"
    for kind, title in titles.items():
        mine = [trial for trial in facts.trials if trial.kind == kind]
        if not mine:
            continue
        top = max(trial.bytes for trial in mine)
        rows = [
            [
                named(
                    f"<code>{esc(trial.name)}</code>" + ("<small>in the file</small>" if trial.used else ""),
                    bar(trial.bytes / top, "a" if trial.used else "b"),
                ),
                esc(trial.profile),
                number(trial.bytes),
                f"+{number(trial.bytes - used[kind])}".replace("+-", "−") if kind in used else "",
            ]
            for trial in mine
        ]
        marks = ["own" if trial.used else "" for trial in mine]
        out += table(title, ["codec", "profile", "bytes", "more"], rows, numeric=(2, 3), row_classes=marks)
    return out


def excluded_part(facts: Facts) -> str:
    """Pool images that took no part, and how the others had to be converted."""
    excluded = facts.record.get("excluded")
    if excluded is None:
        return ""
    total, usable = facts.record.get("pool_size", 0), facts.record.get("usable", 0)
    body = (
        f"<p>{number(usable)} of {number(total)} pool images took part; {number(excluded.get('unusable', 0))} could not"
        f" be read and {number(excluded.get('not finite', 0))} had scores that are not finite numbers.</p>"
    )
    if facts.status:
        bad = {"unreadable", "empty", "format", "truncated", "undecodable", "too_large"}
        rows = [
            [esc(name.replace("_", " ")), "left out" if name in bad else "took part", number(count),
             percent(count / max(1, total), 2)]
            for name, count in sorted(facts.status.items(), key=lambda item: (-item[1], item[0]))
        ]  # fmt: skip
        body += table("Pool images by status", ["status", "", "images", "share"], rows, numeric=(2, 3))
        body += '<p class="soft">An image that needed two conversions counts for both.</p>'
    return section("excluded", "Excluded images", body)


def provenance_part(facts: Facts, more: dict[str, str]) -> str:
    """Where everything comes from."""
    header, record = facts.payload.header, facts.record
    task, source = record.get("task") or {}, record.get("provenance") or {}
    rows = [
        ("payload", f"{esc(facts.name)}, {size_text(len(facts.data))}"),
        ("format version", ".".join(map(str, header.version))),
        ("content digest", f"<code>{header.content_digest.hex()}</code>"),
        ("pool", f"{esc(facts.pool_name) + ', ' if facts.pool_name else ''}{number(header.pool_size)} images"),
        ("pool fingerprint", f"<code>{header.pool_fingerprint.hex()}</code>" if header.pool_fingerprint else "none"),
    ]
    rows += [(f"metadata: {key}", f"<code>{esc(value)}</code>") for key, value in facts.payload.metadata.items()]
    if record:
        rows += [("selection", esc(policy_text(record))), ("asked for", esc(request_text(record)))]
    if task.get("teacher"):
        rows.append(("teacher", esc(task["teacher"])))
    names = {"teacher_digest": "teacher digest", "preprocessing": "preprocessing digest", "dtype": "number type",
             "device": "scored on", "temperature": "energy temperature", "batch_size": "batch size",
             "compiled": "compiled"}  # fmt: skip
    for key, title in names.items():
        if key in source:
            value = esc(source[key])
            rows.append((title, f"<code>{value}</code>" if "digest" in title else value))
    if source.get("versions"):
        rows.append(("versions", esc(", ".join(f"{k} {v}" for k, v in sorted(source["versions"].items())))))
    rows += [(key, esc(value)) for key, value in more.items()]
    return section("provenance", "Provenance", pairs(rows))


def policy_text(record: dict[str, object]) -> str:
    """The policy in one line."""
    policy = record.get("policy")
    if not isinstance(policy, dict):
        return "unknown"
    criterion = str(policy.get("criterion"))
    if criterion == "random":
        text = f"random, seed {policy.get('seed')}"
    else:
        text = f"{policy.get('direction')} {criterion.replace('_', ' ')} first"
    if policy.get("consensus_of"):
        text += f" of {', '.join(policy['consensus_of'])}"
    net = policy.get("safety_net")
    text += f"; Safety-Net alpha {net['alpha']}, share {net['share']}" if net else "; no Safety-Net"
    if net and net.get("factors"):
        names = record.get("class_names")
        known = names if isinstance(names, list) else []
        named_ = {known[int(one)] if int(one) < len(known) else one: by for one, by in net["factors"].items()}
        text += f", class factors {', '.join(f'{one}={by}' for one, by in named_.items())}"
    refine = policy.get("refine")
    return text + (f"; {', '.join(f'{name} {value}' for name, value in refine.items())}" if refine else "")


def request_text(record: dict[str, object]) -> str:
    """What the user asked for, in one line."""
    request = record.get("request")
    if not isinstance(request, dict):
        return "unknown"
    if request.get("budget") is not None:
        return f"at most {number(request['budget'])} bytes"
    if request.get("count") is not None:
        return f"{number(request['count'])} images"
    return f"{request.get('keep')} of the pool"
