import numpy as np
import pytest
import torch
from torchmetrics.image.kid import maximum_mean_discrepancy

from pipeline.evaluation.metrics.kernel import kid


def features(n, seed=0, shift=0.0, d=6):
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def test_the_distance_is_that_of_torchmetrics_over_all_items():
    a, b = features(40), features(40, 1, 0.3)
    kernels = [torch.from_numpy((x @ y.T / 6 + 1) ** 3) for x, y in ((a, a), (a, b), (b, b))]
    assert kid(a, b).value == pytest.approx(maximum_mean_discrepancy(*kernels).item(), rel=1e-9)


def test_the_distance_is_unbiased_at_any_number_of_items():
    found = [kid(features(12, seed), features(9, seed + 5000)).value for seed in range(2000)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(2000)
    assert min(found) < 0


def test_the_distance_is_symmetric():
    a, b = features(40), features(30, 1, 0.3)
    assert kid(a, b).value == pytest.approx(kid(b, a).value)


def test_sets_apart_are_farther_than_sets_alike():
    assert kid(features(100), features(100, 1, 1.0)).value > 10 * abs(kid(features(100), features(100, 1)).value)


@pytest.mark.slow
def test_intervals_contain_the_expectation_about_as_often_as_their_level():
    found = [kid(features(80, seed), features(60, seed + 5000, 0.5)) for seed in range(200)]
    truth = np.mean([each.value for each in found])
    bounds = [each.interval(np.random.default_rng(seed)) for seed, each in enumerate(found)]
    assert 0.9 <= np.mean([low <= truth <= high for low, high in bounds]) <= 0.995


def test_constant_features_have_a_distance():
    assert kid(np.zeros((5, 4)), np.ones((5, 4))).value == pytest.approx(1 + 8 - 2)
