"""The size table: what is measured, kept, added up and called lost."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import ours, peers
from benchmarks.layouts import INDEX_LAYOUTS, facts_of
from benchmarks.paper_layouts import COMPRESSED
from benchmarks.selections import Selection, uniform
from benchmarks.size import bounds, figures, own, sets, summary, theirs, totals
from benchmarks.size.__main__ import main
from benchmarks.size.sheet import Sheet
from benchmarks.size.totals import BARE_ARCHIVE, GENERAL, OURS, OURS_GROUPS, PAPER_NAME, ROARING, Bytes

SMALL = uniform(20_000, 300, 12)
GROUPS = np.array([0, 7, 5000, 12_000], np.uint32)


# ---------------------------------------------------------------------------------------------------- sheets


def test_sheet_keeps_what_it_has_and_fills_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    Sheet(path).put("a", {"x": 1})
    sheet = Sheet(path)
    sheet.put("b", {"y": 3})
    sheet.put("a", {"y": 2})
    again = Sheet(path)
    assert again.known("a") == {"x": 1, "y": 2} and again.known("b") == {"y": 3} and again.known("c") == {}
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.csv"]
    assert Sheet(path, restart=True).known("a") == {}


def test_two_runs_fill_one_sheet(tmp_path: Path) -> None:
    one, other = (Sheet(tmp_path / "sheet.csv") for _ in range(2))
    one.put("a", {"x": 1})
    other.put("b", {"x": 2})
    one.put("a", {"y": 3})
    again = Sheet(tmp_path / "sheet.csv")
    assert again.known("a") == {"x": 1, "y": 3} and again.known("b") == {"x": 2}
    assert one.known("b") == {"x": 2}


# ---------------------------------------------------------------------------------------------------- ours


def test_own_row_takes_the_smallest_allowed() -> None:
    row = own.measure(SMALL, GROUPS)
    for stream in ("index", "label"):
        names = [codec.name for codec in ours.codecs(stream) if codec.profile != "full"]
        allowed = [row[f"plada.{stream}.{name}"] for name in names]
        alone = [row[f"plada.{stream}.{name}"] for name in names if "groups" not in name]
        assert len(names) > len(alone) >= 5
        assert row[f"plada.{stream}.auto"] == min(alone)
        assert row[f"plada.{stream}.auto-groups"] == min(allowed)
    assert row["plada.both.file"] > row["plada.index.auto"]
    without = own.measure(SMALL, None)
    assert not any("groups" in name for name in without)
    assert without.items() <= row.items()


def test_own_row_stops_on_a_wrong_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "decode_stream", lambda *arguments: SMALL.indices + np.uint32(1))
    with pytest.raises(RuntimeError, match="does not give back"):
        own.measure(SMALL, None)


# ---------------------------------------------------------------------------------------------------- theirs


def test_their_row_has_its_columns_and_is_not_measured_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    row = theirs.measure(SMALL, {})
    assert set(theirs.columns(SMALL)) == {name for name in row if not name.startswith("paper.")}
    assert theirs.measure(SMALL, row) == {}
    part = {name: size for name, size in row.items() if not name.startswith(("bzip2.", "pcodec."))}
    rest = theirs.measure(SMALL, part)
    assert rest == {name: size for name, size in row.items() if name not in part}
    assert theirs.measure(SMALL, {}, theirs.NAMES) == {name: row[name] for name in row if name.startswith("paper.")}
    assert {name.split(".")[0] for name in theirs.columns(SMALL)} <= set(theirs.NAMES)
    two_bytes = uniform(3000, 40, 700)  # labels of two bytes
    assert set(theirs.columns(two_bytes)) < set(theirs.measure(two_bytes, {}))


def test_bitmaps_of_very_sparse_selections_are_left_out() -> None:
    sparse = uniform(20_000 * theirs.BITMAP_FROM, 10, 3)
    assert not any("bitmap" in name for name in theirs.columns(sparse) if not name.startswith("roaring"))
    assert theirs.index_layouts(SMALL) == INDEX_LAYOUTS


def test_a_peer_that_gives_back_something_else_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    good = peers.general()[0]
    broken = dataclasses.replace(good, decompress=lambda data, width: good.decompress(data, width)[::-1])
    monkeypatch.setattr(theirs, "tools", lambda: (broken,))
    with pytest.raises(RuntimeError, match="does not give back"):
        theirs.measure(SMALL, {})


@pytest.mark.skipif(shutil.which("zpaq") is None, reason="zpaq is not installed")
def test_zpaq_round_trip_and_its_constant_bytes(tmp_path: Path) -> None:
    tool = peers.zpaq()
    assert tool is not None
    data = bytes(range(256)) * 3
    assert tool.decompress(tool.compress(data, 1), 1) == data
    theirs.write_archive(tmp_path / "archive.json")
    empty = len(tool.compress(b"", 1))
    assert str(empty) in (tmp_path / "archive.json").read_text()
    assert empty < len(tool.compress(data, 1)) < empty + len(data)


# ---------------------------------------------------------------------------------------------------- bounds


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_entropy_of_symbols(symbols: list[int]) -> None:
    array = np.array(symbols)
    by_hand = -sum(np.log2(symbols.count(x) / len(symbols)) for x in symbols)
    assert bounds.entropy(array) == pytest.approx(by_hand, abs=1e-9)


@given(st.data())
def test_the_bound_by_group_is_never_above_the_bound_without(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 4000))
    inner = data.draw(st.sets(st.integers(1, n), max_size=20))
    groups = np.array([0, *sorted(inner - {n})], np.uint32)
    kept = np.array(sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=50))), np.uint32)
    row = bounds.measure(Selection("s", kept, np.zeros(len(kept), np.uint16), n, 2), groups)
    assert row["bound.index.groups"] <= row["bound.index.uniform"] + 1
    assert row["bound.label.order0"] == 0
    whole = bounds.measure(Selection("s", kept, np.zeros(len(kept), np.uint16), n, 2), groups[:1])
    assert whole["bound.index.groups"] == whole["bound.index.uniform"] and whole["bound.index.counts"] == 0


# ---------------------------------------------------------------------------------------------------- totals

CELLS = {
    **{f"paper.both.{stage}": 500 + i for i, stage in enumerate(COMPRESSED)},
    "paper.both.raw_idx": 3,
    "zstd-19.index.gaps": 300,
    "zstd-19.index.planes": 280,
    "zstd-19.label.bytes": 90,
    "zstd-19.both.joint": 350,
    "zpaq-m5.index.gaps": 1200,
    "zpaq-m5.label.bytes": 1080,
    "zpaq-m5.both.joint": 1300,
    "parquet.both.a": 700,
    "parquet.both.b": 650,
    "roaring.index.bitmap": 610,
}


def test_totals_are_the_best_layouts_apart_or_joint() -> None:
    found = totals.competitors(CELLS, 1000)
    assert found[PAPER_NAME].both == 500  # never the raw size
    assert found[GENERAL["zstd-19"]] == Bytes(280, 90, 350)
    assert found[totals.ARCHIVE] == Bytes(1200, 1080, 1300)
    assert found[BARE_ARCHIVE] == Bytes(200, 80, 280)
    assert found[totals.PARQUET] == Bytes(None, None, 650)
    assert found[ROARING].both == 610 + 80
    without_joint = {name: size for name, size in CELLS.items() if name != "zstd-19.both.joint"}
    assert totals.competitors(without_joint, 0)[GENERAL["zstd-19"]].both == 370


def line(index: int, label: int, grouped: int = 0, name: str = "s", kind: str = "acceptance") -> summary.Line:
    member = sets.Member(name, kind, "1.0 %", 300, lambda: SMALL, lambda: None)
    mine = {OURS: Bytes(index, label, index + label)}
    if grouped:
        mine[OURS_GROUPS] = Bytes(grouped, label, grouped + label)
    bound = {"bound.index.uniform": 180, "bound.label.order0": 70}
    return summary.Line(member, 20_000, 300, totals.competitors(CELLS, 1000), mine, bound)


def test_losses_are_found_in_each_stream() -> None:
    assert summary.lost(line(199, 79), "both streams") == {}
    assert summary.lost(line(201, 79), "index stream") == {BARE_ARCHIVE: 200}
    assert summary.lost(line(201, 79), "both streams") == {}  # equal is no loss
    assert summary.lost(line(190, 91), "label stream") == {GENERAL["zstd-19"]: 90, BARE_ARCHIVE: 80}
    both = summary.lost(line(290, 91), "both streams")
    assert both == {GENERAL["zstd-19"]: 350, BARE_ARCHIVE: 280}
    text = "\n".join(summary.losses([line(290, 70, grouped=190, name="bad"), line(190, 70, name="good")]))
    assert "both streams: another format is smaller on 1 of 2" in text
    assert "bad" in text and "good" not in text and "with groups 260" in text


def test_table_has_means_of_ratios_and_says_where_something_is_missing() -> None:
    lines = [line(200, 50), line(300, 50, grouped=100)]
    rows = {row["format"]: row for row in summary.table([("all", lines)])}
    assert rows[OURS]["all"] == "0.600" and rows[OURS_GROUPS]["all"] == "0.300 (1)"
    assert rows[GENERAL["pcodec"]]["all"] == ""
    assert rows[PAPER_NAME]["all"] == "1.000" and rows[summary.BOUND]["all"] == "0.500"
    assert rows["selections"]["all"] == 2


def test_tables_go_between_the_marks(tmp_path: Path) -> None:
    lines = [line(200, 50, grouped=100)]
    begin, end = "<!-- sizes: begin -->\n", "<!-- sizes: end -->\n"
    readme, docs = tmp_path / "README.md", tmp_path / "docs.md"
    readme.write_text(f"before\n{begin}old\n{end}after\n")
    docs.write_text(f"{begin}{end}")
    summary.write_docs(lines, readme, docs)
    first = readme.read_text()
    assert first.startswith("before\n") and first.endswith("after\n") and "old" not in first
    assert f"| **{OURS}** | **0.500** |" in first and "**Acceptance set**" in docs.read_text()
    summary.write_docs(lines, readme, docs)
    assert readme.read_text() == first
    docs.write_text("no marks")
    with pytest.raises(SystemExit, match="marks"):
        summary.write_docs(lines, readme, docs)


def test_figures_can_be_reached_and_missed() -> None:
    def first(lines: list[summary.Line]) -> dict[str, object]:
        return next(row for row in figures.figures(lines) if str(row["figure"]).startswith("1 %: paper"))

    assert first([])["ok"] == "NO" and first([])["reached"] == "not measured"
    assert first([line(300, 90)])["ok"] == "aim"
    assert first([line(320, 95)])["ok"] == "yes"
    assert first([line(350, 95)])["ok"] == "NO"


def test_figure_per_stream_takes_the_best_of_each() -> None:
    names = (GENERAL["zstd-19"], BARE_ARCHIVE)
    assert figures.streams(names)(line(1, 1)) == 280
    assert figures.streams([GENERAL["zstd-19"]])(line(1, 1)) == 350


# ---------------------------------------------------------------------------------------------------- sets


def test_members_are_all_there_and_seed_0_comes_first() -> None:
    members = sets.members()
    names = [member.name for member in members]
    assert len(names) == len(set(names))
    kinds = {kind: sum(member.kind == kind for member in members) for kind in summary.KINDS}
    assert kinds["uniform"] == 27 and kinds["acceptance"] == 147 and kinds["real"] == 150
    large = [name for name in names if name.endswith(("p0.050", "p0.100")) and name.startswith("c")]
    assert all("-s0-" in name for name in large[:14]) and len(large) == 42
    for _, kind, part in summary.README:
        assert any((member.kind, member.part) == (kind, part) for member in members)


def test_command_measures_and_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.size import __main__ as command

    member = sets.Member("tiny", "real", "folder order", 300, lambda: SMALL, lambda: GROUPS)
    for module in (command, summary):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
        monkeypatch.setattr(module, "members", lambda: [member])
    assert main(["--kind", "uniform"]) == main(["--up-to", "299"]) == 0
    assert "tiny" not in capsys.readouterr().out
    assert main(["--only", "peers", "--without", "bzip2", "zpaq-m5"]) == 0
    cells = Sheet(tmp_path / "peers.csv").known("tiny")
    assert "xz-9e.index.gaps" in cells and not any(name.startswith(("bzip2", "zpaq")) for name in cells)
    capsys.readouterr()
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "tiny: " in out and OURS_GROUPS in out and "another format is smaller on" in out
    assert main(["--only", "peers"]) == 0
    assert "tiny" not in capsys.readouterr().out  # nothing is left to measure
    before = facts_of(SMALL).count
    assert {row["file"]: row["count"] for row in Sheet(tmp_path / "plada.csv").rows.values()} == {"tiny": str(before)}
