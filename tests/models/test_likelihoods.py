import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from pipeline.contents.base import DataSpec
from pipeline.models.likelihoods import LIKELIHOODS, Bernoulli, Categorical, Gaussian, Logistic, pick
from pipeline.params.sections import VaeTokenParams
from pipeline.system.rng import Noise, torch_rng

SPEC = DataSpec((1, 1, 1), "grid")
LEVELS = SPEC.scale(torch.arange(256)).view(-1, 1, 1, 1)
HEIGHTS = [-1.3, -1.0, -0.37, 0.0, 0.5, 1.0, 1.3]


def each_level(likelihood, height):
    """Return the log probability of every level, for one height of the decoder's output."""
    with torch.no_grad():
        return likelihood.log_prob(torch.full_like(LEVELS, height), LEVELS).double()


@pytest.mark.parametrize("log_scale", [-7.0, -4.0, -2.0, 0.0])
@pytest.mark.parametrize("height", HEIGHTS)
def test_a_discretised_logistic_sums_to_one_over_all_levels(log_scale, height):
    logistic = Logistic(SPEC)
    torch.nn.init.constant_(logistic.log_scale, log_scale)
    assert each_level(logistic, height).exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_a_discretised_logistic_is_the_mass_of_each_bin_of_a_logistic():
    logistic = Logistic(SPEC)
    x, half = LEVELS.flatten().double().numpy(), SPEC.bin_width / 2
    edges = np.concatenate([[-np.inf], x[:-1] + half, [np.inf]])
    expected = np.diff(stats.logistic.cdf(edges, 0.2, math.exp(-2)))
    np.testing.assert_allclose(each_level(logistic, 0.2).exp().numpy(), expected, rtol=2e-4)


def test_a_level_far_from_the_output_keeps_a_finite_log_probability_and_gradient():
    logistic = Logistic(SPEC)
    torch.nn.init.constant_(logistic.log_scale, -7.0)
    h = torch.ones(1, 1, 1, 1, requires_grad=True)
    log_prob = logistic.log_prob(h, -h.detach())
    log_prob.sum().backward()
    assert torch.isfinite(log_prob).all()
    assert h.grad.item() < 0


def true_integrated(height, sigma, chosen):
    """Return the log mass that a normal gives to the bin of each chosen level."""
    x, half = LEVELS.flatten()[chosen].double().numpy(), SPEC.bin_width / 2
    upper, lower = stats.norm.logcdf([x + half, x - half], height, sigma)
    return upper + np.log(-np.expm1(lower - upper))


@pytest.mark.parametrize("sigma", [0.003, 0.01, 0.1, 0.5])
@pytest.mark.parametrize("height", [-0.37, 0.0, 0.5])
def test_the_gaussian_bound_never_exceeds_the_true_log_probability_of_a_level(sigma, height):
    gaussian = Gaussian(SPEC)
    torch.nn.init.constant_(gaussian.log_sigma, math.log(sigma))
    near = (LEVELS.flatten() - height).abs() < 4 * sigma
    bound, true = each_level(gaussian, height)[near].numpy(), true_integrated(height, sigma, near)
    assert len(true) > 1
    assert (bound <= true + 1e-4).all()


@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_the_gaussian_bound_is_near_the_true_log_probability_where_the_deviation_is_wide(sigma):
    gaussian = Gaussian(SPEC)
    torch.nn.init.constant_(gaussian.log_sigma, math.log(sigma))
    near = LEVELS.flatten().abs() < 2 * sigma
    np.testing.assert_allclose(each_level(gaussian, 0.0)[near].numpy(), true_integrated(0.0, sigma, near), atol=2e-3)


def test_the_gaussian_bound_is_the_mean_over_uniform_noise_in_a_bin():
    gaussian = Gaussian(SPEC)
    torch.nn.init.constant_(gaussian.log_sigma, math.log(0.005))
    x, height, width = LEVELS[130].item(), 0.01, SPEC.bin_width
    mean, _ = integrate.quad(lambda u: stats.norm.logpdf(x + u, height, 0.005) / width, -width / 2, width / 2)
    assert each_level(gaussian, height)[130].item() == pytest.approx(mean + math.log(width), abs=1e-4)


def test_the_best_deviation_of_a_perfect_decoder_is_that_of_the_bin():
    gaussian = Gaussian(SPEC)
    optimiser = torch.optim.Adam(gaussian.parameters(), 0.1)
    for _ in range(150):
        optimiser.zero_grad()
        (-gaussian.log_prob(LEVELS, LEVELS).mean()).backward()
        optimiser.step()
    assert gaussian.log_sigma.exp().item() == pytest.approx(SPEC.bin_width / math.sqrt(12), rel=0.02)


def test_bernoulli_is_that_of_torch_on_binary_data():
    x, h = torch.randint(2, (5, 3, 4, 4)).float(), torch.randn(5, 3, 4, 4)
    expected = torch.distributions.Bernoulli(logits=h).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(Bernoulli(SPEC).log_prob(h, 2 * x - 1), expected)


