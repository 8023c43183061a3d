"""Network, distance, augmentation, and the derivative that everything rests on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from distill_setup import NET, settings
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from plada_distill import GradientRequest, Gradients, NetSpec, Settings, loops_for, make_network
from plada_distill.augment import augment
from plada_distill.convnet import load_parameters, parameters_of
from plada_distill.distance import distance
from plada_distill.gradients import gradient_of
from plada_distill.matching import image_gradient
from plada_distill.settings import AUGMENTS
from plada_format.errors import UserError


def test_published_loops():
    assert [loops_for(count) for count in (1, 10, 20, 30, 40, 50)] == [
        (1, 1), (10, 50), (20, 25), (30, 20), (40, 15), (50, 10)
    ]  # fmt: skip
    assert loops_for(8) == loops_for(10) and loops_for(2) == loops_for(1) and loops_for(500) == loops_for(50)
    assert Settings(images_per_class=20).steps == 20
    with pytest.raises(UserError):
        loops_for(0)


def test_the_published_network_has_its_published_size():
    network = make_network(NetSpec(), 3, 32, 10, seed=0)
    assert sum(part.numel() for part in parameters_of(network)) == 320_010


@pytest.mark.parametrize("norm", ["instance", "group", "none"])
def test_no_network_looks_at_its_batch(norm):
    network = make_network(NetSpec(16, 2, norm), 3, 16, 5, seed=3)
    images = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    alone = torch.cat([network(image.unsqueeze(0)) for image in images])
    torch.testing.assert_close(network(images), alone, rtol=1e-4, atol=1e-5)


def test_networks_come_from_their_seed_alone():
    torch.manual_seed(5)
    one = make_network(NET, 3, 16, 10, seed=1)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after)  # torch's own state was left alone
    two, three = (make_network(NET, 3, 16, 10, seed=seed) for seed in (1, 2))
    assert all(torch.equal(a, b) for a, b in zip(parameters_of(one), parameters_of(two)))
    assert not torch.equal(parameters_of(one)[0], parameters_of(three)[0])
    load_parameters(one, parameters_of(three))
    assert torch.equal(parameters_of(one)[0], parameters_of(three)[0])
    with pytest.raises(UserError, match="another network"):
        load_parameters(one, parameters_of(three)[1:])


def _gradients(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in ((4, 3, 3, 3), (4,), (5, 16), (5,))]


def test_layerwise_distance_is_what_it_says():
    one, two = _gradients(1), _gradients(2)
    expected = 0.0
    for a, b in zip(one, two):
        if a.ndim == 1:
            continue
        for row_a, row_b in zip(a.reshape(len(a), -1).double().numpy(), b.reshape(len(b), -1).double().numpy()):
            expected += 1 - row_a @ row_b / (np.linalg.norm(row_a) * np.linalg.norm(row_b) + 1e-6)
    assert float(distance("layerwise_cos", one, two)) == pytest.approx(expected, rel=1e-5)


@given(st.integers(0, 1000), st.floats(0.1, 100))
def test_layerwise_distance_ignores_scale_and_biases(seed, factor):
    one, two = _gradients(seed), _gradients(seed + 1)
    scaled = [part * factor if part.ndim > 1 else part + factor for part in two]
    first, second = distance("layerwise_cos", one, two), distance("layerwise_cos", one, scaled)
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-3)
    assert 0 <= float(first) <= 2 * (4 + 5)
    assert float(distance("layerwise_cos", one, one)) == pytest.approx(0, abs=1e-4)


def test_other_distances():
    one, two = _gradients(1), _gradients(2)
    flat = [torch.cat([part.reshape(-1) for part in gradient]).double() for gradient in (one, two)]
    assert float(distance("mse", one, two)) == pytest.approx(float((flat[0] - flat[1]).square().sum()), rel=1e-5)
    cosine = float(torch.nn.functional.cosine_similarity(flat[0], flat[1], dim=0))
    assert float(distance("cos", one, two)) == pytest.approx(1 - cosine, rel=1e-4)
    with pytest.raises(UserError, match="unknown distance"):
        distance("l3", one, two)
    with pytest.raises(UserError, match="different networks"):
        distance("cos", one, two[1:])


@pytest.mark.parametrize("name", AUGMENTS)
def test_siamese_batches_get_one_transformation(name):
    """What an image becomes depends on the seed alone, so that server and client agree without talking."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(5, 3, 16, 16, generator=generator)
    changed = False
    for seed in range(6):
        together = augment(images, (name,), seed, siamese=True)
        assert together.shape == images.shape
        for place in range(5):
            alone = augment(images[place : place + 1], (name,), seed, siamese=True)
            torch.testing.assert_close(alone, together[place : place + 1], rtol=1e-5, atol=1e-5)
        changed |= not torch.equal(together, images)
    assert changed
    single = augment(images[:1].expand(8, -1, -1, -1), (name,), 1, siamese=False)
    assert len({tuple(image.reshape(-1).tolist()) for image in single}) > 1  # each image its own strength


