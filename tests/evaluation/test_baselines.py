import numpy as np

from pipeline.contents.base import DataSpec
from pipeline.evaluation.baselines import ClassMean

SPEC = DataSpec((1, 4, 4), "grid")


def test_samples_of_a_class_mean_have_the_means_and_deviations_of_the_classes():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [3000, 1000])
    items = rng.normal(np.where(labels, 180, 60)[:, None, None, None], 10, (4000, 1, 4, 4)).round().astype(np.uint8)
    samples = ClassMean(items, labels, SPEC).sample(4000, rng)
    assert samples.dtype == np.uint8
    bright = samples.mean((1, 2, 3)) > 120
    assert abs(bright.mean() - 0.25) < 0.03
    np.testing.assert_allclose(samples[bright].mean(0), 180, atol=2)
    np.testing.assert_allclose(samples[~bright].std(0), 10, atol=1)


def test_samples_of_a_class_mean_never_leave_the_levels():
    items = np.array([[[[0, 255]]], [[[255, 0]]]], np.uint8)
    samples = ClassMean(items, np.array([0, 0]), DataSpec((1, 1, 2), "grid")).sample(500, np.random.default_rng(0))
    assert samples.min() == 0
    assert samples.max() == 255


def test_a_class_that_has_no_items_is_never_drawn():
    items = np.full((10, 1, 4, 4), 7, np.uint8)
    assert (ClassMean(items, np.full(10, 3), SPEC).sample(20, np.random.default_rng(0)) == 7).all()
