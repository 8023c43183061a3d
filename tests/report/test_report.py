"""The report as a document: sound HTML, nothing from outside, and figures that agree with the payload."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plada_format as pf
from plada_format.errors import PladaError, UserError
from plada_select import Policy, SafetyNet, select_payload, write_outcome
from plada_select.baselines import BaselineResult, Need, Point, leakage_check
from plada_select.report import Results, read_facts, write_report, write_selection_report
from plada_select.report.charts import ticks
from plada_select.report.text import esc, percent, points, size_text

DATA = Path(__file__).resolve().parents[1] / "data"

VOID = {"meta", "link", "img", "br", "hr"}
SHAPES = {"line", "circle", "path", "text", "g", "title", "svg"}


class Page(HTMLParser):
    """Elements in order, and whether they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SHAPES, tag
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def sections(self) -> list[str | None]:
        return [attributes["id"] for attributes in self.all("section")]


def check(path: Path) -> Page:
    """What holds for every report."""
    text = path.read_text("utf-8")
    page = Page(text)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert not page.all("script")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action", "srcset", "poster", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, value)
        if tag == "a":
            assert str(attributes["href"])[1:] in ids
        assert tag != "img" or attributes.get("alt")
        assert tag != "svg" or (attributes.get("role") == "img" and attributes.get("aria-label"))
        assert tag != "th" or attributes.get("scope") in ("col", "row")
        assert "aria-labelledby" not in attributes or attributes["aria-labelledby"] in ids
    assert len(page.all("caption")) == len(page.all("table"))
    assert "url(" not in text and "@import" not in text
    assert page.all("html")[0]["lang"] == "en" and len(page.all("h1")) == len(page.all("main")) == 1
    return page


def payload(world: Any, folder: Path, policy: Policy | None = None, **options: Any) -> Path:
    outcome = select_payload(world.table, policy or Policy(), **(options or {"count": 60}))
    return write_outcome(outcome, folder / "task.plada")


def full_results(world: Any) -> Results:
    rng = np.random.default_rng(0)
    names = world.task.class_names
    confusion = rng.integers(0, 9, (10, 10)).tolist()
    classes = [{"name": n, "count": 14, "accuracy": float(a)} for n, a in zip(names, rng.random(10))]
    classes[3]["accuracy"] = None
    evaluation = {"accuracy": 0.7, "standard_error": 0.02, "count": 140, "classes": classes, "confusion": confusion}
    rows = [
        BaselineResult("payload", "PLADA payload", (0.7, 0.71), 300, 60, True, holds=("pool",), counted="the file"),
        BaselineResult("random", "Random pool images", (0.5, 0.55, 0.6), 310, 60, False, Need(900, 200, 0.71, True),
                       (Point(310, 60, 0.55), Point(900, 200, 0.71)), ("pool",)),
        BaselineResult("small_probe", "Linear probe on 9 components", (0.75,), 290, 9, True),
        BaselineResult("probe_int8", "Linear probe", (0.8,), 12_900, None, False, Need(12_900, None, 0.8, True)),
        BaselineResult("jpeg_random", "JPEG", (), 400, 1, False, Need(9000, 90, 0.4, False), note="not one image fits"),
        BaselineResult("teacher", "Teacher", (0.8,)),
    ]  # fmt: skip
    return Results(
        "CIFAR-10", {**evaluation, "accuracy": 0.8, "name": "lite0"},
        [{"name": "Student", "summary": "frozen", "accuracies": [0.7, 0.71], "evaluation": evaluation}],
        rows, leakage_check(world.pool, world.test.source, threshold=20, progress=False),
        [{"series": "1 %", "bytes": 200, "accuracy": 0.6, "count": 30}],
        [{"what": "pool", "bytes": 2_600_000, "note": "shared"}], ["A note."], {"seeds": "0, 1"},
    )  # fmt: skip


def test_straight_from_select(world: Any, tmp_path: Path) -> None:
    path = payload(world, tmp_path, Policy(safety_net=SafetyNet("0", "1")))
    write_selection_report(path, tmp_path / "r.html", images=None)
    page = check(tmp_path / "r.html")
    assert page.sections == ["histogram", "classes", "contact", "bytes", "excluded", "holds", "provenance"]
    assert "Give the pool's images" in "".join(page.texts)


