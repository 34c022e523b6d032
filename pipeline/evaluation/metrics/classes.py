"""Comparison of the predicted classes of samples and of real items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics.estimates import Estimate, mean
from pipeline.evaluation.metrics.features import SAMPLES, TEST


def of_classes(real: NDArray[np.floating], generated: NDArray[np.floating]) -> dict[str, Estimate]:
    """Return the class confidence of samples, that of real items as its floor, and the class distance.

    The inputs are the probability of each class, (n, classes). Confidence is the mean of the largest one.
    """
    return {
        "class_confidence": mean(generated.max(axis=1), SAMPLES),
        "class_confidence_floor": Estimate(float(real.max(axis=1).mean())),
        "class_distance": class_distance(real.argmax(axis=1), generated.argmax(axis=1)),
    }


def class_distance(real: NDArray[np.integer], generated: NDArray[np.integer]) -> Estimate:
    """Return the total variation distance of two histograms of classes, from 0 to 1: half the sum of |p - q|.

    Its interval is valid where the distributions differ; where they are equal, the distance is above 0 by chance alone.
    """
    classes = 1 + int(max(real.max(), generated.max()))
    p, q = (np.bincount(each, minlength=classes) / len(each) for each in (real, generated))
    sign = np.sign(q - p) / 2
    value = float(np.abs(q - p).sum() / 2)
    return Estimate(value, {SAMPLES: sign[generated] - sign @ q, TEST: sign @ p - sign[real]})
