"""The table of sizes and the list of lost comparisons, from the stored results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from ..report import replace_between
from .sets import Member, members
from .sheet import RESULTS, Sheet
from .totals import FORMATS, OURS, OURS_GROUPS, PAPER_NAME, Bytes, competitors, own

KINDS = ("uniform", "acceptance", "real")
BOUND, BOUND_GROUPS = "bound: log2 C(N, k), labels order 0", "bound: the same by group, with counts"
#: Columns of the table in README.md: (heading, kind, part).
README = (
    ("uniform 1 %", "uniform", "1.0 %"),
    ("simulated 0.1 %", "acceptance", "0.1 %"),
    ("simulated 1 %", "acceptance", "1.0 %"),
    ("simulated 10 %", "acceptance", "10.0 %"),
    ("simulated, 1,000 images", "acceptance", "k = 1,000"),
    ("real, folder order", "real", "folder order"),
    ("real, clustered order", "real", "clustered order"),
    ("real, shuffled", "real", "shuffled order"),
)
TITLES = {"uniform": "Uniform selections", "acceptance": "Acceptance set", "real": "Real selections"}
Row = dict[str, object]


@dataclass(frozen=True)
class Line:
    """Everything that is stored for one selection: of the others, of ours, and the bounds by column."""

    member: Member
    pool_size: int
    count: int
    theirs: dict[str, Bytes]
    ours: dict[str, Bytes]
    bound: dict[str, int]

    @property
    def bounds(self) -> dict[str, int]:
        """Bytes that the bounds allow for both streams."""
        label = self.bound["bound.label.order0"]
        found = {BOUND: self.bound["bound.index.uniform"] + label}
        if "bound.index.groups" in self.bound:
            found[BOUND_GROUPS] = self.bound["bound.index.groups"] + self.bound["bound.index.counts"] + label
        return found


def archive_bytes() -> int:
    """Bytes of a zpaq archive of an empty file, as stored."""
    path = RESULTS / "archive.json"
    return int(json.loads(path.read_text())["empty_zpaq_archive"]) if path.exists() else 0


def load() -> list[Line]:
    """The selections that every sheet has."""
    peers, plada, limits = (Sheet(RESULTS / f"{name}.csv") for name in ("peers", "plada", "bounds"))
    archive, lines = archive_bytes(), []
    for member in members():
        theirs, ours, bound = (sheet.known(member.name) for sheet in (peers, plada, limits))
        if theirs and ours and bound:
            lines.append(
                Line(member, theirs["pool_size"], theirs["count"], competitors(theirs, archive), own(ours), bound)
            )
    return lines


def ratios(lines: Sequence[Line], title: str) -> list[float]:
    """Bytes of a format or bound over the paper's best layout, for each selection that has such a size."""
    found = []
    for line in lines:
        sizes = line.bounds | {name: size.both for name, size in (line.theirs | line.ours).items()}
        if title in sizes:
            found.append(sizes[title] / line.theirs[PAPER_NAME].both)
    return found


def table(columns: Sequence[tuple[str, Sequence[Line]]]) -> list[Row]:
    """Mean ratios: one row per format, one column per list of selections, then their number and mean bytes.

    Where a format was not measured on all selections of a list, their number follows in brackets.
    """
    rows: list[Row] = []
    for title in (*FORMATS, OURS, OURS_GROUPS, BOUND, BOUND_GROUPS):
        row: Row = {"format": title}
        for head, part in columns:
            found = ratios(part, title)
            few = f" ({len(found)})" if len(found) < len(part) else ""
            row[head] = f"{mean(found):.3f}{few}" if found else ""
        rows.append(row)
    rows.append({"format": "selections"} | {head: len(part) for head, part in columns})
    paper = {head: mean(line.theirs[PAPER_NAME].both for line in part) for head, part in columns}
    rows.append({"format": "paper's layout, mean bytes"} | {head: f"{value:,.0f}" for head, value in paper.items()})
    return rows


