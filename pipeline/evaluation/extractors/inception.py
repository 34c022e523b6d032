"""Inception-v3 of 2015 (Szegedy et al. 2016), as torch-fidelity has it: 2,048 features before its classes.

The network, its weights and the resizing are torch-fidelity's, so that distances are those that others publish; how
they are computed is not: batch normalisation is folded into convolutions, channels come last, and batches are small.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.contents.base import DataSpec, Stored
from pipeline.data.prepared import PreparedData
from pipeline.evaluation.extractors import base, weights
from pipeline.params import FeaturesParams
from pipeline.system import progress, project, tensors
from pipeline.system.errors import ArtifactError, SourceError

SIDE, DIMENSIONS, BATCH = 299, 2048, 16


@dataclass(frozen=True)
class About:
    """What extractor.json says."""

    precision: Literal["float32", "bfloat16"]


class Inception:
    """The network, and how images get to its size."""

    name = "inception"
    kept = 10_000
    dimensions = DIMENSIONS

    def __init__(self, published: Mapping[str, Tensor], precision: str, spec: DataSpec) -> None:
        """Set the weights, by torch-fidelity's names, the network's arithmetic, and what images look like.

        Raises:
            RuntimeError, TypeError: the weights are not those of this network.
        """
        self.weights, self.precision = published, precision
        self.dtype: torch.dtype = getattr(torch, precision)
        self.network = _network(published).to(self.dtype)
        self.down, self.across = (_resizing(side) for side in spec.shape[1:])

    @property
    def protocol(self) -> dict[str, str]:
        """How its features are made."""
        return {
            "resize": f"bilinear to {SIDE} as in TensorFlow 1",
            "precision": self.precision,
            "network": f"torch-fidelity {version('torch-fidelity')}",
        }

    @torch.no_grad()
    def features(self, array: Stored) -> NDArray[np.float32]:
        """Return features (n, 2048) of images (n, 1 or 3, height, width); grey counts as three equal channels."""
        found = np.empty((len(array), DIMENSIONS), np.float32)
        with progress.bar(total=len(array), desc="inception", unit=" images", mininterval=1.0) as bar:
            for start in range(0, len(array), BATCH):
                x = torch.from_numpy(np.array(array[start : start + BATCH])).float()
                x = (self.down @ x @ self.across.T - 128) / 128
                x = x.expand(-1, 3, -1, -1).to(self.dtype, memory_format=torch.channels_last)
                found[start : start + len(x)] = self.network(x).float()
                bar.update(len(x))
        return found

    def class_probabilities(self, features: NDArray[np.float32]) -> None:
        """Return None: it does not know the data's classes."""

    def metrics(self, data: PreparedData) -> dict[str, float]:
        """Return nothing."""
        return {}

    def save(self, folder: Path) -> None:
        """Write extractor.safetensors, with the weights as they were published, and extractor.json."""
        base.write(folder, self.name, {"precision": self.precision}, self.weights)

    @classmethod
    def make(cls, data: PreparedData, settings: FeaturesParams, seed: int) -> Self:
        """Return the network with the weights that `features.weights` names.

        Raises:
            SourceError: they are not there, or are not those of this network, or the data are no images.
        """
        if data.content.distance != "fid":
            raise SourceError(
                f"features.extractor is inception, which knows images, not {data.content.name}; set it to in_domain"
            )
        place = project.workspace() / settings.weights
        published = weights.read(place)
        try:
            found = cls(published, settings.precision, data.spec)
            tensors.assert_finite(published)
        except (RuntimeError, TypeError, ValueError) as error:
            said = str(error).partition("\n")[0]
            raise SourceError(f"features.weights is {place}, not the weights of Inception-v3 ({said})") from error
        return found

    @classmethod
    def load(cls, folder: Path, spec: DataSpec) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        about, published = base.read(folder, About)
        try:
            return cls(published, about.precision, spec)
        except (KeyError, RuntimeError, TypeError) as error:
            said = str(error).partition("\n")[0]
            raise ArtifactError(f"{folder / base.WEIGHTS}: {said}; {base.CURE}") from error


def _network(published: Mapping[str, Tensor]) -> nn.Sequential:
    """Return torch-fidelity's network from scaled images (n, 3, 299, 299) to features (n, 2048).

    Its loader unpickles whatever lies in its file, so that file is one in memory, written here.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d, FeatureExtractorInceptionV3
    except ImportError as error:
        raise SourceError(
            f"features.extractor is inception, which needs torch-fidelity ({error}); pip install -e '.[inception]'"
        ) from error
    file = io.BytesIO()
    torch.save(dict(published), file)
    file.seek(0)
    whole = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=file)
    for block in whole.modules():
        if isinstance(block, BasicConv2d):
            block.conv, block.bn = fuse_conv_bn_eval(block.conv, block.bn), nn.Identity()
    # its layers are one after the other, in the order of their definition; classes come last
    layers = [layer for name, layer in whole.named_children() if name != "fc"]
    return nn.Sequential(*layers, nn.Flatten()).to(memory_format=torch.channels_last)


def _resizing(side: int) -> Tensor:
    """Return the matrix (299, side) that resizes one axis, bilinear with corners at 0, as TensorFlow 1 did."""
    at = torch.arange(SIDE) * torch.tensor(side / SIDE)
    low = at.long()
    high = (low + 1).clamp_max(side - 1)
    rows, part = torch.arange(SIDE), at - low
    matrix = torch.zeros(SIDE, side)
    matrix[rows, low] += 1 - part
    matrix[rows, high] += part
    return matrix
