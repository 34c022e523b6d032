"""The evaluation of images by pytorch-fid and clean-fid, with Inception's features."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from cleanfid import fid as clean
from cleanfid.features import feature_extractor
from numpy.typing import NDArray
from pytorch_fid import fid_score, inception

from library.evaluators import Images, Scores
from pipeline.evaluation.extractors.inception import DIMENSIONS


class PytorchFid:
    """The two commands of pytorch-fid, which keeps the statistics of the reference in its .npz."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def features(self, images: Images) -> Callable[[], object]:
        with given("pytorch_fid.inception", images.weights):
            network = inception.InceptionV3()
        files = sorted(images.folders[1].iterdir())
        return lambda: fid_score.get_activations(files, network, self.batch, num_workers=0)

    def first(self, images: Images, kept: Path) -> Scores:
        with given("pytorch_fid.inception", images.weights):
            fid_score.save_fid_stats([str(images.folders[0]), str(kept / "real.npz")], self.batch, "cpu", DIMENSIONS, 0)
        return self.further(images, kept)

    def further(self, images: Images, kept: Path) -> Scores:
        paths = [str(kept / "real.npz"), str(images.folders[1])]
        with given("pytorch_fid.inception", images.weights):
            return {"FID": fid_score.calculate_fid_given_paths(paths, self.batch, "cpu", DIMENSIONS, 0)}


class CleanFid:
    """The resizing, distances and network of clean-fid; keeps the statistics of the reference in memory.

    Both distances share one pass over the images. The network is that of its `legacy_pytorch`, since the TorchScript
    network of `clean` cannot take other weights.
    """

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.kept: dict[str, Any] = {}

    def features(self, images: Images) -> Callable[[], object]:
        network = self.network(images)
        return lambda: self.drawn(network, images.folders[1])

    def first(self, images: Images, kept: Path) -> Scores:
        network = self.network(images)
        self.kept = self.statistics(network, images.folders[0])
        return self.scores(network, images)

    def further(self, images: Images, kept: Path) -> Scores:
        return self.scores(self.network(images), images)

    def network(self, images: Images) -> Any:
        with given("cleanfid.inception_pytorch", images.weights):
            return feature_extractor("pytorch_inception", torch.device("cpu"))

    def drawn(self, network: Any, folder: Path) -> NDArray[np.float32]:
        found: NDArray[np.float32] = clean.get_folder_features(
            str(folder), network, num_workers=0, batch_size=self.batch, device=torch.device("cpu"), verbose=False
        )
        return found

    def statistics(self, network: Any, folder: Path) -> dict[str, Any]:
        found = self.drawn(network, folder)
        return {"features": found, "mu": found.mean(0), "sigma": np.cov(found, rowvar=False)}

    def scores(self, network: Any, images: Images) -> Scores:
        a, b = self.kept, self.statistics(network, images.folders[1])
        try:
            fid = clean.frechet_distance(a["mu"], a["sigma"], b["mu"], b["sigma"])
        except ValueError:  # with fewer images than features its root can be imaginary
            fid = math.nan
        return {"FID": fid, "KID": clean.kernel_distance(a["features"], b["features"])}


def given(module: str, path: Path) -> Any:
    """Give a package that would download the weights those of a file."""
    return mock.patch(f"{module}.load_state_dict_from_url", return_value=torch.load(path, weights_only=True))
