"""torch-fidelity's evaluation of images with Inception's features, KID once and over all pairs, as ours is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torch_fidelity.utils import get_featuresdict_from_dataset

from library.evaluators import Images, Scores
from pipeline.evaluation.metrics.prdc import NEIGHBOURS

BATCH = 64
"""Its default."""


class Coloured(Dataset[Tensor]):
    """Images with three channels, as torch-fidelity takes them."""

    def __init__(self, array: NDArray[np.uint8]) -> None:
        self.array = torch.from_numpy(array.repeat(3 // array.shape[1], axis=1))

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, i: int) -> Tensor:
        return self.array[i]


class TorchFidelity:
    """`calculate_metrics`, which keeps the reference under a name in its cache."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def features(self, images: Images) -> Callable[[], object]:
        extractor, array = network(images.weights), Coloured(images.samples)
        return lambda: get_featuresdict_from_dataset(array, extractor, self.batch, False, True, False)

    def first(self, images: Images, kept: Path) -> Scores:
        return calculated(
            images.samples,
            images.real,
            images.weights,
            input2_cache_name="reference",
            cache_root=str(kept),
            prc=True,
            prc_neighborhood=NEIGHBOURS,
            batch_size=self.batch,
            verbose=False,
        )

    further = first


def network(path: Path) -> FeatureExtractorInceptionV3:
    """Return its network with weights from a file."""
    return FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=path)


def calculated(samples: NDArray[np.uint8], real: NDArray[np.uint8], path: Path, **settings: Any) -> Scores:
    """Return FID, KID and others by `calculate_metrics`, under our names, with its own loading and resizing."""
    found: Scores = calculate_metrics(
        input1=Coloured(samples),
        input2=Coloured(real),
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(path),
        fid=True,
        kid=True,
        kid_subsets=1,
        kid_subset_size=len(real),
        save_cpu_ram=True,  # no loader processes, which would cost more than they save
        cuda=False,
        **settings,
    )
    names = {"frechet_inception_distance": "FID", "kernel_inception_distance_mean": "KID"}
    return {names.get(name, name): value for name, value in found.items() if name in {*names, "precision", "recall"}}


def metrics(real: NDArray[np.float32], sampled: NDArray[np.float32]) -> Scores:
    """Return its scores of features that are already computed."""
    sets = torch.from_numpy(sampled), torch.from_numpy(real)
    fid = fid_statistics_to_metric(*map(fid_features_to_statistics, sets), verbose=False)
    kernel = kid_features_to_metric(*sets, kid_subsets=1, kid_subset_size=len(real), verbose=False)
    return fid | kernel | prc_features_to_metric(*sets, prc_neighborhood=NEIGHBOURS, verbose=False)
