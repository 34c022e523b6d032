import tracemalloc

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.image.fid import _compute_fid

from pipeline.evaluation.metrics import frechet as module
from pipeline.evaluation.metrics.frechet import Moments, distance, frechet_infinity, moments


def frechet(a, b):
    return module.frechet(a, b).value


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
def test_shifting_a_set_adds_the_square_of_the_shift(a, shift):
    assert frechet(a, a + shift) == pytest.approx(6 * shift**2, rel=1e-6, abs=1e-5 * max(1.0, np.square(a).sum()))


def test_the_order_of_items_does_not_matter():
    a, b = features(50, 6), features(60, 6, 1)
    assert frechet(a, b) == pytest.approx(frechet(a[::-1], np.random.default_rng(0).permutation(b)))


def test_two_normals_of_one_dimension_have_the_closed_form():
    found = distance(Moments(np.array([1.0]), np.array([[4.0]])), Moments(np.array([-2.0]), np.array([[9.0]])))
    assert found == pytest.approx((1 + 2) ** 2 + (2 - 3) ** 2)


def test_normals_whose_covariances_commute_have_the_closed_form():
    rng = np.random.default_rng(0)
    axes, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    a, b = rng.uniform(0.1, 4, (2, 5))
    mean = rng.normal(size=5)
    one, other = Moments(mean, axes @ np.diag(a) @ axes.T), Moments(np.zeros(5), axes @ np.diag(b) @ axes.T)
    found = distance(one, other)
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
    found = distance(Moments(mean_a, cov_a), Moments(mean_b, cov_b))
    assert found == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_agrees_with_torchmetrics(seed):
    ours = moments(features(80, 12, seed)), moments(features(90, 12, seed + 9, 1.0))
    theirs = _compute_fid(*(torch.from_numpy(each) for both in ours for each in both)).item()
    assert distance(*ours) == pytest.approx(theirs, rel=1e-8)


@pytest.mark.parametrize("n", [2, 5, 30])
def test_fewer_samples_than_features_stay_real_and_finite(n):
    found = frechet(features(n, 64), features(n, 64, 1))
    assert isinstance(found, float)
    assert np.isfinite(found)
    assert found > 0
    assert frechet(features(n, 64), features(n, 64)) == pytest.approx(0, abs=1e-3)


def test_constant_features_have_a_distance():
    assert frechet(np.zeros((10, 4)), np.ones((10, 4))) == pytest.approx(4)


def test_single_precision_is_summed_in_double_precision():
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


def without(features, i):
    return np.delete(features, i, axis=0)


@pytest.mark.parametrize("place", [0, 1])
def test_an_influence_is_what_the_distance_falls_by_without_that_item(place):
    sets = [features(400, 4), features(300, 4, 1, 0.5)]
    whole = module.frechet(*sets)
    part = whole.parts[("test", "samples")[place]]
    n = len(sets[place])
    changes = []
    for i in range(0, n, 10):
        less = list(sets)
        less[place] = without(sets[place], i)
        changes.append((n - 1) * (whole.value - frechet(*less)))
    # differences of the jackknife are not centred, as the bias also changes with n
    np.testing.assert_allclose(
        changes - np.mean(changes), part[::10] - part[::10].mean(), rtol=0.05, atol=0.1 * part.std()
    )


def test_few_samples_bias_the_plain_distance_but_not_the_extrapolated_one():
    rng = np.random.default_rng(0)
    real, more = rng.normal(size=(50_000, 16)), rng.normal(size=(40, 300, 16))
    plain = [frechet(real, few) for few in more]
    extrapolated = [frechet_infinity(real, few, np.random.default_rng(1)).value for few in more]
    assert np.mean(plain) > 0.25
    assert abs(np.mean(extrapolated)) < np.mean(plain) / 8


def test_the_extrapolated_distance_repeats_with_its_seed():
    a, b = features(90, 5), features(70, 5, 1)
    first, again, other = (frechet_infinity(a, b, np.random.default_rng(seed)).value for seed in (0, 0, 1))
    assert first == again != other