def test_everything(world: Any, tmp_path: Path) -> None:
    path = payload(world, tmp_path, Policy(safety_net=SafetyNet("0", "1")))
    target = write_report(
        path, tmp_path / "deep" / "r.html", results=full_results(world), images=world.pool, manifest=world.manifest,
        test=world.test.source,
    )  # fmt: skip
    page = check(target)
    assert page.sections == [
        "verdict", "curve", "baselines", "accuracy", "histogram", "classes", "contact", "bytes", "leakage",
        "excluded", "holds", "provenance",
    ]  # fmt: skip
    text = " ".join("".join(page.texts).split())
    assert "Linear probe on 9 components, in as many bytes: 75.0 %, +4.5 points against the payload" in text
    assert "send that instead" in text and "send the probe instead" in text
    assert "+15.5 points against as many random pool images (55.0 %)." in text
    assert "even 9,000 bytes (90 images) reach only 40.0 %" in text and "A note." in text and "tiny pool" in text
    first = target.read_bytes()
    write_report(
        path, target, results=full_results(world), images=world.pool, manifest=world.manifest, test=world.test.source
    )
    assert target.read_bytes() == first


def test_a_bare_payload(tmp_path: Path) -> None:
    pf.write(tmp_path / "bare.plada", [3, 5, 9], [0, 1, 1], pool_size=20, num_classes=3)
    write_report(tmp_path / "bare.plada", tmp_path / "r.html")
    page = check(tmp_path / "r.html")
    assert page.sections == ["classes", "contact", "bytes", "holds", "provenance"]


def test_an_empty_payload(tmp_path: Path) -> None:
    pf.write(tmp_path / "none.plada", [], [], pool_size=20, num_classes=3)
    write_report(tmp_path / "none.plada", tmp_path / "r.html")
    assert "bytes" in check(tmp_path / "r.html").sections


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a&b'\N{RIGHT-TO-LEFT OVERRIDE}"]
    meta = {"input": "</code><script>", "</dt>": "x"}
    pf.write(tmp_path / "x.plada", [3, 5], [0, 1], pool_size=20, num_classes=3, class_names=names, metadata=meta)
    write_report(tmp_path / "x.plada", tmp_path / "r.html", results=Results(title="<b>&"))
    page = check(tmp_path / "r.html")
    assert not page.all("img") and names[0] in "".join(page.texts)
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in "".join(page.texts)


def test_many_classes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    indices = np.sort(rng.permutation(100_000)[:3000])
    labels = rng.integers(0, 700, 3000)
    pf.write(tmp_path / "x.plada", indices, labels, pool_size=100_000, num_classes=700)
    write_report(tmp_path / "x.plada", tmp_path / "r.html")
    page = check(tmp_path / "r.html")
    assert any("tall" in str(attributes.get("class")) for attributes in page.all("div"))


def test_the_bytes_add_up(world: Any, tmp_path: Path) -> None:
    path = payload(world, tmp_path)
    facts = read_facts(path)
    assert sum(piece.bytes for piece in facts.pieces) == path.stat().st_size == len(facts.data)
    for kind, used in (("index", facts.payload.header.index_codec), ("label", facts.payload.header.label_codec)):
        trials = [trial for trial in facts.trials if trial.kind == kind]
        assert [trial.name for trial in trials if trial.used] == [used] and len(trials) > 3
        for trial in trials:
            again = pf.inspect(pf.recode(facts.data, **{f"{kind}_codec": trial.name}, profile="full"))
            assert trial.bytes == next(s.length for s in again.sections if s.name == kind)


@pytest.mark.parametrize("direction", ["low", "high"])
def test_contact_sheet_shows_the_ends_of_each_class(world: Any, tmp_path: Path, direction: str) -> None:
    path = payload(world, tmp_path, Policy(direction=direction, safety_net=SafetyNet("0", "1")), count=150)
    write_report(path, tmp_path / "r.html", images=world.pool)
    facts, page = read_facts(path), check(tmp_path / "r.html")
    shown = [int(found[1]) for a in page.all("img") if (found := re.match(r"pool image (\d+),", str(a["alt"])))]
    scores, labels = facts.scores(), facts.payload.labels
    sign = -1 if direction == "high" else 1
    at = 0
    for c in np.unique(labels):
        rows = np.flatnonzero(labels == c)
        order = rows[np.argsort(sign * scores[rows], kind="stable")]
        wanted = order if len(order) <= 6 else np.concatenate([order[:6], order[6:][-6:]])
        assert shown[at : at + len(wanted)] == facts.payload.indices[wanted].tolist()
        at += len(wanted)
    assert at == len(shown)


def test_pictures_are_those_of_the_pool(world: Any, tmp_path: Path) -> None:
    from base64 import b64decode

    path = payload(world, tmp_path, count=10)
    write_report(path, tmp_path / "r.html", images=world.pool)
    for attributes in check(tmp_path / "r.html").all("img"):
        index = int(str(attributes["alt"]).split()[2].rstrip(","))
        stored = b64decode(str(attributes["src"]).split(",")[1])
        assert stored == world.pool.read(index) or len(world.pool.read(index)) > 6000


