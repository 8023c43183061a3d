"""Whole runs on real images: what they reach, that they resume to the same bits, what they leave on disk."""

from __future__ import annotations

import json

import pytest
import torch
from distill_setup import NET, settings

from plada_distill import (
    Images,
    LocalSource,
    NetSpec,
    Score,
    SyntheticSet,
    TrainRecipe,
    distil,
    first_images,
    load_synthetic,
    random_subset,
    save_synthetic,
    score_set,
)
from plada_distill.data import denormalise, normalise
from plada_distill.loop import Outcome
from plada_distill.state import STATE_NAME
from plada_format.errors import UserError


def _start(plan, images) -> Images:
    return first_images(plan, images.class_names, images.channels, images.size, images)


def _run(plan, images, **options) -> Outcome:
    return distil(plan, LocalSource(images), _start(plan, images), **options)


class _Killed(Exception):
    pass


class _Dying(LocalSource):
    """Dies at the n-th question."""

    def __init__(self, images, questions):
        super().__init__(images)
        self.left = questions

    def gradients(self, network, request):
        self.left -= 1
        if self.left < 0:
            raise _Killed
        return super().gradients(network, request)


@pytest.mark.parametrize("pooled", [False, True])
def test_a_killed_run_ends_in_the_same_images(tmp_path, train_images, pooled):
    plan = settings(pooled=pooled)
    whole = _run(plan, train_images, folder=tmp_path / "whole")
    first = _start(plan, train_images)
    for questions in (3, 1, 2):  # dies in the middle of an iteration, at its start, at its end
        with pytest.raises(_Killed):
            distil(plan, _Dying(train_images, questions), first, folder=tmp_path / "killed")
    resumed = _run(plan, train_images, folder=tmp_path / "killed")
    assert torch.equal(whole.synthetic.images.pixels, resumed.synthetic.images.pixels)
    assert [entry["loss"] for entry in whole.history] == [entry["loss"] for entry in resumed.history]
    one, two = (load_synthetic(tmp_path / name).images.pixels for name in ("whole", "killed"))
    assert torch.equal(one, two) and not torch.equal(one, first.pixels)
    for picture in (tmp_path / "whole" / "pictures").iterdir():
        assert picture.read_bytes() == (tmp_path / "killed" / "pictures" / picture.name).read_bytes()


def test_saving_less_often_changes_nothing(tmp_path, train_images):
    plan = settings()
    dense = _run(plan, train_images, folder=tmp_path / "dense")
    sparse = _run(plan, train_images, folder=tmp_path / "sparse", save_every=2)
    assert torch.equal(dense.synthetic.images.pixels, sparse.synthetic.images.pixels)


def test_a_run_may_be_prolonged(tmp_path, train_images):
    short, long = settings(iterations=1), settings(iterations=3)
    _run(short, train_images, folder=tmp_path)
    prolonged = _run(long, train_images, folder=tmp_path)
    assert torch.equal(prolonged.synthetic.images.pixels, _run(long, train_images).synthetic.images.pixels)
    with pytest.raises(UserError, match="3 iterations already"):
        _run(short, train_images, folder=tmp_path)


def test_another_runs_folder_is_refused(tmp_path, train_images):
    _run(settings(), train_images, folder=tmp_path)
    with pytest.raises(UserError, match="other data or settings"):
        _run(settings(image_lr=0.2), train_images, folder=tmp_path)
    with pytest.raises(UserError, match="other data or settings"):
        _run(settings(), train_images.subset(range(100)), folder=tmp_path)
    data = (tmp_path / STATE_NAME).read_bytes()
    (tmp_path / STATE_NAME).write_bytes(data[:50])
    with pytest.raises(UserError, match="damaged"):
        _run(settings(), train_images, folder=tmp_path)


