"""The images of an evaluation, and the pipeline's evaluator, as the stages `features` and `evaluate` work.

An evaluator loads its network with given weights in float32 and computes the scores that it offers. `features` loads
the network and returns a function that computes the features of the samples; `first` evaluates a first model and keeps
what it can of the reference in a folder; `further` evaluates a further model. Files are read in the process that
computes: with small images, loader processes cost more than they save.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.contents.base import DataSpec
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import extractors
from pipeline.evaluation.extractors import weights
from pipeline.evaluation.extractors.inception import Inception
from pipeline.evaluation.metrics.features import compact
from pipeline.evaluation.metrics.frechet import distance, frechet, frechet_infinity, moments
from pipeline.evaluation.metrics.kernel import kid
from pipeline.evaluation.metrics.prdc import prdc
from pipeline.evaluation.reference import Reference

Scores = dict[str, float]


class Images(NamedTuple):
    """Reference and samples (n, channels, height, width) of uint8, the same as folders of PNG, and the weights."""

    real: NDArray[np.uint8]
    samples: NDArray[np.uint8]
    folders: tuple[Path, Path]
    weights: Path
    spec: DataSpec

    @classmethod
    def of(cls, data: PreparedData, n: int, path: Path, folder: Path) -> Images:
        """Return n items of test, and n of train made darker so that the distance is not 0."""
        sets = np.array(data.array("test")[:n]), np.array(data.array("train")[:n]) // 2
        folders = folder / "real", folder / "samples"
        for place, array in zip(folders, sets, strict=True):
            place.mkdir()
            for i, image in enumerate(array.repeat(3 // array.shape[1], axis=1)):
                Image.fromarray(image.transpose(1, 2, 0)).save(place / f"{i:06}.png")
        return cls(*sets, folders, path, data.spec)


class Ours:
    """The extractor and some of the metrics; keeps the features of the reference."""

    def __init__(self, metrics: Callable[[NDArray[np.float32], NDArray[np.float32]], Scores]) -> None:
        self.metrics = metrics

    def features(self, images: Images) -> Callable[[], object]:
        network = Inception(weights.read(images.weights), "float32", images.spec)
        return lambda: network.features(images.samples)

    def first(self, images: Images, kept: Path) -> Scores:
        network = Inception(weights.read(images.weights), "float32", images.spec)
        real = network.features(images.real)
        network.save(kept)
        Reference(real, real[:0], np.arange(0)).write(kept)
        return self.metrics(real, network.features(images.samples))

    def further(self, images: Images, kept: Path) -> Scores:
        network = extractors.load(kept, images.spec)
        return self.metrics(Reference.read(kept).test, network.features(images.samples))


def same(real: NDArray[np.float32], sampled: NDArray[np.float32]) -> Scores:
    """Return the scores that torch-fidelity offers too, with density and coverage, which come with precision."""
    fid = distance(*map(moments, compact(real, sampled)))
    neighbours = {name: estimate.value for name, estimate in prdc(real, sampled).items()}
    return {"FID": fid, "KID": kid(real, sampled).value, **neighbours}


def everything(real: NDArray[np.float32], sampled: NDArray[np.float32]) -> Scores:
    """Return these scores as `evaluate` computes them: with intervals and the distance at infinitely many samples."""
    rng, (a, b) = np.random.default_rng(0), compact(real, sampled)
    plain = frechet(a, b)
    infinity = frechet_infinity(a, b, rng, plain)
    found = {"FID": plain, "FID at infinity": infinity, "KID": kid(real, sampled), **prdc(real, sampled)}
    bounds = {f"{name}, lower bound": estimate.interval(rng)[0] for name, estimate in found.items()}
    return {name: estimate.value for name, estimate in found.items()} | bounds
