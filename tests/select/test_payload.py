"""From table to payload file: contents, budgets, weights, warnings, the record beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from score_tables import FINGERPRINT, MakeTable, make_columns, make_provenance, make_task

import plada_format as pf
from plada_format.errors import PladaError, UserError
from plada_select.payload import (
    PayloadSpec,
    fit_budget,
    importance_weights,
    normalisation_text,
    parse_normalisation,
    short_metadata,
)
from plada_select.pipeline import read_outcome, record_paths, select_payload, write_outcome
from plada_select.safety_net import SafetyNet
from plada_select.scoretable import ScoreTable, write_table
from plada_select.select import Policy, rank


def test_payload_carries_the_selection(make_table: MakeTable) -> None:
    table = make_table(3000, 10)
    outcome = select_payload(table, Policy(safety_net=SafetyNet()), keep="1%")
    payload = pf.decode(outcome.data, pool_size=3000, pool_fingerprint=FINGERPRINT)
    assert (payload.indices == outcome.selection.indices).all()
    assert (payload.labels == outcome.selection.labels).all()
    assert len(payload.indices) == 30
    assert np.bincount(payload.labels, minlength=10).tolist() == [3] * 10
    assert payload.class_names == tuple(f"class {c}" for c in range(10))
    assert payload.metadata == {"input": "128", "norm": "half", "teacher": "abababab"}
    assert payload.weights is None
    assert payload.soft_labels is None


def test_a_small_task_fits_in_a_thousand_bytes(make_table: MakeTable) -> None:
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    table = make_table(10_000, 10)
    outcome = select_payload(table, Policy(safety_net=SafetyNet()), count=200, class_names=names)
    assert len(outcome.data) <= 1000
    assert pf.decode(outcome.data).class_names == tuple(names)


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> ScoreTable:
    columns = make_columns(2000, 8, skew=0.4)
    return write_table(tmp_path_factory.mktemp("skewed"), make_provenance(2000, 8), make_task(8), columns)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(budget=st.integers(230, 2600), net=st.sampled_from([None, SafetyNet(), SafetyNet("0.5", "0.5")]))  # type: ignore[arg-type]
def test_budget_is_never_exceeded_and_the_next_image_would_not_fit(
    skewed: ScoreTable, budget: int, net: SafetyNet | None
) -> None:
    ranking = rank(skewed, Policy(safety_net=net))
    spec = PayloadSpec(len(skewed), skewed.task["class_names"], FINGERPRINT, short_metadata(skewed.task))
    fitted = fit_budget(ranking, spec, budget)
    assert len(fitted.data) <= budget
    assert fitted.data == spec.encode(ranking.select(len(fitted.selection)))
    assert (pf.decode(fitted.data).indices == fitted.selection.indices).all()
    if len(fitted.selection) < ranking.usable:
        assert len(spec.encode(ranking.select(len(fitted.selection) + 1))) > budget
        if budget >= 2000:
            assert len(fitted.data) > 0.99 * budget


def test_budget_below_one_image_per_class_names_the_size(skewed: ScoreTable) -> None:
    with pytest.raises(UserError, match=r"one image for each of the 8 classes has (\d+) bytes") as error:
        select_payload(skewed, Policy(), budget=150)
    needed = int(str(error.value).split(" bytes;")[0].split()[-1])
    assert len(select_payload(skewed, Policy(safety_net=SafetyNet()), budget=needed).data) <= needed
    with pytest.raises(UserError, match=str(needed)):
        select_payload(skewed, Policy(), budget=needed - 1)
    small = select_payload(skewed, Policy(), budget=needed - 1, allow_missing_classes=True)
    assert len(small.data) < needed


def test_budget_below_one_image_names_the_size(skewed: ScoreTable) -> None:
    one = len(select_payload(skewed, Policy(), count=1).data)
    with pytest.raises(UserError, match=f"smallest file \\(one image\\) has {one}"):
        select_payload(skewed, Policy(), budget=one - 1, allow_missing_classes=True)
    assert len(select_payload(skewed, Policy(), budget=one, allow_missing_classes=True).selection) >= 1


def test_generous_budget_takes_everything(make_table: MakeTable) -> None:
    assert len(select_payload(make_table(300, 3), Policy(), budget=10**6).selection) == 300


@pytest.mark.parametrize("wish", [{}, {"keep": "1%", "count": 3}, {"count": 3, "budget": 900}])
def test_exactly_one_size(make_table: MakeTable, wish: dict[str, object]) -> None:
    with pytest.raises(UserError, match="exactly one"):
        select_payload(make_table(300, 3), Policy(), **wish)  # type: ignore[arg-type]


def test_weights_follow_the_scores(make_table: MakeTable) -> None:
    table = make_table(1000, 5)
    outcome = select_payload(table, Policy(), count=100, weight_temperature=2.0)
    payload = pf.decode(outcome.data)
    assert payload.weights is not None
    want = np.exp(-outcome.arrays["scores"].astype(float) / 2.0)
    assert payload.weights == pytest.approx(want / want.mean(), rel=0.03)
    high = select_payload(table, Policy(direction="high"), count=100, weight_temperature=2.0)
    first = int(np.argmax(high.arrays["scores"]))
    assert int(np.argmax(pf.decode(high.data).weights)) == first  # type: ignore[arg-type]


def test_weights_have_mean_one_and_survive_extremes() -> None:
    weights = importance_weights(np.array([-1000.0, -999.0, 500.0], np.float32), 1.0)
    assert np.isfinite(weights).all()
    assert weights.mean() == pytest.approx(1.0)
    assert weights[0] / weights[1] == pytest.approx(np.e, rel=1e-4)
    with pytest.raises(UserError, match="temperature"):
        importance_weights(np.zeros(3, np.float32), 0)


def test_extreme_weights_can_be_sent(make_table: MakeTable) -> None:
    data = select_payload(make_table(500, 3), Policy(), keep="100%", weight_temperature=0.01).data
    weights = pf.decode(data).weights
    assert weights is not None
    assert (weights > 0).all()


def test_soft_labels_come_back(make_table: MakeTable) -> None:
    soft = np.full((3, 3), 0.1, np.float32) + 0.7 * np.eye(3, dtype=np.float32)
    payload = pf.decode(select_payload(make_table(200, 3), Policy(), count=20, soft_labels=soft).data)
    assert payload.soft_labels == pytest.approx(soft, abs=0.01)


def test_lost_and_unreachable_classes_are_told(make_table: MakeTable) -> None:
    table = make_table(1500, 8, skew=2)
    counts = np.bincount(table.columns("label")["label"], minlength=8)
    assert counts[7] == 0, "the fixture should have a class without images"
    plain = select_payload(table, Policy(), keep="1%")
    assert plain.record["lost_classes"]
    assert set(plain.record["unreachable_classes"]) == set(np.flatnonzero(counts == 0).tolist())
    assert any("kept no image: class" in line and "--safety-net" in line for line in plain.warnings)
    assert any("no pool image at all" in line and "class 7" in line for line in plain.warnings)
    safe = select_payload(table, Policy(safety_net=SafetyNet()), count=100)
    assert safe.record["lost_classes"] == []


def test_unusable_images_are_told(make_table: MakeTable) -> None:
    def edit(columns: dict[str, np.ndarray]) -> None:
        columns["status"][:7] = 132
        for name in ("energy", "entropy", "max_logit", "margin"):
            columns[name][:7] = np.nan

    outcome = select_payload(make_table(300, 3, edit=edit), Policy(), keep="50%")
    assert any("7 of 300 pool images took no part (unreadable 7" in line for line in outcome.warnings)
    assert not set(range(7)) & set(outcome.selection.indices.tolist())


def test_one_class_one_image_pool(make_table: MakeTable) -> None:
    payload = pf.decode(select_payload(make_table(1, 1), Policy(safety_net=SafetyNet()), keep="100%").data)
    assert (payload.indices.tolist(), payload.labels.tolist()) == ([0], [0])


def test_record_beside_the_payload(make_table: MakeTable, tmp_path: Path) -> None:
    table = make_table(2000, 6, skew=0.3)
    outcome = select_payload(table, Policy(safety_net=SafetyNet("0", "0.5")), keep="2%")  # type: ignore[arg-type]
    path = write_outcome(outcome, tmp_path / "task.plada")
    record, arrays = read_outcome(path)
    assert record == json.loads(json.dumps(outcome.record))
    assert record["bytes"] == path.stat().st_size
    assert record["kept"] == 40
    assert record["policy"]["safety_net"] == {"alpha": "0", "share": "0.5"}
    assert (arrays["indices"] == outcome.selection.indices).all()
    assert arrays["kept_per_class"].sum() == arrays["plain_per_class"].sum() == 40
    assert arrays["quota_per_class"].sum() == 20
    assert arrays["pool_per_class"].sum() == 2000
    energy = table.columns("energy")["energy"]
    assert (arrays["scores"] == energy[arrays["indices"]]).all()
    assert arrays["histogram"].sum() == 2000
    assert arrays["histogram_kept"].sum() == 40
    assert arrays["histogram"] == pytest.approx(np.histogram(energy, arrays["histogram_edges"])[0], abs=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "table",
        "task.plada",
        "task.selection.json",
        "task.selection.safetensors",
    ]
    with pytest.raises(UserError, match="--force"):
        write_outcome(outcome, path, overwrite=False)
    record_paths(path)[0].unlink()
    with pytest.raises(UserError, match="plada select"):
        read_outcome(path)


def test_histogram_leaves_out_broken_rows(make_table: MakeTable) -> None:
    def edit(columns: dict[str, np.ndarray]) -> None:
        columns["status"][:50] = 132
        columns["energy"][:60] = np.nan

    outcome = select_payload(make_table(500, 3, edit=edit), Policy(), count=10)
    assert outcome.arrays["histogram"].sum() == 440


def test_equal_scores_everywhere(make_table: MakeTable) -> None:
    def edit(columns: dict[str, np.ndarray]) -> None:
        columns["energy"][:] = -1

    outcome = select_payload(make_table(100, 3, edit=edit), Policy(), count=10)
    assert outcome.selection.indices.tolist() == list(range(10))  # ties by index
    assert outcome.arrays["histogram"].sum() == 100


def test_wrong_class_names(make_table: MakeTable) -> None:
    with pytest.raises(UserError, match="2 class names for a table of 3"):
        select_payload(make_table(100, 3), Policy(), count=5, class_names=["a", "b"])
    with pytest.raises(PladaError):
        select_payload(make_table(100, 3, name="b"), Policy(), count=5, class_names=["a", "b", "c" * 5000])


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "half"),
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "imagenet"),
        ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "0/1"),
        ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711), None),
    ],
)
def test_normalisation_text(mean: tuple[float, ...], std: tuple[float, ...], text: str | None) -> None:
    written = normalisation_text(mean, std)
    assert text is None or written == text
    back = parse_normalisation(written)
    assert back[0] == pytest.approx(mean, rel=1e-5)
    assert back[1] == pytest.approx(std, rel=1e-5)


def test_metadata_can_be_added_and_removed() -> None:
    task = make_task(3)
    assert short_metadata(task, {"teacher": "", "task": "birds"}) == {"input": "128", "norm": "half", "task": "birds"}
    assert short_metadata({}) == {}


def test_same_bytes_with_and_without_numba(make_table: MakeTable, tmp_path: Path) -> None:
    table = make_table(4000, 6)
    code = (
        "import sys; sys.path.insert(0, sys.argv[3])\n"
        "from plada_select import *\n"
        "policy = Policy(safety_net=SafetyNet('-0.2', '0.7'))\n"
        "write_outcome(select_payload(ScoreTable.open(sys.argv[1]), policy, budget=900), sys.argv[2])"
    )
    files = []
    for name, more in {m: {"PLADA_ACCEL": m} for m in ("auto", "numpy", "python", "numba")}.items():
        target = tmp_path / f"{name}.plada"
        root = str(Path(__file__).parent.parent.parent)
        run = [sys.executable, "-c", code, str(table.folder), str(target), root]
        subprocess.run(run, check=True, env={**os.environ, **more})
        files.append(target.read_bytes())
    assert len(set(files)) == 1
    assert len(files[0]) <= 900


def test_full_disk_leaves_no_payload(make_table: MakeTable, tmp_path: Path) -> None:
    table = make_table(30_000, 4)
    code = (
        "import resource, signal, sys; sys.path.insert(0, sys.argv[3])\n"
        "from plada_select import *\n"
        "outcome = select_payload(ScoreTable.open(sys.argv[1]), Policy(), keep='100%')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_outcome(outcome, sys.argv[2])\n"
        "except OSError as error: sys.exit(error.errno)"
    )
    folder = tmp_path / "out"
    root = str(Path(__file__).parent.parent.parent)
    run = subprocess.run([sys.executable, "-c", code, str(table.folder), str(folder / "task.plada"), root], check=False)
    assert run.returncode == 27  # EFBIG
    assert list(folder.iterdir()) == []
