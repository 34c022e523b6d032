import copy

import pytest
import torch
from smallest import batch

from pipeline.system.rng import Noise, torch_rng

GOLDEN = {
    "toy": {
        "critic": [1.80132, 1.70527, 1.73637, 1.63632, 1.57141],
        "generator": [-0.100055, -0.116769, -0.19442, -0.12389, -0.154213],
    },
    "words": {
        "critic": [0.754645, 0.777154, 0.750185, 0.725455, 0.721282],
        "generator": [0.697587, 0.693193, 0.699191, 0.703045, 0.69168],
    },
}


def test_the_step_of_a_player_does_not_change_the_other(toy):
    gan = toy.family("gan")
    for player, other in (("critic", "generator"), ("generator", "critic")):
        optimiser = torch.optim.Adam(gan.get_submodule(player).parameters(), 1e-3)
        before = copy.deepcopy(dict(gan.named_parameters()))
        optimiser.zero_grad()
        gan.loss(player, batch(toy.x(8)), Noise(torch_rng(0, "noise")), 0.5).total.backward()
        optimiser.step()
        moved = {name.partition(".")[0] for name, w in gan.named_parameters() if not torch.equal(w, before[name])}
        assert moved == {player}, other


def test_no_gradient_of_the_critics_loss_reaches_the_generator(toy):
    gan = toy.family("gan")
    gan.loss("critic", batch(toy.x(8)), Noise(torch_rng(0, "noise")), 0.5).total.backward()
    assert all(weight.grad is None for weight in gan.generator.parameters())


def test_a_critic_learns_to_distinguish_data_from_the_samples_of_a_generator_that_stands_still(toy):
    gan, x = toy.family("gan"), toy.x(32)
    optimiser = torch.optim.Adam(gan.critic.parameters(), 2e-3, (0.0, 0.99))
    losses = []
    for step in range(40):
        loss = gan.loss("critic", batch(x), Noise(torch_rng(0, "noise", step)), 0.5)
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
        losses.append(loss)
    assert losses[-1].total < 0.7 * losses[0].total
    assert losses[-1].terms["critic_on_data"] > losses[-1].terms["critic_on_samples"] + 0.5


def test_a_generator_learns_to_please_a_critic_that_stands_still(toy):
    gan, x = toy.family("gan"), toy.x(16)
    optimiser = torch.optim.Adam(gan.generator.parameters(), 2e-3, (0.0, 0.99))
    losses = []
    for step in range(20):
        loss = gan.loss("generator", batch(x), Noise(torch_rng(0, "noise", step)), 0.5).total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_projection_finds_a_planted_latent_better_than_a_random_one(toy):
    gan = toy.family("gan", projection_steps=60, projection_starts=3)
    x = gan.sample(6, seed=5)
    found = gan.reconstruct(x, torch_rng(0, "project"))
    random = gan.decode(gan.latents(6, torch_rng(1, "project"))).detach()
    ours, theirs = ((each - x).square().flatten(1).mean(1) for each in (found, random))
    assert (ours < 0.3 * theirs).all()


def test_more_starts_never_make_a_projection_worse(toy):
    x, errors = toy.x(4), []
    for starts in (1, 4):
        gan = toy.family("gan", projection_starts=starts)
        z = torch.randn(4 * len(x), 4, generator=torch_rng(0, "starts"))
        gan.latents = lambda n, rng, z=z: z[:n].clone()
        errors.append((gan.reconstruct(x, torch_rng(0, "project")) - x).square().flatten(1).mean(1))
    assert (errors[1] <= errors[0] + 1e-5).all()


def test_each_item_of_a_projection_gets_the_latent_of_its_own_start(toy):
    gan = toy.family("gan", projection_steps=60, projection_starts=3)
    x = gan.sample(4, seed=5)
    found = gan.reconstruct(x, torch_rng(0, "project"))
    errors = (found[:, None] - x[None]).square().flatten(2).mean(2)
    assert errors.argmin(1).tolist() == [0, 1, 2, 3]


def test_each_player_has_the_learning_rate_of_its_parameter(toy):
    gan = toy.family("gan", learning_rate=0.1, critic_learning_rate=0.2)
    assert gan.optimiser("generator").learning_rate == 0.1
    assert gan.optimiser("critic").learning_rate == 0.2


@pytest.mark.parametrize("kind", GOLDEN)
def test_the_losses_of_the_first_five_steps_are_the_recorded_ones(kind, request):
    data = request.getfixturevalue(kind)
    gan, x = data.family("gan", learning_rate=1e-3, critic_learning_rate=1e-3), data.x(16)
    optimisers = {
        player: torch.optim.Adam(gan.get_submodule(player).parameters(), 1e-3, (0.0, 0.99)) for player in gan.players
    }
    losses = {player: [] for player in gan.players}
    for step in range(5):
        for place, player in enumerate(gan.players):
            loss = gan.loss(player, batch(x), Noise(torch_rng(0, "noise", step, place)), step / 5).total
            optimisers[player].zero_grad()
            loss.backward()
            optimisers[player].step()
            losses[player].append(loss.item())
    for player, expected in GOLDEN[kind].items():
        assert losses[player] == pytest.approx(expected, rel=1e-3)
