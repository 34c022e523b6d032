import math

import numpy as np
import pytest
import torch
from smallest import batch
from torch.distributions import Normal, kl_divergence

from pipeline.models.families.vae import _draw, _kl
from pipeline.models.storage import bits as bits_of
from pipeline.system.rng import Noise, torch_rng

GOLDEN_OF_WORDS = [90.4156, 90.1765, 89.9082, 89.6106, 89.3713]
GOLDEN = [1979.41, 1931.42, 1885.17, 1857.25, 1828.86]


def trained(vae, x, steps, progress=0.5):
    """Take some steps, and return the loss of each."""
    optimiser, losses = torch.optim.Adam(vae.autoencoder.parameters(), 3e-3, (0.9, 0.99)), []
    for step in range(steps):
        loss = vae.loss("autoencoder", batch(x), Noise(torch_rng(0, "noise", step)), progress)
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
        losses.append(loss.total.item())
    return losses


def test_the_divergence_of_the_standard_normal_from_itself_is_zero():
    assert _kl(torch.zeros(3, 7), torch.zeros(3, 7)).tolist() == [[0] * 7] * 3


def test_the_divergence_is_that_of_torch():
    mu, logvar = torch.randn(5, 3, generator=torch_rng(0, "mu")), torch.randn(5, 3, generator=torch_rng(0, "logvar"))
    expected = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(_kl(mu, logvar), expected)


def test_latents_are_drawn_from_the_posterior():
    mu, logvar = torch.full((100_000, 1), 2.0), torch.full((100_000, 1), math.log(0.25))
    z = _draw(mu, logvar, Noise(torch_rng(0, "draw")))
    assert z.mean().item() == pytest.approx(2, abs=0.01)
    assert z.std().item() == pytest.approx(0.5, abs=0.01)


def test_the_loss_at_beta_one_is_minus_the_elbo_in_nats_an_item(toy):
    losses = toy.family("vae").loss("autoencoder", batch(toy.x(8)), Noise(torch_rng(0, "noise")), 0.5)
    assert losses.total.item() == pytest.approx(-losses.terms["elbo"].item(), rel=1e-6)
    assert losses.terms["elbo"].item() == pytest.approx((losses.terms["log_px_z"] - losses.terms["kl"]).item())


@pytest.mark.parametrize(
    ("progress", "weight"), [(0.0, 0.0), (0.1, 1.0), (0.2, 2.0), (0.4, 4.0), (0.7, 4.0), (1.0, 4.0)]
)
def test_warm_up_raises_beta_to_its_value_and_leaves_the_elbo_alone(toy, progress, weight):
    vae, x = toy.family("vae", beta=4.0, warmup=0.4), toy.x(8)
    losses = vae.loss("autoencoder", batch(x), Noise(torch_rng(0, "noise")), progress)
    terms = {name: value.item() for name, value in losses.terms.items()}
    assert losses.total.item() == pytest.approx(weight * terms["kl"] - terms["log_px_z"], rel=1e-5)
    assert terms["elbo"] == pytest.approx(terms["log_px_z"] - terms["kl"], rel=1e-5)


def test_a_scored_elbo_is_log_px_z_less_kl_and_bits_follow_from_it(toy):
    vae, items = toy.family("vae"), np.concatenate([toy.items(20), toy.items(7, seed=1)])
    score = toy.family("vae").score([toy.x(20), toy.x(7, seed=1)], torch_rng(0, "score"))
    assert score["elbo"].shape == (27,)
    torch.testing.assert_close(score["elbo"], score["log_px_z"] - score["kl"])
    bits = bits_of(vae, score, toy.content, items)
    torch.testing.assert_close(bits["bits_per_dim"], -score["elbo"] / (256 * math.log(2)))


def test_a_score_is_that_of_each_item_whatever_the_batches(toy):
    vae, x = toy.family("vae"), toy.x(9)
    each = torch.cat([vae.score([x[i : i + 1]], torch_rng(0, "score"))["kl"] for i in range(9)])
    torch.testing.assert_close(vae.score(x.split(4), torch_rng(0, "score"))["kl"], each, rtol=1e-4, atol=1e-4)


def test_a_score_does_not_depend_on_beta_or_on_the_prior_of_samples(toy):
    scores = []
    for changes in ({}, {"beta": 7.0}, {"prior": "normal"}):
        vae = toy.family("vae", **changes)
        vae.finish([toy.x(40)], torch_rng(0, "finish"))
        scores.append(vae.score([toy.x(9)], torch_rng(0, "score")))
    for score in scores[1:]:
        torch.testing.assert_close(score, scores[0], rtol=0, atol=0)


