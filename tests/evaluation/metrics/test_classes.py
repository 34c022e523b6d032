import numpy as np
import pytest

from pipeline.evaluation.metrics.classes import class_distance, of_classes


def test_the_distance_is_half_the_sum_of_differences():
    assert class_distance(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])).value == pytest.approx(0.25)


def test_the_distance_is_0_for_equal_shares_and_1_for_disjoint_classes():
    assert class_distance(np.array([0, 1]), np.array([1, 0, 0, 1])).value == 0
    assert class_distance(np.array([0, 1]), np.array([2, 2])).value == 1


def test_confidence_is_the_probability_of_the_likeliest_class_whichever_it_is():
    real = np.array([[0.9, 0.1], [0.2, 0.8]])
    samples = np.array([[0.6, 0.4], [0.4, 0.6], [0.0, 1.0], [0.5, 0.5]])
    found = of_classes(real, samples)
    assert found["class_confidence"].value == pytest.approx(0.675)
    assert found["class_confidence_floor"].value == pytest.approx(0.85)
    assert found["class_distance"].value == class_distance(np.array([0, 1]), np.array([0, 1, 1, 0])).value
    low, high = found["class_confidence"].interval(np.random.default_rng(0))
    assert 0.5 < low < 0.675 < high < 1


@pytest.mark.slow
def test_intervals_contain_the_truth_about_as_often_as_their_level():
    p, q, held = [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        found = class_distance(rng.choice(3, 400, p=p), rng.choice(3, 300, p=q))
        low, high = found.interval(rng)
        held += low <= 0.3 <= high
    assert 0.9 <= held / 300 <= 0.98
