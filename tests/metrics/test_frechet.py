import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.image.fid import _compute_fid

from pipeline.metrics.frechet import distance, frechet, moments


def features(n, d, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + shift


SETS = st.builds(
    features,
    n=st.integers(2, 40),
    d=st.just(6),
    seed=st.integers(0, 10**6),
    shift=st.floats(-5, 5),
)
PROMPT = settings(max_examples=60, deadline=None)


@PROMPT
@given(a=SETS)
def test_the_distance_of_a_set_to_itself_is_zero(a):
    assert frechet(a, a) == pytest.approx(0, abs=1e-6 * max(1.0, np.square(a).sum()))


@PROMPT
@given(a=SETS, b=SETS)
def test_the_distance_is_symmetric_and_never_negative(a, b):
    there, back = frechet(a, b), frechet(b, a)
    assert there >= 0
    assert there == pytest.approx(back, rel=1e-6, abs=1e-6)


@PROMPT
@given(a=SETS, shift=st.floats(-10, 10))
def test_moving_a_set_adds_the_square_of_the_way(a, shift):
    assert frechet(a, a + shift) == pytest.approx(6 * shift**2, rel=1e-6, abs=1e-5 * max(1.0, np.square(a).sum()))


def test_the_order_of_items_does_not_count():
    a, b = features(50, 6), features(60, 6, 1)
    assert frechet(a, b) == pytest.approx(frechet(a[::-1], np.random.default_rng(0).permutation(b)))


def test_two_normals_of_one_dimension_have_the_closed_form():
    found = distance(np.array([1.0]), np.array([[4.0]]), np.array([-2.0]), np.array([[9.0]]))
    assert found == pytest.approx((1 + 2) ** 2 + (2 - 3) ** 2)


def test_normals_whose_covariances_commute_have_the_closed_form():
    rng = np.random.default_rng(0)
    axes, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    a, b = rng.uniform(0.1, 4, (2, 5))
    mean = rng.normal(size=5)
    found = distance(mean, axes @ np.diag(a) @ axes.T, np.zeros(5), axes @ np.diag(b) @ axes.T)
    assert found == pytest.approx(np.square(mean).sum() + np.square(np.sqrt(a) - np.sqrt(b)).sum())


def test_samples_of_two_normals_approach_the_closed_form():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (50_000, 3)), rng.normal(1, 2, (50_000, 3))
    assert frechet(a, b) == pytest.approx(3 * (1 + 1), rel=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_agrees_with_scipys_matrix_root(seed):
    (mean_a, cov_a), (mean_b, cov_b) = moments(features(80, 12, seed)), moments(features(90, 12, seed + 9, 1.0))
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    expected = np.square(mean_a - mean_b).sum() + np.trace(cov_a + cov_b - 2 * root)
    assert distance(mean_a, cov_a, mean_b, cov_b) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_agrees_with_torchmetrics(seed):
    ours = (*moments(features(80, 12, seed)), *moments(features(90, 12, seed + 9, 1.0)))
    theirs = _compute_fid(*map(torch.from_numpy, ours)).item()
    assert distance(*ours) == pytest.approx(theirs, rel=1e-8)


@pytest.mark.parametrize("n", [2, 5, 30])
def test_fewer_samples_than_features_stay_real_and_finite(n):
    found = frechet(features(n, 64), features(n, 64, 1))
    assert isinstance(found, float)
    assert np.isfinite(found)
    assert found > 0
    assert frechet(features(n, 64), features(n, 64)) == pytest.approx(0, abs=1e-3)


def test_features_that_never_vary_have_a_distance():
    assert frechet(np.zeros((10, 4)), np.ones((10, 4))) == pytest.approx(4)


def test_single_precision_is_widened_before_it_is_summed():
    a = features(200, 6, shift=0.0).astype(np.float32)
    assert frechet(a + np.float32(4096), a + np.float32(4096)) == pytest.approx(0, abs=1e-6)
    mean, cov = moments(a)
    assert mean.dtype == cov.dtype == np.float64


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_a_value_that_is_not_finite_raises(bad, place):
    sets = [features(10, 4), features(10, 4, 1)]
    sets[place][3, 2] = bad
    with pytest.raises(ValueError, match="not finite"):
        frechet(*sets)


@pytest.mark.parametrize("n", [0, 1])
def test_a_set_without_a_covariance_raises(n):
    with pytest.raises(ValueError, match="at least two"):
        frechet(features(10, 4), features(n, 4))
