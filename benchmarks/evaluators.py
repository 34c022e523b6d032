"""Those that evaluate images with Inception's features: ours, torch-fidelity, pytorch-fid and clean-fid.

Each loads its network with the same weights in float32, and computes what it offers. Of the reference each keeps what
it can for further models: ours its features, as the stage `features` does, torch-fidelity its cache, pytorch-fid its
.npz, clean-fid its statistics, which stay in memory here. Files are read by the one process that computes, since more
of them cost more than they save where images are small.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from unittest import mock

import numpy as np
import torch
from cleanfid import fid as clean
from cleanfid.features import feature_extractor
from inception import Coloured
from numpy.typing import NDArray
from PIL import Image
from pytorch_fid import fid_score, inception
from torch_fidelity import calculate_metrics
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torch_fidelity.utils import get_featuresdict_from_dataset

from pipeline.contents.base import DataSpec
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import extractors
from pipeline.evaluation.extractors import weights
from pipeline.evaluation.extractors.inception import DIMENSIONS, Inception
from pipeline.evaluation.metrics.features import compact
from pipeline.evaluation.metrics.frechet import distance, frechet, frechet_infinity, moments
from pipeline.evaluation.metrics.kernel import kid
from pipeline.evaluation.metrics.prdc import NEIGHBOURS, prdc
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
        """Return n items of test, and n of train made darker, so that there is a distance to agree on."""
        sets = np.array(data.array("test")[:n]), np.array(data.array("train")[:n]) // 2
        folders = folder / "real", folder / "samples"
        for place, array in zip(folders, sets, strict=True):
            place.mkdir()
            for i, image in enumerate(array.repeat(3 // array.shape[1], axis=1)):
                Image.fromarray(image.transpose(1, 2, 0)).save(place / f"{i:06}.png")
        return cls(*sets, folders, path, data.spec)


class Contestant(Protocol):
    """What evaluates a first model, keeps what it can of the reference in a folder, and evaluates further ones."""

    def features(self, images: Images) -> Callable[[], object]:
        """Return what computes the features of the samples, the network loaded."""
        ...

    def first(self, images: Images, kept: Path) -> Scores: ...

    def further(self, images: Images, kept: Path) -> Scores: ...


class Ours:
    """The extractor and the metrics, as the stages `features` and `evaluate` use them."""

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


class TorchFidelity:
    """`calculate_metrics`, the reference under a name in its cache, and KID as ours is: once, over all pairs."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def features(self, images: Images) -> Callable[[], object]:
        network = FeatureExtractorInceptionV3("", ["2048"], feature_extractor_weights_path=images.weights)
        array = Coloured(images.samples)
        return lambda: get_featuresdict_from_dataset(array, network, self.batch, False, True, False)

    def first(self, images: Images, kept: Path) -> Scores:
        found = calculate_metrics(
            input1=Coloured(images.samples),
            input2=Coloured(images.real),
            input2_cache_name="reference",
            cache_root=str(kept),
            feature_extractor="inception-v3-compat",
            feature_extractor_weights_path=str(images.weights),
            fid=True,
            kid=True,
            prc=True,
            kid_subsets=1,
            kid_subset_size=len(images.real),
            prc_neighborhood=NEIGHBOURS,
            batch_size=self.batch,
            save_cpu_ram=True,  # no processes that load, which would cost more than they save
            cuda=False,
            verbose=False,
        )
        return {
            "FID": found["frechet_inception_distance"],
            "KID": found["kernel_inception_distance_mean"],
            "precision": found["precision"],
            "recall": found["recall"],
        }

    further = first


class PytorchFid:
    """Its two commands, the statistics of the reference in its .npz."""

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
    """Its resizing, its distances, each image gone through once for both, and its own network.

    That is the one of its `legacy_pytorch`: the TorchScript network of `clean` cannot take other weights.
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
        except ValueError:  # of fewer images than features its root can be imaginary, which it says at its end
            fid = math.nan
        return {"FID": fid, "KID": clean.kernel_distance(a["features"], b["features"])}


def given(module: str, path: Path) -> Any:
    """Let a package that would download the weights read them from a file."""
    return mock.patch(f"{module}.load_state_dict_from_url", return_value=torch.load(path, weights_only=True))


def same(real: NDArray[np.float32], sampled: NDArray[np.float32]) -> Scores:
    """Return by our metrics what torch-fidelity says too, and density and coverage, which come with the others."""
    fid = distance(*map(moments, compact(real, sampled)))
    neighbours = {name: estimate.value for name, estimate in prdc(real, sampled).items()}
    return {"FID": fid, "KID": kid(real, sampled).value, **neighbours}


def everything(real: NDArray[np.float32], sampled: NDArray[np.float32]) -> Scores:
    """Return what `evaluate` says of the same, with intervals and the distance at infinitely many samples."""
    rng, (a, b) = np.random.default_rng(0), compact(real, sampled)
    plain = frechet(a, b)
    infinity = frechet_infinity(a, b, rng, plain)
    found = {"FID": plain, "FID at infinity": infinity, "KID": kid(real, sampled), **prdc(real, sampled)}
    bounds = {f"{name}, lower bound": estimate.interval(rng)[0] for name, estimate in found.items()}
    return {name: estimate.value for name, estimate in found.items()} | bounds


def theirs(real: NDArray[np.float32], sampled: NDArray[np.float32]) -> Scores:
    """Return what torch-fidelity's metrics say of features, KID once and over all pairs, as ours is."""
    sets = torch.from_numpy(sampled), torch.from_numpy(real)
    fid = fid_statistics_to_metric(*map(fid_features_to_statistics, sets), verbose=False)
    kernel = kid_features_to_metric(*sets, kid_subsets=1, kid_subset_size=len(real), verbose=False)
    return fid | kernel | prc_features_to_metric(*sets, prc_neighborhood=NEIGHBOURS, verbose=False)


def contestants(batch: int | None = None) -> dict[str, Contestant]:
    """Return all of them, with batches of their defaults or of another size."""
    return {
        "ours": Ours(same),
        "torch-fidelity": TorchFidelity(batch or 64),
        "pytorch-fid": PytorchFid(batch or 50),
        "clean-fid": CleanFid(batch or 32),
        "ours, all": Ours(everything),
    }
