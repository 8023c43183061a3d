"""Bytes of every other format for one selection."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path

from benchmarks.formats import check
from benchmarks.layouts import INDEX_LAYOUTS, LABEL_LAYOUTS, Layout, facts_of
from benchmarks.paper_layouts import paper_sizes
from benchmarks.peers import General, Subject, general, numeric_subjects, zpaq
from benchmarks.selections import Selection

ARCHIVER = "zpaq-m5"
NAMES = ("zstd-19", "zstd-22", "xz-9e", "bzip2", "brotli-11", ARCHIVER, "roaring", "pcodec", "openzl", "parquet")
#: A bitmap is given to general compressors from one kept image in so many. Below, it never comes near the other layouts
#: (2.6 times and more with one in 140,000), and 1.8 MB through every compressor takes most of the time.
BITMAP_FROM = 2000


@cache
def tools() -> tuple[General, ...]:
    """The general compressors, zpaq among them where it is installed."""
    archiver = zpaq()
    return (*general(), *((archiver,) if archiver else ()))


@cache
def numeric() -> tuple[Subject, ...]:
    """The numeric and columnar formats that are installed."""
    return tuple(numeric_subjects()[0])


def index_layouts(selection: Selection) -> tuple[Layout, ...]:
    """The layouts of the index set that are worth trying."""
    dense = len(selection.indices) * BITMAP_FROM >= selection.pool_size
    return INDEX_LAYOUTS if dense else tuple(layout for layout in INDEX_LAYOUTS if layout.name != "bitmap")


def columns(selection: Selection, without: Collection[str] = ()) -> list[str]:
    """Every column that :func:`measure` fills, but those of the paper's layouts."""
    layouts = (*index_layouts(selection), *LABEL_LAYOUTS)
    ends = [f"{layout.stream}.{layout.name}" for layout in layouts] + ["both.joint"]
    found = [f"{tool.name}.{end}" for tool in tools() if tool.name not in without for end in ends]
    return found + [subject.column for subject in numeric() if subject.name not in without]


def measure(selection: Selection, known: Mapping[str, int], without: Collection[str] = ()) -> dict[str, int]:
    """The cells that are not ``known``: bytes by column ``FORMAT.STREAM.LAYOUT``, for formats not in ``without``.

    ``FORMAT.both.joint``: its best index layout and its best label layout compressed as one string.

    Raises:
        RuntimeError: a format does not give back what went in.
    """
    found: dict[str, int] = {}
    if not any(name.startswith("paper.") for name in known):
        found |= {f"paper.both.{stage}": size for stage, size in paper_sizes(selection).items()}
    for tool in tools():
        if tool.name not in without:
            found |= _general(tool, selection, known)
    facts = facts_of(selection)
    for subject in numeric():
        if subject.column not in known and subject.name not in without:
            data = subject.encode(selection)
            check(subject, data, selection, facts)
            found[subject.column] = len(data)
    return found


def _general(tool: General, selection: Selection, known: Mapping[str, int]) -> dict[str, int]:
    facts, sizes, found = facts_of(selection), dict(known), dict[str, int]()
    seen: dict[tuple[bytes, int], bytes] = {}  # bytes and byte planes are the same string where an element is a byte
    checked = tool.name != ARCHIVER  # its decoder takes as long as its encoder; the tests unpack some archives
    layouts = index_layouts(selection)
    for layout in (*layouts, *LABEL_LAYOUTS):
        column = f"{tool.name}.{layout.stream}.{layout.name}"
        if column in known:
            continue
        key = (layout.pack(selection), layout.width(facts))
        if key not in seen:
            seen[key] = tool.compress(*key)
        data = seen[key]
        if checked:
            unpack = _decoder(tool, layout)
            check(Subject(tool.name, layout.stream, layout.name, lambda s: b"", unpack), data, selection, facts)
        sizes[column] = found[column] = len(data)
    joint = f"{tool.name}.both.joint"
    if joint not in known:
        best = []
        for choice in (layouts, LABEL_LAYOUTS):
            best.append(min(choice, key=lambda a: sizes[f"{tool.name}.{a.stream}.{a.name}"]).pack(selection))
        found[joint] = len(tool.compress(b"".join(best), 1))
    return found


def _decoder(tool: General, layout: Layout) -> Callable[..., object]:
    return lambda data, facts: layout.unpack(tool.decompress(data, layout.width(facts)), facts)


def write_archive(path: Path) -> None:
    """Store the bytes of a zpaq archive of an empty file: what an archive costs besides its content."""
    archiver = zpaq()
    if archiver:
        path.write_text(json.dumps({"empty_zpaq_archive": len(archiver.compress(b"", 1))}) + "\n")
