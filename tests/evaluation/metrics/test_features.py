import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from pipeline.evaluation.metrics import features
from pipeline.evaluation.metrics.features import checked, compact, nearest, squared


def points(n, seed, d=5):
    return np.random.default_rng(seed).normal(size=(n, d))


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 40), m=st.integers(1, 40), seed=st.integers(0, 1000), block=st.integers(1, 300))
def test_squared_distances_are_those_of_scipy_for_any_block_size(n, m, seed, block):
    a, b = points(n, seed), points(m, seed + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "BLOCK", block)
        found = list(squared(a, b))
    assert np.array_equal(np.concatenate([np.arange(n)[rows] for rows, _ in found]), np.arange(n))
    np.testing.assert_allclose(np.concatenate([apart for _, apart in found]), cdist(a, b, "sqeuclidean"), atol=1e-9)


def test_nearest_agrees_with_scipy():
    a, b = points(30, 0), points(50, 1)
    apart = cdist(a, b)
    distances, which = nearest(a, b)
    np.testing.assert_array_equal(which, apart.argmin(1))
    np.testing.assert_allclose(distances, apart.min(1))


def test_a_copy_is_at_distance_0_even_far_from_the_origin():
    b = points(50, 0) + 1e6
    distances, which = nearest(b[7:9], b)
    assert distances.tolist() == [0, 0]
    assert which.tolist() == [7, 8]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_raise(bad):
    with pytest.raises(ValueError, match="not finite"):
        checked(np.array([[1.0], [bad]]))


def test_too_few_rows_raise():
    with pytest.raises(ValueError, match="at least 2"):
        checked(np.ones((1, 3)))


@pytest.mark.parametrize(("n", "m", "d"), [(3, 4, 20), (30, 40, 20)])
def test_compacted_sets_keep_their_distances_in_at_most_as_many_axes_as_items(n, m, d):
    a, b = points(n, 0, d), points(m, 1, d)
    less_a, less_b = compact(a, b)
    assert less_a.shape == (n, min(d, n + m))
    np.testing.assert_allclose(cdist(less_a, less_b), cdist(a, b))
    np.testing.assert_allclose(np.linalg.norm(less_b, axis=1), np.linalg.norm(b, axis=1))
