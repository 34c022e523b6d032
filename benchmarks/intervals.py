"""How often intervals of 95 % contain the expectation of their score, on normal data, and how wide they are.

The expectation is known for the extrapolated Frechet distance and for the share of copies; for the others it is their
mean over all rounds.
python benchmarks/intervals.py [--rounds 200]
"""

from __future__ import annotations

import argparse

import numpy as np
from tqdm import trange

from pipeline.evaluation.metrics.estimates import Estimate
from pipeline.evaluation.metrics.frechet import Moments, distance, frechet, frechet_infinity
from pipeline.evaluation.metrics.kernel import kid
from pipeline.evaluation.metrics.memorisation import copies
from pipeline.evaluation.metrics.prdc import prdc

FEATURES, ITEMS = 5, 500


def estimates(rng: np.random.Generator, mixing: np.ndarray) -> dict[str, Estimate]:
    """Return the scores of one draw of real items and samples."""
    real, samples = rng.normal(size=(ITEMS, FEATURES)), rng.normal(size=(ITEMS, FEATURES)) @ mixing.T + 0.2
    train = rng.normal(size=(3 * ITEMS, FEATURES))
    return {
        "frechet": frechet(real, samples),
        "frechet, extrapolated": frechet_infinity(real, samples, rng),
        "kernel": kid(real, samples),
        **prdc(real, samples),
        "memorisation": copies(train, real, samples).share,
    }


def main() -> None:
    """Simulate, and print a line for each score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    words = parser.parse_args()
    mixing = np.random.default_rng(0).normal(size=(FEATURES, FEATURES)) / 2 + np.eye(FEATURES)
    normals = [Moments(np.zeros(FEATURES), np.eye(FEATURES)), Moments(np.full(FEATURES, 0.2), mixing @ mixing.T)]
    truths = {"frechet, extrapolated": distance(*normals), "memorisation": 0.0}
    drawn = [estimates(np.random.default_rng(turn + 1), mixing) for turn in trange(words.rounds)]
    for name in drawn[0]:
        values = np.array([each[name].value for each in drawn])
        bounds = np.array([each[name].interval(np.random.default_rng(turn)) for turn, each in enumerate(drawn)])
        truth = truths.get(name, values.mean())
        held = ((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean()
        spread, width = values.std(), np.diff(bounds).mean() / 3.92
        print(f"{name:22} held {held:.3f}, spread {spread:.4f}, estimated by the intervals {width:.4f}", flush=True)


if __name__ == "__main__":
    main()
