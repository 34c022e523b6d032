import numpy as np
import pytest

from pipeline.evaluation.metrics.memorisation import copies


def items(n, seed=0, d=6):
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_planted_copies_are_detected_and_their_share_is_estimated(share):
    train, test = items(2000), items(2000, 1)
    n = int(share * 1000)
    found = copies(train, test, np.concatenate([train[:n], items(1000 - n, 2)])).share
    low, high = found.interval(np.random.default_rng(0))
    assert low > 0
    assert low <= share <= high + 1e-9


def test_copies_with_a_little_noise_are_detected():
    train = items(2000)
    found = copies(train, items(600, 1), train[:500] + 0.02 * items(500, 2)).share
    assert found.value > 0.9


@pytest.mark.parametrize("scale", [0.3, 1.0, 1.5])
def test_a_smooth_model_passes_though_its_samples_are_nearer_to_the_centre_than_data(scale):
    shares = [copies(items(700, s), items(200, s + 1000), scale * items(200, s + 2000)).share for s in range(60)]
    assert abs(np.mean([each.value for each in shares])) < 0.08
    caught = [each.interval(np.random.default_rng(0))[0] > 0 for each in shares]
    assert np.mean(caught) <= 0.1


def test_the_nearest_items_are_returned_with_their_distances():
    train = items(50)
    found = copies(train, items(30, 1), train[[3, 9]] + [[0.0], [1e-3]])
    assert found.sources.tolist() == [3, 9]
    assert found.distances == pytest.approx([0, 1e-3 * np.sqrt(6)])


def test_an_item_that_is_in_train_and_in_test_counts_half():
    train = items(300)
    expected = 300 / 400
    found = copies(train, np.concatenate([train[:1], items(99, 1)]), np.repeat(train[:1], 50, axis=0))
    assert found.share.value == pytest.approx((0.5 - expected) / (1 - expected))


def test_values_that_are_not_finite_raise():
    with pytest.raises(ValueError, match="not finite"):
        copies(items(9), items(9, 1), np.full((3, 6), np.nan))
