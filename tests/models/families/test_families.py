from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from smallest import batch

from pipeline import contents
from pipeline.contents import CONTENTS
from pipeline.models import families, storage
from pipeline.models.families import FAMILIES
from pipeline.models.families.base import CHUNK, TILE
from pipeline.models.saved import SavedModel
from pipeline.params import Params
from pipeline.system.rng import Noise, torch_rng

ROOT = Path(__file__).parents[3]
LONG = CHUNK + 40
SHORT = {"image": {}, "audio": {"seconds": 0.25}, "text": {}, "code": {"length": 32}}
"""Changes of the params that are shipped, for speed."""


def step(family, x, number=0):
    """Let every player take one step, and return each one's losses."""
    found = {}
    for place, player in enumerate(family.players):
        chosen = family.optimiser(player)
        weights = family.get_submodule(player).parameters()
        optimiser = torch.optim.Adam(weights, chosen.learning_rate, chosen.betas)
        found[player] = family.loss(player, batch(x), Noise(torch_rng(0, "noise", number, place)), progress=0.5)
        optimiser.zero_grad()
        found[player].total.backward()
        optimiser.step()
    return found


@pytest.fixture(params=FAMILIES)
def name(request):
    return request.param


@pytest.fixture(params=["toy", "colour", "words"])
def data(request):
    return request.getfixturevalue(request.param)


def test_a_step_has_finite_losses_and_moves_the_weights_of_every_player(name, data):
    family = data.family(name)
    before = {player: [w.clone() for w in family.get_submodule(player).parameters()] for player in family.players}
    for player, losses in step(family, data.x(8)).items():
        assert torch.isfinite(losses.total)
        assert losses.total.shape == ()
        assert losses.terms
        assert all(torch.isfinite(value) and value.shape == () for value in losses.terms.values())
        after = family.get_submodule(player).parameters()
        assert not all(torch.equal(a, b) for a, b in zip(before[player], after, strict=True))


def test_a_loss_is_a_function_of_weights_batch_and_generator(name, toy):
    for player in toy.family(name).players:
        noises = [Noise(torch_rng(seed, "noise")) for seed in (0, 0, 1)]
        losses = [toy.family(name).loss(player, batch(toy.x(8)), noise, 0.5).total.item() for noise in noises]
        assert losses[0] == losses[1] != losses[2]


def test_a_loss_draws_nothing_from_the_global_generator(name, toy):
    family = toy.family(name)
    before = torch.get_rng_state()
    for player in family.players:
        family.loss(player, batch(toy.x(4)), Noise(torch_rng(0, "noise")), 0.5)
    family.sample(3, seed=0)
    family.reconstruct(toy.x(2), torch_rng(0, "noise"))
    assert torch.equal(before, torch.get_rng_state())


def test_samples_of_a_seed_repeat_and_those_of_another_differ(name, data):
    family = data.family(name)
    first, again, other = (family.sample(5, seed) for seed in (0, 0, 1))
    assert first.shape == (5, *data.spec.x_shape)
    assert first.abs().max() <= 1
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def loss_of_share(family, player, x, begin, end):
    """Return the metrics and the gradients of a player's loss on a share of a batch."""
    family.zero_grad()
    found = family.loss(player, batch(x[begin:end]), Noise(torch_rng(0, "noise"), begin, len(x)), 0.5)
    found.total.backward()
    metrics = torch.stack([found.total, *found.terms.values()]).detach()
    return [metrics, *(weight.grad.clone() for weight in family.get_submodule(player).parameters())]


def test_losses_and_gradients_of_shares_of_a_batch_make_up_those_of_the_whole(name, data):
    # spectral norm moves its vectors at each pass in training, and the shares have to see the same ones
    family, x = data.family(name).eval(), data.x(8)
    for player in family.players:
        whole = loss_of_share(family, player, x, 0, 8)
        shares = [
            (end - begin, loss_of_share(family, player, x, begin, end)) for begin, end in ((0, 3), (3, 4), (4, 8))
        ]
        for i, value in enumerate(whole):
            mean = sum(n * share[i] for n, share in shares) / 8
            torch.testing.assert_close(mean, value, rtol=1e-3, atol=1e-4 * float(value.abs().max()) + 1e-6)


@pytest.fixture(scope="module", params=CONTENTS)
def sampled(request):
    """Samples of every family over one kind of data, over a border of chunks, by the params that are shipped.

    Networks of the usual sizes: products of small matrices are rounded alike, however many rows they have.
    """
    shipped, found = Params.load(ROOT), {}
    content = contents.build(request.param, getattr(shipped, request.param).model_dump() | SHORT[request.param], {})
    for name in FAMILIES:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            family = families.build(name, getattr(shipped, name).model_dump(), content.spec).requires_grad_(False)
        about = SavedModel(name, request.param, {}, "digest of data")
        model = storage.Model(family, content, about)
        found[name] = model, family.sample(LONG, seed=0), content.decode(model.sample(LONG, seed=0))
    return found


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_sample_has_the_same_bits_whatever_is_drawn_with_it(sampled, name, data):
    model, whole, raws = sampled[name]
    first = data.draw(st.integers(0, LONG - 1) | st.sampled_from([0, TILE, CHUNK]))
    n = data.draw(st.just(1) | st.integers(1, min(40, LONG - first)))
    found = model.family.sample(n, 0, first)
    assert torch.equal(found, whole[first : first + n])
    for mine, raw in zip(model.content.decode(model.sample(n, 0, first)), raws[first : first + n], strict=True):
        np.testing.assert_array_equal(mine, raw)


