"""Whether a score distinguishes a copier from a smooth model: the share of copies, and the C_T of Meehan et al. 2020.

The sets of samples are those of model/, the same with every tenth replaced by an item of train, items of train alone,
and these with a little noise, in the features of the extractor and in pixels. C_T here is the probability that a sample
lies nearer to train than an item of test does: 0.5 means no copying.
Run from a workspace in which `dvc repro` ran: python benchmarks/copies.py [--samples 2000]
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from pipeline.data.prepared import PreparedData
from pipeline.evaluation import extractors
from pipeline.evaluation.metrics.features import nearest
from pipeline.evaluation.metrics.memorisation import copies
from pipeline.models import storage
from pipeline.system import project

NOISE = 0.05
"""Standard deviation of the noise, as a share of each coordinate's over train."""


def rank(train: NDArray[np.float64], test: NDArray[np.float64], samples: NDArray[np.float64]) -> float:
    """Return the probability that a sample is nearer to train than an item of test is; ties count half."""
    of_samples, of_test = (nearest(each, train)[0][:, None] for each in (samples, test))
    return float((of_samples < of_test.T).mean() + 0.5 * (of_samples == of_test.T).mean())


def main() -> None:
    """Print both scores of each set of samples in each space."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2000)
    words = parser.parse_args()
    workspace = project.workspace()
    data, model = PreparedData.open(workspace), storage.load(workspace / project.MODEL)
    extractor = extractors.load(workspace / project.FEATURES, data.spec)
    arrays = [np.array(data.array("train")), np.array(data.array("test")), model.sample(words.samples, 0)]
    spaces = {
        "features": [extractor.features(each).astype(np.float64) for each in arrays],
        "pixels": [each.reshape(len(each), -1) / 255 for each in arrays],
    }
    for space, (train, test, samples) in spaces.items():
        rng = np.random.default_rng(0)
        picked = train[rng.permutation(len(train))[: len(samples)]]
        mixed = samples.copy()
        mixed[::10] = picked[: len(mixed[::10])]
        noisy = picked + NOISE * train.std(0) * rng.normal(size=picked.shape)
        sets = {"the model": samples, "every tenth copied": mixed, "a copier": picked, "a copier with noise": noisy}
        for name, drawn in sets.items():
            share = copies(train, test, drawn).share
            low, high = share.interval(rng)
            print(
                f"{space:8} {name:20} copies {share.value:.3f} ({low:.3f} to {high:.3f}), "
                f"C_T {rank(train, test, drawn):.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
