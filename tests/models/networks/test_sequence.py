import pytest
import torch

from pipeline.contents.base import DataSpec
from pipeline.models import networks

LENGTHS = [8, 9, 31, 64, 100]
LATENT = 5
KINDS = ["encoder", "decoder", "critic"]


def spec_of(length, vocab_size=11):
    return DataSpec((length,), "sequence", vocab_size=vocab_size)


def build(kind, spec, blocks=1):
    torch.manual_seed(0)
    made = getattr(networks, kind)
    return made(spec, 8, blocks) if kind == "critic" else made(spec, LATENT, 8, blocks)


def inputs(kind, spec, n):
    rng = torch.Generator().manual_seed(0)
    return torch.randn(n, *((LATENT,) if kind == "decoder" else spec.x_shape), generator=rng)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", LENGTHS)
def test_a_network_gives_the_right_shape_for_every_length(kind, length):
    spec = spec_of(length)
    expected = {"encoder": (3, LATENT), "decoder": (3, *spec.x_shape), "critic": (3, 1)}[kind]
    assert build(kind, spec)(inputs(kind, spec, 3)).shape == expected


def test_a_numeric_sequence_is_taken_as_it_is():
    spec = DataSpec((2, 50), "sequence")
    assert build("encoder", spec)(torch.zeros(3, 2, 50)).shape == (3, LATENT)
    assert build("decoder", spec)(torch.zeros(3, LATENT)).shape == (3, 2, 50)


def test_a_decoder_has_as_many_channels_as_are_asked_for():
    assert networks.decoder(spec_of(20), LATENT, 8, 1, 24)(torch.zeros(2, LATENT)).shape == (2, 24, 20)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_without_residual_blocks_can_be_built(kind):
    spec = spec_of(20)
    assert torch.isfinite(build(kind, spec, blocks=0)(inputs(kind, spec, 2))).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_item_gives_does_not_depend_on_the_others_of_its_batch(kind):
    spec = spec_of(20)
    network, x = build(kind, spec), inputs(kind, spec, 4)
    torch.testing.assert_close(network(x)[:1], network(x[:1]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", LENGTHS)
def test_every_weight_takes_part(kind, length):
    spec = spec_of(length)
    network = build(kind, spec)
    network(inputs(kind, spec, 4)).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in network.parameters())


@pytest.mark.parametrize("kind", ["encoder", "critic"])
def test_a_token_among_many_moves_a_network_at_its_start_as_much_as_one_among_few(kind):
    def moves(vocab_size):
        spec = spec_of(32, vocab_size)
        tokens = torch.randint(vocab_size, (64, 32), generator=torch.Generator().manual_seed(0))
        return build(kind, spec)(spec.scale(tokens)).std(0).mean().item()

    assert moves(5000) > 0.5 * moves(10)


def test_each_part_of_a_latent_says_most_of_its_own_place_and_follows_most_from_it():
    spec, each = spec_of(64), 16
    torch.manual_seed(0)
    decoder, encoder = networks.decoder(spec, 8 * each, 16, 1), networks.encoder(spec, 8 * each, 16, 1)
    x = spec.scale(torch.randint(11, (1, 64), generator=torch.Generator().manual_seed(0)))
    z = torch.randn(1, 8 * each, generator=torch.Generator().manual_seed(0))
    for place in range(8):
        here = torch.where(torch.eye(8)[place].repeat(1, each) > 0, -z, z)
        said = (decoder(here) - decoder(z)).square().sum(1)[0]
        assert near(said.view(8, 8).sum(1), place)
        other = x.clone()
        other[..., 8 * place : 8 * place + 8] = x[..., 8 * place : 8 * place + 8].roll(1, 1)
        change = (encoder(other) - encoder(x)).square()[0].view(each, 8).sum(0)
        assert near(change, place)


def near(change, place):
    """Say whether most of a change lies within two places of one."""
    return change[max(0, place - 2) : place + 3].sum() > 0.7 * change.sum()


def test_a_critic_of_numbers_is_bounded_in_its_slopes():
    spec = DataSpec((2, 32), "sequence")
    network = build("critic", spec)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(100)
    a, b = torch.rand(2, 200, 2, 32, generator=torch.Generator().manual_seed(0))
    network.train()
    for _ in range(20):
        network(a)
    network.eval()
    slopes = (network(a) - network(b)).abs()[:, 0] / (a - b).flatten(1).norm(dim=1)
    assert slopes.max() < 10