def test_only_a_probability_of_integers_gives_bits_per_dim():
    assert {name: kind(SPEC).exact for name, kind in LIKELIHOODS.items()} == {
        "gaussian": True,
        "logistic": True,
        "bernoulli": False,
    }


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_log_probabilities_are_summed_over_dimensions_and_not_averaged(name):
    likelihood = LIKELIHOODS[name](SPEC)
    h, x = torch.full((2, 3, 4, 4), 0.3), torch.full((2, 3, 4, 4), 0.25)
    whole, one = likelihood.log_prob(h, x), likelihood.log_prob(h[:, :1, :1, :1], x[:, :1, :1, :1])
    assert whole.shape == (2,)
    torch.testing.assert_close(whole, 48 * one)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_mean_lies_within_the_data_and_is_the_likeliest_output(name):
    likelihood = LIKELIHOODS[name](SPEC)
    h = torch.linspace(-5, 5, 101).view(-1, 1, 1, 1)
    mean = likelihood.decode(h)
    assert mean.min() >= -1
    assert mean.max() <= 1
    best = h[likelihood.log_prob(h, torch.full_like(h, 0.2)).argmax()]
    assert likelihood.decode(best).item() == pytest.approx(0.2, abs=0.06)


WORDS = DataSpec((6,), "sequence", vocab_size=5)


@pytest.fixture
def categorical():
    torch.manual_seed(0)
    return Categorical(WORDS, 8, VaeTokenParams(context=2, word_dropout=0.5, free_bits=0.0, temperature=1.0))


def every_text(length):
    return torch.cartesian_prod(*[torch.arange(WORDS.vocab_size)] * length)


def test_the_probabilities_of_all_texts_sum_to_one(categorical):
    short = DataSpec((4,), "sequence", vocab_size=5)
    x = short.scale(every_text(4))
    h = torch.randn(1, 8, 4, generator=torch.Generator().manual_seed(0)).expand(len(x), -1, -1)
    assert categorical.log_prob(h, x).exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_a_token_depends_on_those_within_the_context_before_it_and_on_no_others(categorical):
    x = WORDS.scale(torch.tensor([[0, 1, 2, 3, 4, 0]])).requires_grad_()
    h = torch.randn(1, 8, 6, generator=torch.Generator().manual_seed(0))
    last = categorical.log_prob(h, x) - categorical.log_prob(h[..., :5], x[..., :5])
    (slope,) = torch.autograd.grad(last.sum(), x)
    assert (slope.abs().sum((0, 1)) > 1e-6).tolist() == [False, False, False, True, True, True]


def test_training_hides_the_share_of_tokens_that_it_is_to_and_the_probability_none(categorical):
    n = 4000
    x = WORDS.scale(torch.tensor([[1, 2, 3, 4, 0, 1]])).expand(n, -1, -1)
    h = torch.randn(1, 8, 6, generator=torch.Generator().manual_seed(0)).expand(n, -1, -1)
    two = [part[:, :, :2] for part in (h, x)]
    found = categorical.objective(*two, Noise(torch_rng(0, "noise"))).detach()
    seen = categorical.log_prob(*two).detach()
    assert len(found.unique()) == 2
    assert (found == seen[0]).float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert len(seen.unique()) == 1
    categorical.params = categorical.params.model_copy(update={"word_dropout": 0.0})
    torch.testing.assert_close(categorical.objective(h, x, Noise(torch_rng(0, "noise"))), categorical.log_prob(h, x))


def test_texts_are_drawn_as_often_as_they_are_likely(categorical):
    short, n = DataSpec((2,), "sequence", vocab_size=5), 20_000
    h = torch.randn(1, 8, 2, generator=torch.Generator().manual_seed(0))
    x = short.scale(every_text(2))
    expected = categorical.log_prob(h.expand(len(x), -1, -1), x).exp()
    drawn = categorical.decode(h.expand(n, -1, -1), torch.rand(n, 2, generator=torch.Generator().manual_seed(1)))
    which = drawn.argmax(1) @ torch.tensor([5, 1])
    torch.testing.assert_close(torch.bincount(which, minlength=25) / n, expected.detach(), atol=0.015, rtol=0)


def test_without_chance_each_token_is_the_likeliest_after_those_before_it(categorical):
    h = torch.randn(3, 8, 6, generator=torch.Generator().manual_seed(0))
    found = categorical.decode(h).argmax(1)
    for t in range(6):
        others = [found[:, : t + 1].clone() for _ in range(5)]
        for token, other in enumerate(others):
            other[:, t] = token
        likely = torch.stack([categorical.log_prob(h[..., : t + 1], WORDS.scale(other)) for other in others], 1)
        assert torch.equal(likely.argmax(1), found[:, t])


def test_a_temperature_of_zero_leaves_nothing_to_chance(categorical):
    h = torch.randn(3, 8, 6)
    expected = categorical.decode(h)
    categorical.params = categorical.params.model_copy(update={"temperature": 0.0})
    torch.testing.assert_close(categorical.decode(h, torch.rand(3, 6)), expected)


@pytest.mark.parametrize("u", [0.0, 1 - 2**-24])
def test_the_outermost_quantiles_are_tokens_as_well(u):
    logits = torch.tensor([[-200.0, 0.0, 1.0, -200.0]])
    assert pick(logits, torch.full((1,), u), 1.0).item() in (0, 1, 2)