def test_seeds_differ_and_the_same_seed_does_not(train_images):
    one, again, other = (_run(settings(seed=seed), train_images).synthetic.images.pixels for seed in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_distilled_images_teach_more_than_they_did_before(train_images, test_images):
    """From noise: the gradients come closer, and a network learns the task from one image per class."""
    plan = settings(iterations=40, outer_steps=1, real_batch=16, network=NetSpec(12, 2), image_lr=0.5, augment=())
    before = _start(plan, train_images)
    outcome = _run(plan, train_images)
    losses = [entry["loss"] for entry in outcome.history]
    assert sum(losses[-10:]) < 0.97 * sum(losses[:10])
    recipe = TrainRecipe(epochs=40, augment=())
    after = score_set(outcome.synthetic.images, test_images, plan.network, recipe, range(3))
    noise = score_set(before, test_images, plan.network, recipe, range(3))
    assert after.mean > noise.mean + 0.04 and after.mean > 0.15, (after, noise)


def test_first_images(train_images):
    real = first_images(settings(init="real", images_per_class=2), train_images.class_names, 3, 16, train_images)
    assert real.labels.tolist() == [label for label in range(10) for _ in range(2)]
    for pixels, label in zip(real.pixels, real.labels):
        same = (train_images.pixels == pixels).flatten(1).all(1)
        assert int(label) in train_images.labels[same].tolist()
    pool = Images(train_images.pixels, torch.zeros(560, dtype=torch.int64), ("pool",))
    public = first_images(settings(init="pool"), train_images.class_names, 3, 16, pool)
    assert public.labels.tolist() == list(range(10))
    assert all(bool((pool.pixels == pixels).flatten(1).all(1).any()) for pixels in public.pixels)
    with pytest.raises(UserError, match="560 images to start from"):
        first_images(settings(init="pool", images_per_class=57), train_images.class_names, 3, 16, pool)
    with pytest.raises(UserError, match="needs images"):
        first_images(settings(init="real"), train_images.class_names, 3, 16)
    with pytest.raises(UserError, match="shape"):
        first_images(settings(init="pool"), train_images.class_names, 3, 32, pool)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_sets_survive_the_disk(tmp_path, train_images, dtype):
    chosen = random_subset(train_images, 2, seed=1)
    strange = Images(chosen.pixels * 1.7, chosen.labels, chosen.class_names)  # beyond what a picture can show
    save_synthetic(tmp_path, SyntheticSet(strange, {"note": "ä"}), dtype=dtype)
    back = load_synthetic(tmp_path)
    assert back.facts == {"note": "ä"} and back.images.class_names == strange.class_names and back.per_class == 2
    expected = strange.pixels if dtype == "float32" else normalise(denormalise(strange.pixels))
    assert torch.equal(back.images.pixels, expected) and torch.equal(back.images.labels, strange.labels)
    assert torch.equal(SyntheticSet(strange).as_pictures().images.pixels, normalise(denormalise(strange.pixels)))
    facts = json.loads((tmp_path / "synthetic.json").read_text())
    assert facts["shape"] == [20, 3, 16, 16] and facts["dtype"] == dtype


def test_damaged_sets_are_refused(tmp_path, train_images):
    path = save_synthetic(tmp_path, SyntheticSet(random_subset(train_images, 1, seed=0)))
    whole = path.read_bytes()
    for data in (whole[:100], b"", whole[:8] + b"x" + whole[9:]):
        path.write_bytes(data)
        with pytest.raises(UserError):
            load_synthetic(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        load_synthetic(tmp_path / "nothing")
    with pytest.raises(UserError, match="float32 or uint8"):
        save_synthetic(tmp_path, SyntheticSet(train_images), dtype="int4")


def test_pictures_of_real_images_are_exact(train_images):
    assert torch.equal(normalise(denormalise(train_images.pixels)), train_images.pixels)


def test_scores(train_images, test_images):
    score = Score((0.2, 0.4))
    assert score.mean == pytest.approx(0.3) and score.std == pytest.approx(0.1414213562)
    with pytest.raises(UserError, match="differ"):
        score_set(train_images, Images(test_images.pixels[:, :, :8, :8], test_images.labels, test_images.class_names),
                  NET, TrainRecipe(epochs=1), [0])  # fmt: skip
    with pytest.raises(UserError, match="at least one seed"):
        score_set(train_images, test_images, NET, TrainRecipe(epochs=1), [])
    with pytest.raises(UserError, match="diverged"):
        score_set(train_images, test_images, NET, TrainRecipe(epochs=3, lr=1e9), [0])
    with pytest.raises(UserError, match="57 are needed"):
        random_subset(train_images, 57, seed=0)
