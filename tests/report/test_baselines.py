"""Baselines on real images: what they send, that it fits, and that they are what they say."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import plada_format as pf
from plada_format.errors import UserError
from plada_select import Policy, SafetyNet, select_payload
from plada_select.baselines import (
    IDS,
    BaselineResult,
    Contest,
    Target,
    TunedStudent,
    criterion_selection,
    full_pool,
    jpeg_images,
    k_center_order,
    linear_probe_int8,
    opposite_energy,
    pack_jpegs,
    quantise_rows,
    random_order,
    random_selection,
    run_baselines,
    small_probe_int8,
    student_int8,
    unpack_jpegs,
)
from plada_select.baselines.jpeg import to_jpeg
from plada_select.baselines.results import Point
from plada_select.baselines.search import smallest_reaching
from plada_select.baselines.weights import pack_head, quantised_module
from plada_train import Evaluation, Head, Recipe, Targets, evaluate_logits, train_head

DATA = Path(__file__).resolve().parents[1] / "data"


class Recorder:
    """A student that also keeps what it was given."""

    def __init__(self, student: Any) -> None:
        self.student, self.name, self.class_names, self.holds = student, "recorder", student.class_names, ()
        self.given: list[tuple[np.ndarray, np.ndarray]] = []

    def fit_pool(self, indices: np.ndarray, labels: np.ndarray, *, seed: int = 0) -> Evaluation:
        self.given.append((np.asarray(indices), np.asarray(labels)))
        return self.student.fit_pool(indices, labels, seed=seed)


def test_all_baselines_run_and_agree_with_their_bytes(world: Any) -> None:
    contest = world.contest(count=60)
    results = run_baselines(contest, teacher=0.5, test=world.test, jpeg_limit=60, progress=False)
    assert [row.id for row in results] == list(IDS)
    for row in results:
        again = BaselineResult.from_json(json.loads(json.dumps(row.to_json())))
        assert again == row
        assert row.fits == (None if row.bytes is None else row.bytes <= contest.budget), row
        if row.needed is not None and row.needed.reached:
            assert row.needed.accuracy >= contest.wanted
        if row.curve:
            assert [p.count for p in row.curve] == sorted({p.count for p in row.curve})
    found = {row.id: row for row in results}
    assert found["payload"].bytes == len(contest.payload) and len(found["payload"].accuracies) == 2
    assert found["full_pool"].count == 299  # one image could not be decoded
    assert found["probe_int8"].bytes < world.pool_features.shape[1] * 10 + 200
    assert found["student_int8"].bytes > 50 * contest.budget
    assert found["teacher"].accuracy == 0.5 and math.isnan(BaselineResult("x", "x", ()).accuracy)
    assert found["small_probe"].fits and found["small_probe"].count >= 1


def test_payload_accuracy_is_that_of_a_head_trained_by_hand(world: Any) -> None:
    contest = world.contest(seeds=(3,))
    payload = pf.decode(contest.payload)
    head = train_head(
        world.pool_features[payload.indices],
        Targets(payload.labels.astype(np.int64), 10),
        recipe=Recipe(epochs=12, lr=3e-3, weight_decay=0.1, batch_size=32, seed=3, keep="last", amp="off"),
    )
    wanted = evaluate_logits(head.logits(world.test_features), world.test.labels, world.task.class_names)
    assert contest.payload_result.accuracies == (wanted.accuracy,)
    assert contest.payload_result.per_class == tuple(wanted.per_class.tolist())


def test_random_draws_differ_and_have_the_count_and_the_teacher_labels(world: Any) -> None:
    student = Recorder(world.student())
    contest = world.contest(student=student, draws=4)
    row = random_selection(contest, search=False)
    labels = world.table.columns("label")["label"]
    assert len(student.given) == len(row.accuracies) == 4
    assert len({indices.tobytes() for indices, _ in student.given}) == 4
    sizes = []
    for indices, given_labels in student.given:
        assert len(indices) == contest.count == len(np.unique(indices)) and 2 not in indices  # 2 is undecodable
        assert np.array_equal(given_labels, labels[indices])
        sizes.append(contest.size_of(indices, given_labels))
    assert row.bytes == math.ceil(np.mean(sizes))


def test_random_with_quotas_has_the_payloads_class_counts(world: Any) -> None:
    student = Recorder(world.student())
    contest = world.contest(Policy(), student=student)
    random_selection(contest, quotas=True, search=False)
    wanted = contest.sent.class_counts()
    for _, labels in student.given:
        assert np.array_equal(np.bincount(labels, minlength=10), wanted)


@pytest.mark.parametrize("criterion", ["entropy", "margin"])
def test_another_criterion_is_what_select_would_send(world: Any, criterion: str) -> None:
    net = SafetyNet("0", "1")
    contest = world.contest(Policy(safety_net=net))
    wanted = select_payload(world.table, Policy(criterion, safety_net=net), count=contest.count)
    row = criterion_selection(contest, criterion, search=False)
    assert row.id == criterion and row.bytes == len(wanted.data)


def test_opposite_energy_keeps_the_other_end(world: Any) -> None:
    student = Recorder(world.student())
    contest = world.contest(Policy(), student=student, seeds=(0,))
    row = opposite_energy(contest, search=False)
    energy = world.table.columns("energy")["energy"].copy()
    energy[2] = -np.inf
    assert row.id == "opposite" and set(student.given[0][0].tolist()) == set(np.argsort(-energy)[:40].tolist())
    plain = full_pool(contest)
    assert plain.count == 299 and len(student.given[1][0]) == 299


def test_search_goes_on_until_the_payloads_accuracy(world: Any) -> None:
    contest = world.contest(count=20, payload_accuracies=(0.0,))
    row = random_selection(contest)
    assert row.needed is not None and row.needed.reached and row.needed.count <= 20
    hopeless = world.contest(count=20, payload_accuracies=(1.0,))
    row = random_selection(hopeless)
    assert row.needed is not None and not row.needed.reached and row.needed.count == 299


@settings(max_examples=60)
@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 5000))
def test_search_finds_the_step_of_a_monotone_curve(step: int, start: int, limit: int) -> None:
    tried: list[int] = []

    def measure(count: int) -> Point:
        tried.append(count)
        return Point(10 * count, count, float(count >= step))

    need, curve = smallest_reaching(measure, 0.5, start, limit, precision=0.0)
    assert len(tried) == len(set(tried)) == len(curve) and max(tried) <= limit
    assert need.reached == (step <= limit)
    if need.reached and step > min(start, limit):
        assert need.count == step and need.bytes == 10 * step
    if not need.reached:
        assert need.count == limit


@settings(max_examples=60)
@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 9)), elements=st.floats(-60, 60, width=32)))
def test_quantised_rows_are_within_half_a_step(matrix: np.ndarray) -> None:
    packed = quantise_rows(matrix)
    step = packed.scales.astype(np.float64)[:, None]
    # float16 scales round: the largest value may be a little beyond 127 steps
    slack = 127 * step * 2.0**-11 + 127 * 2.0**-24
    assert (np.abs(packed.dequantise() - matrix) <= 0.5 * step + slack + 1e-7).all()
    assert packed.values.dtype == np.int8 and np.abs(packed.values.astype(int)).max() <= 127


@pytest.mark.parametrize("hidden", [None, 16])
def test_packed_head_decides_as_the_head(world: Any, hidden: int | None) -> None:
    student = world.student(hidden=hidden)
    head = student.train(world.target.features, world.target.labels, None, 0)
    scaled = Head(tuple((1e4 * w, 1e4 * b) for w, b in head.layers))  # beyond float16 as it is
    for given_head in (head, scaled):
        size, layers = pack_head(given_head, b"names")
        values = world.test_features
        for number, (weight, bias) in enumerate(layers):
            values = (np.maximum(values, 0) if number else values) @ weight.T + bias
        same = (values.argmax(1) == head.logits(world.test_features).argmax(1)).mean()
        assert same > 0.9
        assert size < sum(w.size + 4 * len(b) for w, b in head.layers) + 100
    assert hidden is not None or linear_probe_int8(world.contest(student=student)).bytes > 1000


def test_small_probe_fits_and_more_bytes_allow_more_components(world: Any) -> None:
    small, large = (small_probe_int8(world.contest(count=count), search=False) for count in (20, 200))
    for row, contest in ((small, world.contest(count=20)), (large, world.contest(count=200))):
        assert row.fits and row.bytes <= contest.budget
    assert small.count < large.count


def test_quantised_network_is_close_and_a_quarter_of_float32(world: Any) -> None:
    import torch

    from plada_train import attach_head

    head = world.student().train(world.target.features, world.target.labels, None, 0)
    module = attach_head(world.backbone, head).module
    size, received = quantised_module(module)
    parameters = sum(p.numel() for p in module.parameters())
    assert 0.4 * parameters < size < 1.3 * parameters
    images = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before, after = module(images), received(images)
    assert not torch.equal(before, after)
    assert (before - after).abs().max() < 0.1 * before.abs().max()


def test_student_weights_need_no_backbone_at_the_receiver(world: Any) -> None:
    row = student_int8(world.contest(), world.test)
    assert row.holds == () and "backbone and classifier" in row.counted and row.needed is not None


def test_fine_tuned_student(world: Any) -> None:
    student = TunedStudent(
        "test_efficientnet", "none", pool=world.pool, test=world.test, mode="scratch", input_size=64, device="cpu",
        recipe=Recipe(epochs=1, batch_size=32),
    )  # fmt: skip
    contest = world.contest(student=student, seeds=(0,), draws=1)
    rows = run_baselines(contest, which=["payload", "random", "student_int8"], test=world.test, search=False,
                         progress=False)  # fmt: skip
    assert [row.id for row in rows] == ["payload", "random", "student_int8"]
    assert all(0 <= row.accuracy <= 1 for row in rows) and "the whole network" in rows[2].counted


def test_jpegs_fill_the_bytes(world: Any) -> None:
    contest = world.contest(count=250, payload_accuracies=(0.9,))
    for selection in ("random", "kcenter"):
        row = jpeg_images(contest, selection, search=False)
        assert row.fits and row.bytes <= contest.budget and row.count >= 1 and row.accuracies


def test_search_over_jpegs_computes_no_padding_in_vain(world: Any) -> None:
    """Full batches only, and every image once: 2 orders to 64 images, 3 more draws to what filled the first batch."""
    from plada_select.demo.passes import PassCounter

    contest = world.contest(count=250, payload_accuracies=(1.1,), draws=5)
    with PassCounter() as counter:
        row = jpeg_images(contest, "random", limit=64)
    assert row.needed is not None and not row.needed.reached and row.needed.count == 64
    tried = 2 * 64 + 3 * max(64 // 5, row.count or 0)
    assert tried <= counter.count <= -(-tried // 64) * 64 + 64


def test_not_one_jpeg_fits(world: Any) -> None:
    contest = world.contest(count=10)
    big = Contest(contest.student, contest.table, contest.policy, contest.payload, target=_large_target(world))
    row = jpeg_images(big, "random", search=False)
    assert not row.fits and row.count == 1 and row.accuracies == () and row.bytes > big.budget


def _large_target(world: Any) -> Any:
    from PIL import Image

    from plada_select.baselines.jpeg import EncodedImages
    from plada_train.sources import LabelledImages

    noise = np.random.default_rng(0).integers(0, 256, (10, 120, 120, 3), dtype=np.uint8)
    files = []
    for pixels in noise:
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        files.append(out.getvalue())
    labels = np.arange(10)
    return Target(LabelledImages(EncodedImages(files), labels, world.task.class_names), None, labels)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 139), max_size=12), st.sampled_from([10, 300]), st.sampled_from([5, 30, 90]))
def test_packed_jpegs_come_back(places: list[int], classes: int, quality: int) -> None:
    files = [_jpeg(place, quality) for place in places]
    labels = [place % classes for place in places]
    packed = pack_jpegs(files, labels, classes, quality=quality, extra=b"a\nb")
    assert unpack_jpegs(packed, classes, quality=quality) == (files, labels, b"a\nb")


def _jpeg(place: int, quality: int) -> bytes:
    from plada_train import open_source

    global _SOURCE
    _SOURCE = _SOURCE or open_source(str(DATA / "cifar10_ci.npz"))
    found = to_jpeg(_SOURCE.read(place), quality)
    assert found is not None
    return found


_SOURCE: Any = None


def test_the_header_of_a_jpeg_costs_next_to_nothing() -> None:
    file = _jpeg(0, 30)
    scan = len(file) - file.index(b"\xff\xda")
    assert len(pack_jpegs([file], [0], 10)) < scan + 40 < len(file) - 400


@settings(max_examples=40)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(0, 5))
def test_orders_are_balanced_permutations(labels: list[int], seed: int) -> None:
    truth = np.array(labels, np.int64)
    features = np.random.default_rng(seed).normal(size=(len(labels), 3)).astype(np.float32)
    for order in (random_order(truth, 5, seed), k_center_order(features, truth, 5)):
        assert sorted(order.tolist()) == list(range(len(labels)))
        totals = np.bincount(truth, minlength=5)
        for count in range(1, len(labels) + 1):
            seen = np.bincount(truth[order[:count]], minlength=5)
            open_classes = seen < totals
            if open_classes.any():  # no class is two ahead of one that still has images
                assert seen.max() - seen[open_classes].min() <= 1


def test_k_center_takes_the_middle_then_the_farthest() -> None:
    points = np.array([[0.0], [1.0], [2.0], [9.0], [-7.0], [5.0]], np.float32)
    order = k_center_order(points, np.zeros(6, np.int64), 1)
    # mean 1.67: 2 is nearest; then -7 (9 away), 9 (7 away), 5 (3 from 2, 4 from 9), 0 (2 from 2), 1
    assert points[order, 0].tolist() == [2, -7, 9, 5, 0, 1]


def test_what_is_missing_is_said(world: Any) -> None:
    contest = world.contest(target=None)
    able = {row.id for row in run_baselines(contest, search=False, progress=False)}
    assert able == {"payload", "random", "random_quota", "plain", "entropy", "opposite", "full_pool"}
    for which, message in (
        ("probe_int8", "target's features"),
        ("jpeg_random", "target's images"),
        ("teacher", "its evaluation"),
        ("student_int8", "the test images"),
        ("nonsense", "no baseline 'nonsense'"),
    ):
        with pytest.raises(UserError, match=message):
            run_baselines(contest, which=[which], progress=False)
    bare = world.contest(student=world.student(backbone=None))
    with pytest.raises(UserError, match="no backbone"):
        run_baselines(bare, which=["jpeg_random"], progress=False)
    other = select_payload(world.table, Policy(), count=5).data
    with pytest.raises(UserError, match="at least one seed"):
        Contest(world.student(), world.table, Policy(), other, seeds=())
    foreign = pf.encode([1], [0], pool_size=7, num_classes=2)
    with pytest.raises(UserError, match="pool of 7 and 2"):
        Contest(world.student(), world.table, Policy(), foreign)
