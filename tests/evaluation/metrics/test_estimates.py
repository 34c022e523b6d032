import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.metrics.estimates import Estimate, mean

VALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=30).map(np.array)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_interval_of_a_mean_is_that_of_the_normal():
    values = rng().normal(3, 2, 1000)
    low, high = mean(values, "test").interval(rng(1))
    half = 1.96 * values.std() / np.sqrt(1000)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


@pytest.mark.slow
def test_intervals_contain_the_truth_about_as_often_as_their_level():
    held = 0
    for seed in range(300):
        low, high = mean(rng(seed).exponential(size=80), "test").interval(rng(seed + 1))
        held += low <= 1 <= high
    assert 0.9 <= held / 300 <= 0.98


@settings(max_examples=50, deadline=None)
@given(values=VALUES)
def test_an_interval_contains_its_score_and_repeats_with_its_seed(values):
    estimate = mean(values, "test")
    low, high = estimate.interval(rng())
    assert low - 1e-9 <= estimate.value <= high + 1e-9
    assert (low, high) == estimate.interval(rng())


def test_a_wider_level_gives_a_wider_interval():
    estimate = mean(rng().normal(size=200), "test")
    (a, d), (b, c) = estimate.interval(rng(), 0.99), estimate.interval(rng(), 0.8)
    assert a < b < c < d


def test_the_variances_of_populations_add_up():
    one, two = rng(0).normal(size=500), rng(1).normal(size=800)
    parts = {"test": one - one.mean(), "samples": two - two.mean()}
    assert Estimate(0.0, parts).deviations(rng()).std() == pytest.approx(np.sqrt(1 / 500 + 1 / 800), rel=0.1)


def test_a_score_that_is_not_over_items_has_no_width():
    assert Estimate(2.5).interval(rng()) == (2.5, 2.5)


def test_the_difference_of_scores_over_the_same_items_is_paired():
    easy = rng().normal(0, 10, 400)
    better = easy - 0.1 + rng(1).normal(0, 0.01, 400)
    difference = mean(better, "test") - mean(easy, "test")
    low, high = difference.interval(rng())
    assert low < difference.value < high < 0
    assert high - low < 0.01


def test_scores_over_different_items_have_no_difference():
    with pytest.raises(ValueError, match="different items"):
        mean(np.ones(3), "test") - mean(np.ones(4), "test")


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [np.inf]])
def test_a_mean_of_no_values_or_of_values_that_are_not_finite_raises(values):
    with pytest.raises(ValueError, match="all of them finite"):
        mean(np.array(values), "test")
