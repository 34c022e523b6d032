import numpy as np
import pytest

from pipeline.metrics.classes import class_distance


def test_the_distance_is_half_the_sum_of_differences():
    assert class_distance(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])).value == pytest.approx(0.25)


def test_the_distance_is_zero_for_the_same_shares_and_one_for_classes_apart():
    assert class_distance(np.array([0, 1]), np.array([1, 0, 0, 1])).value == 0
    assert class_distance(np.array([0, 1]), np.array([2, 2])).value == 1


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say():
    p, q, held = [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        found = class_distance(rng.choice(3, 400, p=p), rng.choice(3, 300, p=q))
        low, high = found.interval(rng)
        held += low <= 0.3 <= high
    assert 0.9 <= held / 300 <= 0.98
