import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from pipeline.evaluation.metrics.prdc import prdc


def points(n, seed=0, shift=0.0, scale=1.0, d=4):
    return np.random.default_rng(seed).normal(shift, scale, (n, d))


def by_the_authors(real, fake, k):
    """Return the scores by the formulas of Naeem et al. 2020, sections 2 and 3, written literally."""
    radius = {name: np.sort(cdist(x, x), axis=1)[:, k] for name, x in (("real", real), ("fake", fake))}
    apart = cdist(real, fake)
    return {
        "precision": (apart < radius["real"][:, None]).any(axis=0).mean(),
        "recall": (apart < radius["fake"][None]).any(axis=1).mean(),
        "density": (apart < radius["real"][:, None]).sum(axis=0).mean() / k,
        "coverage": (apart.min(axis=1) < radius["real"]).mean(),
    }


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(7, 60), m=st.integers(7, 60), k=st.integers(1, 6), seed=st.integers(0, 999), shift=st.floats(-3, 3)
)
def test_scores_are_those_of_the_authors_formulas(n, m, k, seed, shift):
    real, fake = points(n, seed), points(m, seed + 1, shift)
    found = {name: estimate.value for name, estimate in prdc(real, fake, k).items()}
    assert found == pytest.approx(by_the_authors(real, fake, k))


def test_draws_from_the_same_distribution_have_a_density_near_one():
    found = prdc(points(2000), points(2000, 1))
    assert found["density"].value == pytest.approx(1, abs=0.06)
    # 1 - 1 / 2^k of the balls hold a sample (Naeem et al. 2020, eq. 12)
    assert found["coverage"].value == pytest.approx(1 - 2**-5, abs=0.02)


def test_sets_far_apart_share_nothing():
    assert {each.value for each in prdc(points(50), points(50, 1, 100.0)).values()} == {0.0}


def test_samples_of_half_the_data_are_precise_and_recall_half():
    left, right = points(500, 0, -20.0), points(500, 1, 20.0)
    found = prdc(np.concatenate([left, right]), points(500, 2, -20.0))
    assert found["precision"].value > 0.9
    assert found["recall"].value == pytest.approx(0.5, abs=0.1)
    assert found["coverage"].value == pytest.approx(0.5, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["precision", "recall", "density", "coverage"])
def test_intervals_contain_the_expectation_at_least_as_often_as_their_level(name):
    found = [prdc(points(150, seed), points(120, seed + 5000, 0.3, 0.8))[name] for seed in range(200)]
    truth = np.mean([each.value for each in found])
    bounds = [each.interval(np.random.default_rng(seed)) for seed, each in enumerate(found)]
    assert np.mean([low <= truth <= high for low, high in bounds]) >= 0.92


def test_fewer_items_than_neighbours_have_scores():
    assert all(np.isfinite(each.value) for each in prdc(points(3), points(4, 1)).values())


def test_constant_features_have_scores():
    assert {each.value for each in prdc(np.zeros((9, 3)), np.zeros((9, 3))).values()} == {0.0}
