import pytest
import torch

from pipeline.models import priors
from pipeline.models.priors import GaussianMixture, StandardNormal
from pipeline.system.rng import torch_rng


def two_bumps(n):
    """Return draws of 0.3 N((-3, 0), diag(0.25, 1)) + 0.7 N((3, 1), [[1, 0.8], [0.8, 1]])."""
    rng = torch_rng(0, "bumps")
    left = torch.randn(n, 2, generator=rng) * torch.tensor([0.5, 1.0]) + torch.tensor([-3.0, 0.0])
    slanted = torch.linalg.cholesky(torch.tensor([[1.0, 0.8], [0.8, 1.0]]))
    right = torch.randn(n, 2, generator=rng) @ slanted.T + torch.tensor([3.0, 1.0])
    return torch.where(torch.rand(n, 1, generator=rng) < 0.3, left, right)


def test_a_mixture_recovers_the_two_bumps_that_it_is_fitted_to():
    mixture = GaussianMixture(2, 2)
    mixture.fit([two_bumps(5000)], torch_rng(0, "fit"))
    order = mixture.means[:, 0].argsort()
    torch.testing.assert_close(mixture.weights[order], torch.tensor([0.3, 0.7]), atol=0.03, rtol=0)
    torch.testing.assert_close(mixture.means[order], torch.tensor([[-3.0, 0.0], [3.0, 1.0]]), atol=0.1, rtol=0)
    covariances = (mixture.factors @ mixture.factors.mT)[order]
    expected = torch.tensor([[[0.25, 0.0], [0.0, 1.0]], [[1.0, 0.8], [0.8, 1.0]]])
    torch.testing.assert_close(covariances, expected, atol=0.15, rtol=0)


def test_draws_of_a_fitted_mixture_are_distributed_as_what_it_was_fitted_to():
    mixture, z = GaussianMixture(2, 2), two_bumps(5000)
    mixture.fit([z], torch_rng(0, "fit"))
    drawn = mixture.draw(20_000, torch_rng(0, "draw"))
    assert (drawn[:, 0] < 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    for side in (lambda each: each[each[:, 0] < 0], lambda each: each[each[:, 0] > 0]):
        torch.testing.assert_close(side(drawn).mean(0), side(z).mean(0), atol=0.1, rtol=0)
        torch.testing.assert_close(side(drawn).T.cov(), side(z).T.cov(), atol=0.1, rtol=0)


@pytest.mark.parametrize("prior", [StandardNormal(3), GaussianMixture(3, 5)])
def test_a_prior_that_was_not_fitted_draws_from_the_standard_normal(prior):
    z = prior.draw(20_000, torch_rng(0, "draw"))
    torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=0.03, rtol=0)
    torch.testing.assert_close(z.T.cov(), torch.eye(3), atol=0.05, rtol=0)


def test_the_standard_normal_stays_as_it_is_when_fitted():
    prior = StandardNormal(2)
    before = prior.draw(4, torch_rng(0, "draw"))
    prior.fit([two_bumps(100)], torch_rng(0, "fit"))
    assert torch.equal(before, prior.draw(4, torch_rng(0, "draw")))


def test_fitting_and_drawing_are_functions_of_their_generators():
    drawn = []
    for fit_seed in (0, 0):
        mixture = GaussianMixture(2, 4)
        mixture.fit([two_bumps(500)], torch_rng(fit_seed, "fit"))
        drawn.append(mixture.draw(50, torch_rng(0, "draw")))
    assert torch.equal(*drawn)
    assert not torch.equal(drawn[0], mixture.draw(50, torch_rng(1, "draw")))


def test_fewer_latents_than_components_still_fit():
    mixture, z = GaussianMixture(2, 10), two_bumps(6)
    mixture.fit([z], torch_rng(0, "fit"))
    assert mixture.weights.sum().item() == pytest.approx(1)
    assert torch.isfinite(mixture.draw(100, torch_rng(0, "draw"))).all()


def test_a_latent_that_never_varies_does_not_break_the_fit():
    z = two_bumps(500)
    mixture = GaussianMixture(3, 4)
    mixture.fit([torch.cat([z, torch.zeros(500, 1)], 1)], torch_rng(0, "fit"))
    assert mixture.draw(1000, torch_rng(0, "draw"))[:, 2].abs().max() < 0.1


def test_a_fitted_mixture_travels_with_the_weights():
    fitted, loaded = GaussianMixture(2, 3), GaussianMixture(2, 3)
    fitted.fit([two_bumps(500)], torch_rng(0, "fit"))
    loaded.load_state_dict(fitted.state_dict())
    assert torch.equal(fitted.draw(20, torch_rng(0, "draw")), loaded.draw(20, torch_rng(0, "draw")))


def test_a_mixture_asks_for_no_more_batches_than_it_takes(monkeypatch):
    monkeypatch.setattr(priors, "MOST", 150)
    asked = []

    def batches():
        for i, z in enumerate(two_bumps(500).split(100)):
            asked.append(i)
            yield z

    mixture, whole = GaussianMixture(2, 2), GaussianMixture(2, 2)
    mixture.fit(batches(), torch_rng(0, "fit"))
    assert asked == [0, 1]
    whole.fit([two_bumps(500)[:200]], torch_rng(0, "fit"))
    assert torch.equal(mixture.means, whole.means)


def test_the_standard_normal_asks_for_nothing():
    def batches():
        raise AssertionError("a batch was asked for")
        yield

    StandardNormal(2).fit(batches(), torch_rng(0, "fit"))


def test_a_fitted_mixture_is_one_and_so_is_a_fresh_one():
    mixture = GaussianMixture(2, 10)
    mixture.check()
    mixture.fit([two_bumps(6)], torch_rng(0, "fit"))
    mixture.check()
    StandardNormal(2).check()


@pytest.mark.parametrize("name", ["weights", "factors"])
@pytest.mark.parametrize("value", [-1.0, 0.0, 3.0])
def test_a_mixture_of_other_weights_or_factors_than_can_be_is_refused(name, value):
    mixture = GaussianMixture(2, 2)
    getattr(mixture, name).fill_(value)
    with pytest.raises(ValueError, match=rf"the mixture's {name}"):
        mixture.check()