def of(lines: Sequence[Line], kind: str, part: str) -> list[Line]:
    """The selections of a kind and part."""
    return [line for line in lines if (line.member.kind, line.member.part) == (kind, part)]


def tables(lines: Sequence[Line]) -> Iterator[tuple[str, list[Row]]]:
    """(heading, rows): the table of README.md, one with all parts of every kind, one of the real selections by size."""
    yield "Chosen means", _filled([(head, of(lines, kind, part)) for head, kind, part in README])
    for kind in KINDS:
        here = sorted((line for line in lines if line.member.kind == kind), key=lambda line: line.count)
        parts = dict.fromkeys(line.member.part for line in here)
        yield TITLES[kind], _filled([(part, of(lines, kind, part)) for part in parts])
    real = [line for line in lines if line.member.kind == "real"]
    edges = ((0, 150), (150, 350), (350, 1000), (1000, 3000), (3000, 10_000))
    by_size = [[line for line in real if low <= line.count < high] for low, high in edges]
    heads = ["k = " + " or ".join(f"{k:,}" for k in sorted({line.count for line in part})) for part in by_size]
    yield "Real selections by size, all orders", _filled(list(zip(heads, by_size)))


def _filled(columns: Sequence[tuple[str, list[Line]]]) -> list[Row]:
    return table([(head, part) for head, part in columns if part])


def markdown(rows: Sequence[Row]) -> str:
    """A table in Markdown, our lines in bold type."""
    heads = list(rows[0])
    lines = ["| " + " | ".join(["", *heads[1:]]) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        bold = "**" if row["format"] in (OURS, OURS_GROUPS) else ""
        cells = [f"{bold}{row[head]}{bold}" if row[head] != "" else "" for head in heads]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_docs(lines: Sequence[Line], readme: Path, docs: Path) -> None:
    """Put the chosen means into README.md and all tables into docs/benchmarks.md, between their marks.

    Raises:
        SystemExit: a file has no marks.
    """
    found = list(tables(lines))
    texts = {readme: markdown(found[0][1])}
    texts[docs] = "\n\n".join(f"**{title}**\n\n{markdown(rows)}" for title, rows in found)
    for path, text in texts.items():
        replace_between(path, "sizes", text)


STREAMS: dict[str, Callable[[Bytes], int | None]] = {
    "both streams": lambda size: size.both,
    "index stream": lambda size: size.index,
    "label stream": lambda size: size.label,
}


def lost(line: Line, stream: str, ours: str = OURS) -> dict[str, int]:
    """The formats that are smaller than ours on a selection, with their bytes."""
    pick = STREAMS[stream]
    mine = pick(line.ours[ours])
    sizes = {title: pick(size) for title, size in line.theirs.items()}
    return {title: size for title, size in sizes.items() if size is not None and mine is not None and size < mine}


def losses(lines: Sequence[Line]) -> list[str]:
    """Selections on which another format's pair of streams, or one of its streams, is smaller than ours."""
    out = []
    for stream, pick in STREAMS.items():
        found = [(line, sizes) for line in lines if (sizes := lost(line, stream))]
        still = sum(bool(lost(line, stream, OURS_GROUPS)) for line, _ in found if OURS_GROUPS in line.ours)
        none = sum(OURS_GROUPS not in line.ours for line, _ in found)
        out.append(
            f"{stream}: another format is smaller on {len(found)} of {len(lines)} selections"
            + (f" (with the pool's groups on {still}, and {none} have no groups)" if found else "")
        )
        for line, sizes in found:
            title = min(sizes, key=lambda name: sizes[name])
            grouped = line.ours.get(OURS_GROUPS)
            more = f", with groups {pick(grouped)}" if grouped else ""
            out.append(f"  {line.member.name}: {title} {sizes[title]}, plada {pick(line.ours[OURS])}{more}")
    return out
