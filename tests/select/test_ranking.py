"""Selection against a slow and obvious model of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from score_tables import MakeTable

from plada_format.errors import UserError
from plada_select.criteria import CRITERIA, LOGIT_CRITERIA
from plada_select.safety_net import SafetyNet, class_weights, quotas
from plada_select.scoretable import CHUNK_ROWS, ScoreTable
from plada_select.select import Policy, count_of, floor_share, parse_bytes, parse_fraction, rank

ANY_TABLE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def obvious(table: ScoreTable, policy: Policy, count: int) -> list[int]:
    """The definition, row by row."""
    columns = table.columns("label", "status", policy.criterion)
    score, label = columns[policy.criterion], columns["label"]
    sign = -1 if policy.direction == "high" else 1
    usable = [i for i in range(len(table)) if columns["status"][i] < 128 and np.isfinite(score[i])]
    order = sorted(usable, key=lambda i: (sign * float(score[i]), i))
    chosen: list[int] = []
    net = policy.safety_net
    if net is not None:
        counts = np.bincount(label[usable], minlength=table.num_classes)
        quota = quotas(counts, floor_share(count, net.share), class_weights(counts, net.alpha))
        for c in range(table.num_classes):
            chosen += [i for i in order if label[i] == c][: quota[c]]
    taken = set(chosen)
    chosen += [i for i in order if i not in taken][: count - len(chosen)]
    return sorted(chosen)


def spoil(columns: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    for name in LOGIT_CRITERIA:
        columns[name][:] = np.round(columns[name], 1)  # many ties
    bad = rng.random(len(columns["status"])) < 0.1
    columns["status"][bad] = 132
    columns["status"][rng.random(len(bad)) < 0.1] |= 1  # grey: usable unless it was bad
    columns["energy"][rng.random(len(bad)) < 0.05] = np.nan
    columns["entropy"][3] = np.inf
    columns["energy"][8] = -0.0
    columns["energy"][9] = 0.0


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> ScoreTable:
    from score_tables import make_columns, make_provenance, make_task

    from plada_select.scoretable import write_table

    columns = make_columns(700, 6, skew=0.5)
    spoil(columns)
    return write_table(tmp_path_factory.mktemp("spoilt"), make_provenance(700, 6), make_task(6), columns)


@given(
    count=st.integers(0, 550),
    criterion=st.sampled_from(LOGIT_CRITERIA),
    direction=st.sampled_from(["low", "high"]),
    net=st.none()
    | st.builds(SafetyNet, st.sampled_from(["-0.2", "0", "0.5", "1"]), st.sampled_from(["0", "0.5", "1"])),
)
def test_selection_is_the_definition(
    spoilt: ScoreTable, count: int, criterion: str, direction: str, net: SafetyNet | None
) -> None:
    policy = Policy(criterion=criterion, direction=direction, safety_net=net)
    got = rank(spoilt, policy).select(count)
    assert got.indices.tolist() == obvious(spoilt, policy, count)
    assert got.indices.dtype == np.uint32
    assert (got.labels == spoilt.columns("label")["label"][got.indices]).all()


@given(counts=st.lists(st.integers(0, 500), min_size=2, max_size=6), alpha=st.sampled_from(["-0.2", "0"]))
def test_answers_do_not_depend_on_what_was_asked_before(spoilt: ScoreTable, counts: list[int], alpha: str) -> None:
    policy = Policy(safety_net=SafetyNet(alpha, "0.7"))  # type: ignore[arg-type]
    shared = rank(spoilt, policy)
    for count in counts:
        assert (shared.select(count).indices == rank(spoilt, policy).select(count).indices).all()


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("direction", ["low", "high"])
def test_every_criterion_keeps_exactly_the_count(spoilt: ScoreTable, criterion: str, direction: str) -> None:
    ranking = rank(spoilt, Policy(criterion=criterion, direction=direction, safety_net=SafetyNet()))
    for count in (1, 7, 300):
        selection = ranking.select(count)
        assert len(selection) == count
        assert (np.diff(selection.indices.astype(np.int64)) > 0).all()
        assert selection.quota is not None
        assert (np.bincount(selection.labels, minlength=6) >= selection.quota).all()


def test_plain_selections_are_nested(spoilt: ScoreTable) -> None:
    ranking = rank(spoilt, Policy())
    for count in range(1, 200, 13):
        assert set(ranking.select(count).indices.tolist()) <= set(ranking.select(count + 13).indices.tolist())


def test_consensus_is_the_papers_rule(make_table: MakeTable) -> None:
    table = make_table(400, 5)
    columns = table.columns(*LOGIT_CRITERIA)
    cost = np.max([np.argsort(np.argsort(columns[n], kind="stable")) / 399 for n in LOGIT_CRITERIA], axis=0)
    want = np.sort(np.argsort(cost, kind="stable")[:40])
    assert rank(table, Policy(criterion="consensus")).select(40).indices.tolist() == want.tolist()
    two = rank(table, Policy(criterion="consensus", consensus_of=("energy", "max_logit"))).select(40)
    assert two.indices.tolist() != want.tolist()


def test_random_is_seeded_and_unbiased(make_table: MakeTable) -> None:
    table = make_table(4000, 5)
    pick = {seed: rank(table, Policy(criterion="random", seed=seed)).select(400).indices for seed in (0, 1)}
    assert (rank(table, Policy(criterion="random", seed=1)).select(400).indices == pick[1]).all()
    assert len(np.intersect1d(pick[0], pick[1])) < 80
    label = table.columns("label")["label"]
    assert np.bincount(label[pick[0]], minlength=5) == pytest.approx(np.bincount(label) / 10, rel=0.4)


def test_chunk_borders_do_not_matter(make_table: MakeTable) -> None:
    """Rows across chunk borders are the same rows: the model sees whole columns only."""
    table = make_table(CHUNK_ROWS + 300, 3)
    selection = rank(table, Policy(safety_net=SafetyNet("0.5", "0.5"))).select(2000)  # type: ignore[arg-type]
    assert selection.indices.tolist() == obvious(table, Policy(safety_net=SafetyNet("0.5", "0.5")), 2000)  # type: ignore[arg-type]


def test_excluded_rows_are_counted(make_table: MakeTable) -> None:
    def edit(columns: dict[str, np.ndarray]) -> None:
        columns["status"][:4] = (128, 133, 1, 64)  # two unreadable; grey and animated are fine
        columns["energy"][5] = np.nan

    ranking = rank(make_table(50, 3, edit=edit), Policy())
    assert ranking.excluded == {"unusable": 2, "not finite": 1}
    assert ranking.usable == 47
    assert not {0, 1, 5} & set(ranking.select(47).indices.tolist())
    with pytest.raises(UserError, match="only 47 of 50"):
        ranking.select(48)


def test_nothing_usable(make_table: MakeTable) -> None:
    def edit(columns: dict[str, np.ndarray]) -> None:
        columns["status"][:] = 132

    with pytest.raises(UserError, match="no usable image among 20"):
        rank(make_table(20, 3, edit=edit), Policy())


def test_first_of_each_class(make_table: MakeTable) -> None:
    table = make_table(500, 4, skew=3)  # later classes are rare or absent
    columns = table.columns("label", "energy")
    selection = rank(table, Policy()).first_of_each_class()
    for c in np.unique(columns["label"]):
        members = np.flatnonzero(columns["label"] == c)
        best = members[np.argmin(columns["energy"][members])]
        assert selection.indices[selection.labels == c].tolist() == [best]


def test_one_class_and_one_image(make_table: MakeTable) -> None:
    table = make_table(1, 1)
    assert rank(table, Policy(safety_net=SafetyNet())).select(1).indices.tolist() == [0]


@pytest.mark.parametrize(
    ("text", "want"), [("1%", "0.01"), ("0.01", "0.01"), ("100%", "1"), ("0.07%", "0.0007"), (" 5 %", "0.05")]
)
def test_fractions(text: str, want: str) -> None:
    assert str(parse_fraction(text).normalize()) == want


@pytest.mark.parametrize("text", ["", "x", "0", "0%", "-1%", "101%", "5", "nan", "1%%"])
def test_bad_fractions(text: str) -> None:
    with pytest.raises(UserError, match="keep"):
        parse_fraction(text)


def test_floor_is_exact() -> None:
    # 0.29 * 100 is 28.999999999999996 in floating point, and the paper's own counts
    assert floor_share(100, parse_fraction("0.29")) == 29
    assert floor_share(14_197_087, parse_fraction("1%")) == 141_970
    assert floor_share(1_281_167, parse_fraction("0.5%")) == 6_405


@pytest.mark.parametrize(
    ("text", "want"),
    [("900", 900), ("20kB", 20_000), ("20KiB", 20_480), ("1MB", 1_000_000), ("1.5 kB", 1500), ("7b", 7), (1000, 1000)],
)
def test_sizes(text: str | int, want: int) -> None:
    assert parse_bytes(text) == want


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "1.5", "1GBB", "kB", "1e3", "1 0", "2iB"])
def test_bad_sizes(text: str) -> None:
    with pytest.raises(UserError, match="budget"):
        parse_bytes(text)


def test_counts(make_table: MakeTable) -> None:
    ranking = rank(make_table(150, 3), Policy())
    assert count_of(ranking, keep="1%") == 1
    assert count_of(ranking, count=150) == 150
    for wish in ({"keep": "0.1%"}, {"count": 0}, {"count": 151}, {}, {"keep": "1%", "count": 1}):
        with pytest.raises(UserError):
            count_of(ranking, **wish)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change", [{"criterion": "x"}, {"direction": "up"}, {"consensus_of": ("random",)}, {"consensus_of": ()}]
)
def test_bad_policies(change: dict[str, object]) -> None:
    with pytest.raises(UserError):
        Policy(**change)  # type: ignore[arg-type]
