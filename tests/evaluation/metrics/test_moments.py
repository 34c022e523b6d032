import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.metrics.frechet import RunningMoments


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 40), seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 40), max_size=5))
def test_moments_of_a_stream_are_those_of_the_whole_however_it_is_cut(n, seed, cuts):
    a, running = np.random.default_rng(seed).normal(5, 2, (n, 6)), RunningMoments(6)
    for part in np.split(a, sorted(min(cut, len(a)) for cut in cuts)):
        running.add(part)
    np.testing.assert_allclose(running.moments().mean, a.mean(0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(running.moments().covariance, np.cov(a, rowvar=False), rtol=1e-9, atol=1e-9)


def test_a_stream_far_from_zero_loses_no_digits():
    a, running = np.random.default_rng(0).normal(size=(1000, 6)), RunningMoments(6)
    for part in np.split(a + 1e7, 100):
        running.add(part)
    np.testing.assert_allclose(running.moments().covariance, np.cov(a, rowvar=False), rtol=1e-6)
