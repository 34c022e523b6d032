"""Inception's features: speed against torch-fidelity's own network, in turn, and agreement of the distances.

Each row adds one optimisation, on grey images of data/prepared: throughput by the clock, the difference of the features
to torch-fidelity's, and the ratio of seconds over rounds, of the processor and by the clock. The distances are those of
two sets of images, by `torch_fidelity.calculate_metrics` with its own loading, resizing and features, and by ours; KID
is over all pairs (one subset of all images).
`python tests/inception_weights.py FILE` writes random weights, for lack of the published ones.
Run from a workspace that has data/prepared: python benchmarks/inception.py [--weights FILE] [--rounds 5]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from library import fidelity
from library.turns import Spread, in_turn
from numpy.typing import NDArray
from torch import nn

from pipeline.data.prepared import PreparedData
from pipeline.evaluation.extractors import weights
from pipeline.evaluation.extractors.inception import BATCH, Inception
from pipeline.evaluation.metrics.frechet import frechet
from pipeline.evaluation.metrics.kernel import kid
from pipeline.system import project

Pixels = NDArray[np.uint8]
Features = NDArray[np.float32]


class Pass(NamedTuple):
    """Images a second by the clock, seconds of the processor and by the clock, and relative error of the features."""

    rate: float
    processor: float
    clock: float
    error: float


def batched(network: nn.Module, batch: int) -> Callable[[Pixels], Features]:
    """Return a function that computes features by torch-fidelity's network, so many images at a time."""

    @torch.no_grad()
    def features(array: Pixels) -> Features:
        parts = fidelity.Coloured(array).array.split(batch)
        return np.concatenate([network(part)[0].numpy() for part in parts])

    return features


def speed(path: Path, ours: Inception, array: Pixels, rounds: int) -> None:
    """Print the throughput of each way, the ratios to torch-fidelity, and the error of the features."""
    theirs, last = fidelity.network(path), fidelity.network(path).to(memory_format=torch.channels_last)
    ways = {
        "torch-fidelity": batched(theirs, fidelity.BATCH),
        f"batches of {BATCH}": batched(theirs, BATCH),
        "and channels last": batched(last, BATCH),
        "and folded, and resized by matrices": ours.features,
    }
    expected = ways["torch-fidelity"](array)

    def measured(way: Callable[[Pixels], Features]) -> Pass:
        begin = time.process_time(), time.perf_counter()
        found = way(array)
        processor, clock = time.process_time() - begin[0], time.perf_counter() - begin[1]
        return Pass(len(array) / clock, processor, clock, float(np.linalg.norm(found - expected)))

    found = in_turn({name: lambda way=way: measured(way) for name, way in ways.items()}, rounds, attrgetter("rate"))
    for name, passes in found.items():
        pairs = list(zip(found["torch-fidelity"], passes, strict=True))
        processor = Spread.of([base.processor / each.processor for base, each in pairs])
        clock = Spread.of([base.clock / each.clock for base, each in pairs])
        error = passes[-1].error / np.linalg.norm(expected)
        print(f"{name:36} {Spread.of([each.rate for each in passes])} images/s, {error:.1e} apart")
        print(f"{'':36} faster {processor} in processor time, {clock.median:.2f} by the clock", flush=True)


def agreement(path: Path, ours: Inception, real: Pixels, generated: Pixels) -> None:
    """Print both distances by torch-fidelity and by ours, and their relative differences."""
    theirs = fidelity.calculated(generated, real, path, cache=False)
    a, b = ours.features(real), ours.features(generated)
    for name, score in {"FID": frechet(a, b).value, "KID": kid(a, b).value}.items():
        apart = abs(score / theirs[name] - 1)
        print(f"{name} of {len(real)} images: {theirs[name]:.9g} and {score:.9g}, {apart:.1e} apart", flush=True)


def main() -> None:
    """Measure speed and agreement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path("data/weights"))
    parser.add_argument("--images", type=int, default=2000, help="of each set that is compared")
    parser.add_argument("--timed", type=int, default=64, help="images of a timed pass")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    data = PreparedData.open(project.workspace())
    path = weights.find(words.weights)
    ours = Inception(weights.read(path), "float32", data.spec)
    speed(path, ours, np.array(data.array("test")[: words.timed]), words.rounds)
    # the second set is darker, so that the distance is not 0
    pair = np.array(data.array("train")[: 2 * words.images])
    agreement(path, ours, pair[: words.images], pair[words.images :] // 2)


if __name__ == "__main__":
    main()