def test_scores_do_not_depend_on_the_number_of_blocks(monkeypatch):
    a, b = features(90, 5), features(70, 5, 1)
    whole = [module.frechet(a, b), frechet_infinity(a, b, np.random.default_rng(0))]
    monkeypatch.setattr("pipeline.evaluation.metrics.features.BLOCK", 5 * 8)
    parts = [module.frechet(a, b), frechet_infinity(a, b, np.random.default_rng(0))]
    for one, other in zip(whole, parts, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-9)
        for name, part in one.parts.items():
            np.testing.assert_allclose(other.parts[name], part, rtol=1e-8, atol=1e-8)


def test_memory_does_not_grow_with_features_in_a_file(monkeypatch, tmp_path):
    monkeypatch.setattr("pipeline.evaluation.metrics.features.BLOCK", 2**16)
    n, d = 50_000, 32
    on_disk = np.memmap(tmp_path / "features", np.float32, "w+", shape=(n, d))
    on_disk[:] = features(n, d)
    tracemalloc.start()
    try:
        moments(on_disk)
        of_moments = tracemalloc.get_traced_memory()[1]
        module.frechet(features(100, d), on_disk)
        of_all = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert of_moments < 4 * 8 * 2**16
    assert of_all < of_moments + 3 * 8 * n


def test_the_distances_of_fewer_items_than_features_are_the_plain_ones():
    a, few = moments(features(40, 8)), features(7, 8, 1)
    ends = np.array([2, 5, 7])
    found = list(module._distances_of_few(a, few, ends, module._factor(a.covariance)))
    assert found == pytest.approx([distance(a, moments(few[:end])) for end in ends], rel=1e-6)


@pytest.mark.parametrize(("n", "d"), [(60, 8), (9, 16), (40, 100)])
def test_the_extrapolated_distance_is_the_intercept_of_a_line_through_plain_ones(n, d):
    a, b = features(90, d), features(n, d, 1)
    ends = np.unique(np.linspace(n // 4, n, module.SIZES).astype(int))
    rng, found = np.random.default_rng(0), []
    for _ in range(module.ORDERS):
        order = rng.permutation(n)
        found.append([frechet(a, b[order[:end]]) for end in ends])
    intercept = np.polyfit(1 / ends, np.mean(found, axis=0), 1)[1]
    assert frechet_infinity(a, b, np.random.default_rng(0)).value == pytest.approx(intercept, rel=1e-6)


def test_influences_are_those_of_the_optimal_transport_even_with_a_constant_feature():
    a, b = features(80, 6), features(90, 6, 1, 0.5)
    a[:, 2] = b[:, 2] = 1.0
    (mean_a, cov_a), (mean_b, cov_b) = moments(a), moments(b)
    root, varying = np.zeros((6, 6)), np.ix_([0, 1, 3, 4, 5], [0, 1, 3, 4, 5])
    root[varying] = scipy.linalg.sqrtm(cov_a[varying]).real
    middle = np.zeros((6, 6))
    middle[varying] = np.linalg.inv(scipy.linalg.sqrtm((root @ cov_b @ root)[varying]).real)
    transport = root @ middle @ root
    for name, each, mean, other, form in (
        ("samples", b, mean_b, mean_a, transport),
        ("test", a, mean_a, mean_b, np.linalg.pinv(transport)),
    ):
        centred = each - mean
        expected = 2 * centred @ (mean - other) + np.square(centred).sum(1) - (centred @ form * centred).sum(1)
        np.testing.assert_allclose(module.frechet(a, b).parts[name], expected - expected.mean(), rtol=1e-6, atol=1e-6)


def test_the_extrapolated_distance_is_the_same_where_the_plain_one_is_given():
    a, b = features(90, 5), features(70, 5, 1)
    alone = frechet_infinity(a, b, np.random.default_rng(0))
    given = frechet_infinity(a, b, np.random.default_rng(0), module.frechet(a, b))
    assert alone.value == given.value
    for name, part in alone.parts.items():
        np.testing.assert_array_equal(part, given.parts[name])
