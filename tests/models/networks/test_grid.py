import copy
from itertools import pairwise

import pytest
import torch

from pipeline.contents.base import DataSpec
from pipeline.models.networks.blocks import sides
from pipeline.models.networks.grid import Critic, Decoder, Encoder, Patches

SIZES = [16, 28, 31, 33, 64, 128]
LATENT = 5


def spec_of(size, channels=1):
    return DataSpec((channels, size, size), "grid")


def build(kind, spec, width=8, blocks=1, patch=4):
    torch.manual_seed(0)
    sizes = {"width": width, "blocks": blocks, "patch": patch}
    return kind(spec, **sizes) if kind is Critic else kind(spec, LATENT, **sizes)


def inputs(kind, spec, n):
    rng = torch.Generator().manual_seed(0)
    return (
        torch.randn(n, LATENT, generator=rng) if kind is Decoder else torch.rand(n, *spec.shape, generator=rng) * 2 - 1
    )


def output_shape(kind, spec, n):
    return {Encoder: (n, LATENT), Decoder: (n, *spec.shape), Critic: (n, 1)}[kind]


@pytest.mark.parametrize("kind", [Encoder, Decoder, Critic])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_a_network_gives_the_right_shape_for_every_size(kind, size, channels):
    spec = spec_of(size, channels)
    for patch in (2, 4):
        found = build(kind, spec, patch=patch)(inputs(kind, spec, 2))
        assert found.shape == output_shape(kind, spec, 2)
        assert torch.isfinite(found).all()


@pytest.mark.parametrize("kind", [Encoder, Decoder, Critic])
@pytest.mark.parametrize("width", [8, 24, 40, 56, 72, 88])
def test_every_width_that_the_parameters_allow_can_be_built(kind, width):
    spec = spec_of(28)
    assert build(kind, spec, width)(inputs(kind, spec, 1)).shape == output_shape(kind, spec, 1)


@pytest.mark.parametrize("kind", [Encoder, Decoder, Critic])
def test_a_network_without_residual_blocks_can_be_built(kind):
    spec = spec_of(16)
    assert build(kind, spec, blocks=0)(inputs(kind, spec, 3)).shape == output_shape(kind, spec, 3)


@pytest.mark.parametrize("kind", [Encoder, Decoder, Critic])
@pytest.mark.parametrize("training", [True, False])
def test_what_an_item_gives_does_not_depend_on_the_others_of_its_batch(kind, training):
    spec = spec_of(28)
    network, x = build(kind, spec).train(training), inputs(kind, spec, 6)
    with torch.no_grad():
        alone, together = copy.deepcopy(network)(x[:1]), copy.deepcopy(network)(torch.cat([x[:1], 10 * x[1:]]))
    torch.testing.assert_close(alone, together[:1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", [Encoder, Decoder, Critic])
@pytest.mark.parametrize("size", [16, 31, 64])
def test_every_weight_takes_part(kind, size):
    spec = spec_of(size)
    network = build(kind, spec)
    network(inputs(kind, spec, 4)).square().sum().backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()] == []


@pytest.mark.parametrize("size", range(16, 257, 5))
def test_sides_are_halved_until_eight_whatever_the_size(size):
    for patch in (2, 4):
        found = sides(size, patch)
        assert found[0] * patch >= size
        assert found[-1] <= 8
        assert all(-(-a // 2) == b for a, b in pairwise(found))


def test_patches_lose_no_pixel_where_the_side_is_no_multiple():
    x = torch.arange(25.0).view(1, 1, 5, 5)
    found = Patches(4)(x)
    assert found.shape == (1, 16, 2, 2)
    assert set(found.flatten().tolist()) == set(range(25))


def test_each_layer_of_the_critic_stretches_no_more_than_one():
    spec = spec_of(16)
    critic = build(Critic, spec)
    for _ in range(50):
        critic(inputs(Critic, spec, 2))
    matrices = [each.weight.flatten(1) for each in critic.modules() if hasattr(each, "parametrizations")]
    assert len(matrices) == 4
    for matrix in matrices:
        assert torch.linalg.matrix_norm(matrix, 2).item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("kind", [Encoder, Decoder, Critic])
@pytest.mark.parametrize("size", [28, 64])
def test_what_a_convolution_is_given_lies_channels_last(kind, size):
    spec = spec_of(size, 3)
    network, seen = build(kind, spec), []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network(inputs(kind, spec, 2))
    assert seen
    assert all(h.is_contiguous(memory_format=torch.channels_last) for h in seen)