@pytest.mark.parametrize("name", FAMILIES)
def test_an_item_has_the_same_bits_whatever_latents_are_decoded_with_its_own(sampled, name):
    family = sampled[name][0].family
    z = family.latents(TILE + 3, torch_rng(0, "latents"))
    whole = family.decode_apart(z)
    for part in (slice(5, 6), slice(7, TILE + 2), slice(None, None, 9)):
        assert torch.equal(family.decode_apart(z[part]), whole[part])


@pytest.mark.parametrize("first", [0, 1, CHUNK, 2 * CHUNK, 2 * CHUNK + 1])
def test_none_can_be_drawn_from_any_number_on(name, toy, first):
    assert toy.family(name).sample(0, 0, first).shape == (0, *toy.spec.shape)


def test_no_two_samples_of_different_chunks_are_the_same(name, toy):
    samples = toy.family(name).sample(520, 0).flatten(1)
    assert len(torch.unique(samples, dim=0)) == 520


def test_a_saved_model_samples_and_reconstructs_bit_for_bit_what_the_trained_one_does(name, data, tmp_path):
    family = data.family(name)
    for number in range(2):
        step(family, data.x(8), number)
    family.finish([data.x(40)], torch_rng(0, "finish"))
    storage.save(tmp_path, family, data.about(name))
    loaded = storage.load(tmp_path)
    assert torch.equal(family.sample(7, 3), loaded.family.sample(7, 3))
    np.testing.assert_array_equal(data.spec.quantise(family.sample(7, 3)), loaded.sample(7, 3))
    x = data.x(3)
    ours, theirs = (each.reconstruct(x, torch_rng(0, "reconstruct")) for each in (family, loaded.family))
    assert torch.equal(ours, theirs)


def test_a_reconstruction_has_the_shape_of_its_item_and_repeats(name, data):
    family, x = data.family(name), data.x(6)
    first, again = (family.reconstruct(x, torch_rng(0, "reconstruct")) for _ in range(2))
    assert first.shape == x.shape
    assert first.abs().max() <= 1
    assert not first.requires_grad
    assert torch.equal(first, again)


def test_reconstructing_leaves_no_gradients_on_the_weights(name, toy):
    family = toy.family(name)
    family.reconstruct(toy.x(2), torch_rng(0, "reconstruct"))
    assert all(weight.grad is None for weight in family.parameters())


def test_latents_and_projections_are_of_one_size(name, toy):
    family = toy.family(name)
    assert family.latents(3, torch_rng(0, "latents")).shape == (3, 4)
    assert family.project(toy.x(3), torch_rng(0, "project")).shape == (3, 4)


def test_players_are_the_modules_that_have_weights_and_what_is_not_saved_is_one_of_them(name, toy):
    family = toy.family(name)
    assert {weight.partition(".")[0] for weight, _ in family.named_parameters()} == set(family.players)
    assert set(family.training_only) < set(family.players)


def test_scores_are_finite_and_repeat(name, toy):
    family, x = toy.family(name), toy.x(12)
    first, again = (family.score(x.split(5), torch_rng(0, "score")) for _ in range(2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert all(values.isfinite().all() for values in first.values())
    assert {values.shape for values in first.values()} <= {(12,), ()}


def test_tokens_are_left_to_chance_and_are_the_likeliest_without_it(name, words):
    family = words.family(name)
    z = family.latents(1, torch_rng(0, "latents")).expand(40, -1)
    drawn = family.decode(z, torch.rand(40, 16, generator=torch_rng(0, "u")))
    assert len(torch.unique(drawn.argmax(1), dim=0)) == 40
    assert len(torch.unique(family.decode(z).argmax(1), dim=0)) == 1
    assert torch.equal(drawn.sum(1), torch.ones(40, 16))
    assert torch.equal(drawn.amax(1), torch.ones(40, 16))


def test_training_makes_texts_that_use_the_letters_of_the_data(name, words):
    rates = {"learning_rate": 3e-3} | ({"critic_learning_rate": 3e-3} if name == "gan" else {})
    family, x = words.family(name, **rates), words.x(64)
    letters = x.sum((0, 2)) > 0
    for player in family.players:
        assert family.optimiser(player).learning_rate > 0
    for number in range(60 if name == "vae" else 150):
        step(family, x, number)
    drawn = family.sample(100, 0).sum((0, 2))
    share = (drawn[letters].sum() / drawn.sum()).item()
    assert share > 10 * letters.float().mean()