def test_images_by_key_and_images_that_do_not_fit(world: Any, tmp_path: Path) -> None:
    from plada_train import SubsetSource

    path = payload(world, tmp_path, count=10)
    turned = SubsetSource(world.pool, np.arange(len(world.pool))[::-1])
    write_report(path, tmp_path / "a.html", images=world.pool, manifest=world.manifest)
    write_report(path, tmp_path / "b.html", images=turned, manifest=str(world.manifest))
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    few = SubsetSource(world.pool, np.arange(7))
    write_report(path, tmp_path / "c.html", images=few)
    assert "No pictures: the images given are 7, the pool has 300" in (tmp_path / "c.html").read_text()
    write_report(path, tmp_path / "d.html", images=few, manifest=world.manifest)  # those that are there
    page = check(tmp_path / "d.html")
    missing = [a for a in page.all("span") if "cannot be shown" in str(a.get("aria-label"))]
    assert len(missing) + len(page.all("img")) == 10 and len(missing) >= 3


def test_the_cut(world: Any, tmp_path: Path) -> None:
    facts = read_facts(payload(world, tmp_path, count=50))
    write_report(tmp_path / "task.plada", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    cut = format(float(facts.scores().max()), ".4g").replace("-", "−")
    assert f"The cut lies at {cut}." in text
    write_report(payload(world, tmp_path, Policy("random")), tmp_path / "r.html")
    assert "The cut lies at" not in (tmp_path / "r.html").read_text()


def test_excluded_images_by_status(world: Any, tmp_path: Path) -> None:
    write_report(payload(world, tmp_path), tmp_path / "r.html")
    text = re.sub(r"<[^>]+>", " ", (tmp_path / "r.html").read_text())
    assert re.search(r"undecodable\s+left out\s+1\s", text) and re.search(r"grey\s+took part\s+1\s", text)
    assert "299 of 300 pool images took part" in text


def test_a_record_of_another_payload_is_not_used(world: Any, tmp_path: Path) -> None:
    path = payload(world, tmp_path, count=20)
    other = select_payload(world.table, Policy(), count=21)
    path.write_bytes(other.data)
    assert read_facts(path).record == {}
    write_report(path, tmp_path / "r.html")
    assert "histogram" not in check(tmp_path / "r.html").sections


def test_errors_leave_nothing(world: Any, tmp_path: Path) -> None:
    path = payload(world, tmp_path)
    with pytest.raises((UserError, OSError)):
        write_selection_report(path, tmp_path / "r.html", images=str(tmp_path / "nowhere.npz"))
    with pytest.raises(UserError, match="knows 2 classes, the payload has 10"):
        write_report(path, tmp_path / "r.html", results=Results(teacher={"accuracy": 1, "classes": [{}, {}]}))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PladaError):
        write_report(path, tmp_path / "r.html")
    assert not list(tmp_path.glob("*r.html*"))


def test_results_survive_a_file(world: Any, tmp_path: Path) -> None:
    results = full_results(world)
    again = Results.load(results.save(tmp_path / "results.json"))
    assert json.dumps(again.to_json()) == json.dumps(results.to_json())
    assert again.baselines == results.baselines
    for text in ("{", "[]", '{"surprise": 1}', '{"baselines": [{"id": 1}]}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(UserError, match="no results of this version"):
            Results.load(tmp_path / "bad.json")


def test_select_command_writes_the_report(world: Any, tmp_path: Path, capsys: Any) -> None:
    from plada_format.cli.main import main

    status = main(
        ["select", str(world.table.folder), "--pool", str(world.manifest), "-o", str(tmp_path / "t.plada"),
         "--count", "40", "--safety-net", "--report", str(tmp_path / "r.html"),
         "--images", str(DATA / "pool_2k.npz")]
    )  # fmt: skip
    assert status == 0, capsys.readouterr().err
    assert "histogram" in check(tmp_path / "r.html").sections


@settings(max_examples=50)
@given(st.text(max_size=60))
def test_escaped_text_comes_back(text: str) -> None:
    page = Page(f'<p title="{esc(text)}">{esc(text)}</p>')
    shown = "".join(c if c.isprintable() or c == " " else "\N{REPLACEMENT CHARACTER}" for c in text)
    assert "".join(page.texts) == shown == (page.all("p")[0]["title"] or "")


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 9))
def test_ticks_are_inside_and_not_too_many(low: float, width: float, wanted: int) -> None:
    found = ticks(low, low + width, wanted)
    slack = 1e-6 * width + 1e-9 * abs(low)
    assert all(low - slack <= tick <= low + width + slack for tick in found)
    assert len(found) <= wanted + 2


def test_words_for_numbers() -> None:
    assert [size_text(n) for n in (None, 1, 870, 12_900, 4.6e6, 3e9)] == [
        "–", "1 byte", "870 bytes", "12.9 kB", "4.6 MB", "3.0 GB",
    ]  # fmt: skip
    assert (percent(0.7051), percent(float("nan")), points(-0.0312)) == ("70.5 %", "–", "−3.1")
