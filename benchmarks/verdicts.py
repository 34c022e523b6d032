"""How often a verdict is wrong on two equal models, and how often it finds a small difference.

Real items have 16 normal features; the samples of both models come from a normal that is a little off. In further runs
b's normal is moved part of the way to the real one. Reconstruction errors are log-normal, correlated over items as
those of two models are, and b's are smaller by the same share.
python benchmarks/verdicts.py [--rounds 300]
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
from numpy.typing import NDArray
from tqdm import trange

from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.metrics.estimates import mean
from pipeline.evaluation.metrics.features import TEST
from pipeline.evaluation.metrics.frechet import frechet
from pipeline.evaluation.metrics.kernel import kid
from pipeline.evaluation.metrics.memorisation import copies
from pipeline.evaluation.metrics.prdc import prdc
from pipeline.registry.comparison import compare

FEATURES, REAL, SAMPLES, TRAIN = 16, 600, 600, 1800
OFF = 0.3
"""Distance of each feature's mean in a from the real one, in standard deviations."""


def evidence(
    real: NDArray[np.float64], train: NDArray[np.float64], samples: NDArray[np.float64], errors: NDArray[np.float64]
) -> Evidence:
    """Return the evidence that an evaluation would save."""
    estimates = {
        "fid_in_domain": frechet(real, samples),
        "kid_in_domain": kid(real, samples),
        **prdc(real, samples),
        "memorisation": copies(train, real, samples).share,
        "reconstruction_loss": mean(errors, TEST),
    }
    return Evidence({"seed": 0}, estimates)


def rates(rounds: int, gain: float) -> dict[str, Counter[str]]:
    """Count the verdicts on each score if b is nearer to the real items than a by a share of `gain`."""
    found: dict[str, Counter[str]] = {}
    for turn in trange(rounds, desc=f"b better by {gain:.0%}"):
        rng = np.random.default_rng([turn, int(1000 * gain)])
        real, train = rng.normal(size=(REAL, FEATURES)), rng.normal(size=(TRAIN, FEATURES))
        hardness = rng.normal(size=REAL)
        sides = []
        for less in (0.0, gain):
            samples = rng.normal(OFF * (1 - less), 1, (SAMPLES, FEATURES))
            errors = np.exp(hardness + 0.3 * rng.normal(size=REAL)) * (1 - less)
            sides.append(evidence(real, train, samples, errors))
        for verdict in compare(*sides):
            found.setdefault(verdict.score, Counter())[verdict.word] += 1
    return found


def main() -> None:
    """Simulate, and print the rate of each verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    words = parser.parse_args()
    for gain in (0.0, 0.1, 0.3):
        for score, counts in rates(words.rounds, gain).items():
            shares = ", ".join(f"{word} {counts[word] / words.rounds:.3f}" for word in ("better", "worse", "undecided"))
            print(f"b nearer by {gain:.0%}: {score:20} {shares}", flush=True)


if __name__ == "__main__":
    main()