@pytest.mark.parametrize(("likelihood", "reported"), [("gaussian", True), ("logistic", True), ("bernoulli", False)])
def test_bits_are_reported_only_of_a_likelihood_of_integers(toy, likelihood, reported):
    vae = toy.family("vae", likelihood=likelihood)
    score = vae.score([toy.x(9)], torch_rng(0, "score"))
    assert ("bits_per_dim" in bits_of(vae, score, toy.content, toy.items(9))) is reported


@pytest.mark.parametrize("likelihood", ["gaussian", "logistic", "bernoulli"])
def test_training_lowers_the_loss_of_every_likelihood(toy, likelihood):
    losses = trained(toy.family("vae", likelihood=likelihood), toy.x(32), 30)
    assert losses[-1] < losses[0]
    assert all(map(math.isfinite, losses))


def test_active_units_are_those_whose_mean_varies_over_data(toy):
    vae = toy.family("vae")
    with torch.no_grad():
        head = vae.autoencoder.encoder[-1]
        head.weight.zero_()
        head.weight[:2].normal_(generator=torch_rng(0, "weights"))
    assert vae.score([toy.x(40)], torch_rng(0, "score"))["active_units"] == 2


def test_the_weighted_bound_is_the_mean_likelihood_where_the_posterior_is_the_prior(toy):
    vae, x = toy.family("vae"), toy.x(5)
    with torch.no_grad():
        vae.autoencoder.encoder[-1].weight.zero_()
        vae.autoencoder.encoder[-1].bias.zero_()
        rng = torch_rng(0, "bounds")
        z = [torch.randn(5, 4, generator=rng) for _ in range(64)]
        each = [vae.autoencoder.likelihood.log_prob(vae.autoencoder.decoder(one), x).double() for one in z]
    expected = torch.logsumexp(torch.stack(each), 0) - math.log(64)
    torch.testing.assert_close(vae.bounds(x, torch_rng(0, "bounds"))["iw_elbo"], expected, rtol=1e-6, atol=1e-3)


def test_the_weighted_bound_is_tighter_than_the_elbo(toy):
    vae, x = toy.family("vae"), toy.x(20)
    with torch.no_grad():
        vae.autoencoder.encoder[-1].weight.mul_(5)
    # of one draw each, an item's may be above the bound by chance
    elbo = torch.stack([vae.score([x], torch_rng(0, "score", i))["elbo"] for i in range(16)]).mean(0)
    bound = vae.bounds(x, torch_rng(0, "bounds"))["iw_elbo"]
    assert (bound > elbo).all()


def test_fitting_the_prior_changes_the_samples_and_only_the_prior(toy):
    vae = toy.family("vae")
    before, weights = vae.sample(20, 0), {n: w.clone() for n, w in vae.autoencoder.state_dict().items()}
    vae.finish([toy.x(40), toy.x(40, seed=1)], torch_rng(0, "finish"))
    assert not torch.allclose(before, vae.sample(20, 0))
    assert all(torch.equal(weight, weights[name]) for name, weight in vae.autoencoder.state_dict().items())


def test_a_fitted_prior_is_nearer_to_the_aggregate_posterior_than_the_standard_normal(toy):
    vae, x = toy.family("vae"), toy.x(200)
    with torch.no_grad():
        vae.autoencoder.encoder[-1].bias[:4] = 3.0
    vae.finish([x], torch_rng(0, "finish"))
    z, mu = vae.latents(2000, torch_rng(0, "latents")), vae.project(x, torch_rng(0, "project"))
    torch.testing.assert_close(z.mean(0), mu.mean(0), atol=0.3, rtol=0)


def test_a_normal_prior_samples_the_same_before_and_after_training_ends(toy):
    vae = toy.family("vae", prior="normal")
    before = vae.sample(5, 0)
    vae.finish([toy.x(40)], torch_rng(0, "finish"))
    assert torch.equal(before, vae.sample(5, 0))


def test_a_reconstruction_is_that_of_the_posterior_mean_whatever_the_generator(toy):
    vae, x = toy.family("vae"), toy.x(5)
    first, other = (vae.reconstruct(x, torch_rng(seed, "reconstruct")) for seed in (0, 1))
    assert torch.equal(first, other)
    with torch.no_grad():
        assert torch.equal(first, vae.decode(vae.autoencoder.posterior(x)[0]))


def test_a_posterior_stays_finite_for_items_far_from_the_data(toy):
    mu, logvar = toy.family("vae").autoencoder.posterior(1e6 * toy.x(3))
    assert torch.isfinite(mu).all()
    assert torch.isfinite(logvar.exp()).all()


def test_the_losses_of_the_first_five_steps_are_the_recorded_ones(toy, words):
    assert trained(toy.family("vae"), toy.x(16), 5) == pytest.approx(GOLDEN, rel=1e-3)
    assert trained(words.family("vae"), words.x(16), 5) == pytest.approx(GOLDEN_OF_WORDS, rel=1e-4)
