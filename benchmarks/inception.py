"""Inception's features: how fast, against torch-fidelity's own network in turn, and whether distances agree.

Speed is that of batches of grey images of 28 pixels, in seconds of the processor and by the clock, each step of what
makes it faster by itself: the median of the ratios of rounds. Distances are those of two sets of images from
data/prepared, by `torch_fidelity.calculate_metrics` with its own loading, resizing and features, and by ours; KID is
the estimate over all pairs (one subset of all images). How much is left to gain is told by a product of large matrices,
which is as fast as a processor can multiply and add.
Without the published weights, `python tests/inception_weights.py FILE` writes random ones.
Run from a workspace that has data/prepared: python benchmarks/inception.py [--weights FILE] [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset
from torch.utils.flop_counter import FlopCounterMode
from torch_fidelity import calculate_metrics
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from turns import Spread, in_turn, ratios

from pipeline.data.prepared import PreparedData
from pipeline.evaluation.extractors import weights
from pipeline.evaluation.extractors.inception import BATCH, Inception
from pipeline.evaluation.metrics.frechet import frechet
from pipeline.evaluation.metrics.kernel import kid
from pipeline.system import project

THEIR_BATCH = 64
"""Their default."""
ROWS, PRODUCTS = 2048, 20
"""Of square matrices, and how many times they are multiplied."""


class Coloured(Dataset[Tensor]):
    """Images as torch-fidelity takes them: three channels."""

    def __init__(self, array: NDArray[np.uint8]) -> None:
        self.array = torch.from_numpy(array.repeat(3 // array.shape[1], axis=1))

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, i: int) -> Tensor:
        return self.array[i]


def batched(network: nn.Module, batch: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Return what computes features of images by their network, some at a time."""

    @torch.no_grad()
    def features(array: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = Coloured(array).array.split(batch)
        return np.concatenate([network(part)[0].numpy() for part in parts])

    return features


def speed(path: Path, ours: Inception, array: NDArray[np.uint8], rounds: int) -> None:
    """Print how fast each way is, and how far its features are from theirs."""
    theirs = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=path)
    last = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=path)
    ways = {
        "torch-fidelity": batched(theirs, THEIR_BATCH),
        f"batches of {BATCH}": batched(theirs, BATCH),
        "and channels last": batched(last.to(memory_format=torch.channels_last), BATCH),
        "and folded, and resized by matrices": ours.features,
    }
    expected = ways["torch-fidelity"](array)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            begin = time.process_time(), time.perf_counter()
            found = way(array)
            seconds[name].append((time.process_time() - begin[0], time.perf_counter() - begin[1]))
            error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
            print(f"{name:36} {len(array) / seconds[name][-1][1]:5.1f} images/s, {error:.1e} apart", flush=True)
    base = seconds["torch-fidelity"]
    for name, each in seconds.items():
        cpu, clock = ([b[i] / e[i] for b, e in zip(base, each, strict=True)] for i in (0, 1))
        said = f"{statistics.median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f})"
        print(f"{name:36} faster {said} in processor time, {statistics.median(clock):.2f} by the clock", flush=True)


def arithmetic(ours: Inception, array: NDArray[np.uint8], rounds: int) -> None:
    """Print the operations a second of the network, and those of a product of large matrices, in turn."""
    with FlopCounterMode(display=False) as counter:
        ours.features(array[:1])
    one, other = torch.rand(2, ROWS, ROWS)

    def network() -> float:
        begin = time.perf_counter()
        ours.features(array)
        return counter.get_total_flops() * len(array) / (time.perf_counter() - begin) / 1e9

    def product() -> float:
        begin = time.perf_counter()
        for _ in range(PRODUCTS):
            one @ other
        return 2 * PRODUCTS * ROWS**3 / (time.perf_counter() - begin) / 1e9

    found = in_turn({"network": network, "product": product}, rounds)
    for name, rates in found.items():
        print(f"{name}: {Spread.of(rates)} GFLOP/s")
    print(f"network over product: {ratios(found['network'], found['product'])}", flush=True)


def agreement(path: Path, ours: Inception, real: NDArray[np.uint8], generated: NDArray[np.uint8]) -> None:
    """Print both distances, theirs and ours."""
    theirs = calculate_metrics(
        input1=Coloured(real),
        input2=Coloured(generated),
        cuda=False,
        fid=True,
        kid=True,
        kid_subsets=1,
        kid_subset_size=len(real),
        feature_extractor_weights_path=str(path),
        save_cpu_ram=True,
        cache=False,
    )
    a, b = ours.features(real), ours.features(generated)
    for name, their, our in (
        ("FID", theirs["frechet_inception_distance"], frechet(a, b).value),
        ("KID", theirs["kernel_inception_distance_mean"], kid(a, b).value),
    ):
        print(f"{name} of {len(real)} images: {their:.9g} and {our:.9g}, {abs(our / their - 1):.1e} apart", flush=True)


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path("data/weights"))
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--timed", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    data = PreparedData.open(project.workspace())
    path = weights.find(words.weights)
    ours = Inception(weights.read(path), "float32", data.spec)
    timed = np.array(data.array("test")[: words.timed])
    speed(path, ours, timed, words.rounds)
    arithmetic(ours, timed, words.rounds)
    # the second set is darker, so that there is a distance to agree on
    pair = np.array(data.array("train")[: 2 * words.images])
    agreement(path, ours, pair[: words.images], pair[words.images :] // 2)


if __name__ == "__main__":
    main()