@pytest.mark.parametrize("name", AUGMENTS)
@pytest.mark.parametrize("siamese", [True, False])
def test_augmentation_has_the_right_derivative(name, siamese):
    images = torch.randn(2, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    images.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: augment(x, (name,), 4, siamese=siamese), (images,))


def test_no_augmentation_changes_nothing():
    images = torch.randn(2, 3, 8, 8)
    assert augment(images, (), 1, siamese=True) is images
    with pytest.raises(UserError, match="unknown blur"):
        augment(images, ("blur",), 1, siamese=True)


@pytest.mark.parametrize("transformations", [(), ("color", "scale")])
def test_the_gradient_by_the_images_is_the_derivative_of_the_distance(transformations):
    plan = settings(augment=transformations, network=NetSpec(4, 1))
    network = make_network(plan.network, 1, 6, 3, seed=1).double()
    # Rectifiers bend and would spoil finite differences.
    network = nn.Sequential(*(nn.Tanh() if isinstance(part, nn.ReLU) else part for part in network))
    generator = torch.Generator().manual_seed(7)
    images = torch.randn(3, 1, 6, 6, dtype=torch.float64, generator=generator)
    labels = torch.arange(3)
    request = GradientRequest(0, 0, 0, 8, augment=transformations)
    real = {label: gradient_of(network, torch.randn(4, 1, 6, 6, dtype=torch.float64, generator=generator),
                               torch.full((4,), label)) for label in (0, 2)}  # fmt: skip
    target = Gradients(real, {0: 4, 2: 4})

    def total(pixels: torch.Tensor) -> float:
        return 2 * image_gradient(network, pixels, labels, target, plan, request)[1]

    found, _ = image_gradient(network, images, labels, target, plan, request)
    assert torch.equal(found[1], torch.zeros_like(found[1]))  # nobody answered for class 1
    for place in ((0, 0, 2, 3), (2, 0, 5, 0), (0, 0, 0, 0)):
        step = torch.zeros_like(images)
        step[place] = 1e-6
        slope = (total(images + step) - total(images - step)) / 2e-6
        assert float(found[place]) == pytest.approx(slope, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize(
    "changes",
    [
        {"images_per_class": 0}, {"iterations": 0}, {"image_lr": 0}, {"image_momentum": 1.0}, {"init": "zeros"},
        {"distance": "l2"}, {"augment": ("blur",)}, {"inner_epochs": -1}, {"real_batch": 0},
    ],
)  # fmt: skip
def test_bad_settings_are_refused(changes):
    with pytest.raises(UserError):
        settings(**changes)


@pytest.mark.parametrize("changes", [{"width": 0}, {"depth": 9}, {"norm": "batch"}, {"width": 12, "norm": "group"}])
def test_bad_networks_are_refused(changes):
    with pytest.raises(UserError):
        NetSpec(**changes)


def test_settings_survive_json():
    plan = settings(augment=("flip",), pooled=True)
    assert Settings.from_json(plan.to_json()) == plan
    with pytest.raises(UserError, match="unknown colour"):
        Settings.from_json({**plan.to_json(), "colour": 1})


def test_images_too_small_for_the_network():
    with pytest.raises(UserError, match="too small"):
        make_network(NetSpec(8, 5), 3, 16, 10, seed=0)
