"""Inception-v3 of 2015 (Szegedy et al. 2016) as in torch-fidelity, with the 2,048 features before its classes.

The network, its weights and the resizing are torch-fidelity's, so that distances are comparable to published ones. The
computation is faster: batch normalisation is folded into convolutions, channels come last, and batches are small.
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
    """Contents of extractor.json beside those that every extractor has."""

    precision: Literal["float32", "bfloat16"]


class Inception:
    """The network, and the resizing of images to its input size."""

    name = "inception"
    kept = 10_000
    dimensions = DIMENSIONS

    def __init__(self, published: Mapping[str, Tensor], precision: str, spec: DataSpec) -> None:
        """Build the network from weights by torch-fidelity's names, with this precision, for images of this spec.

        Raises:
            RuntimeError, TypeError: the weights do not fit this network.
        """
        self.weights, self.precision = published, precision
        self.dtype: torch.dtype = getattr(torch, precision)
        self.network = _network(published).to(self.dtype)
        self.down, self.across = (_resizing(side) for side in spec.shape[1:])

    @property
    def protocol(self) -> dict[str, str]:
        """How the features are computed, as part of every score's protocol."""
        return {
            "resize": f"bilinear to {SIDE} as in TensorFlow 1",
            "precision": self.precision,
            "network": f"torch-fidelity {version('torch-fidelity')}",
        }

    @torch.no_grad()
    def features(self, array: Stored) -> NDArray[np.float32]:
        """Return features (n, 2048) of images (n, 1 or 3, height, width); grey becomes three equal channels."""
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
        """Return None: the network does not know the data's classes."""

    def metrics(self, data: PreparedData) -> dict[str, float]:
        """Return no metrics: the network is not fitted to the data."""
        return {}

    def save(self, folder: Path) -> None:
        """Write extractor.safetensors, with the weights as published, and extractor.json."""
        base.write(folder, self.name, {"precision": self.precision}, self.weights)

    @classmethod
    def make(cls, data: PreparedData, settings: FeaturesParams, seed: int) -> Self:
        """Return the network with the weights at `features.weights`.

        Raises:
            SourceError: the weights are missing or do not fit this network, or the data are not images.
        """
        if data.content.distance != "fid":
            raise SourceError(
                f"features.extractor is inception, which takes images, not {data.content.name}; set it to in_domain"
            )
        place = project.workspace() / settings.weights
        published = weights.read(place)
        try:
            found = cls(published, settings.precision, data.spec)
            tensors.assert_finite(published)
        except (RuntimeError, TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise SourceError(
                f"features.weights is {place}, not the weights of Inception-v3 ({reason}); "
                f"set it to the path of {weights.NAME}"
            ) from error
        return found

    @classmethod
    def load(cls, folder: Path, spec: DataSpec) -> Self:
        """Read a saved extractor.

        Raises:
            ArtifactError: the extractor is missing or corrupt.
        """
        about, published = base.read(folder, About)
        try:
            return cls(published, about.precision, spec)
        except (KeyError, RuntimeError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise ArtifactError(
                f"{folder / base.WEIGHTS}: not the weights of Inception-v3 ({reason}); {base.REMEDY}"
            ) from error


def _network(published: Mapping[str, Tensor]) -> nn.Sequential:
    """Return torch-fidelity's network from scaled images (n, 3, 299, 299) to features (n, 2048).

    torch-fidelity's loader unpickles any object in its file, so it gets a file in memory that holds only these tensors.

    Raises:
        SourceError: torch-fidelity cannot be imported.
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
    # the layers run in the order of their definition; fc, which gives the classes, is last
    layers = [layer for name, layer in whole.named_children() if name != "fc"]
    return nn.Sequential(*layers, nn.Flatten()).to(memory_format=torch.channels_last)


def _resizing(side: int) -> Tensor:
    """Return the matrix (299, side) that resizes one axis, bilinear with corners at 0, as in TensorFlow 1."""
    at = torch.arange(SIDE) * torch.tensor(side / SIDE)
    low = at.long()
    high = (low + 1).clamp_max(side - 1)
    rows, part = torch.arange(SIDE), at - low
    matrix = torch.zeros(SIDE, side)
    matrix[rows, low] += 1 - part
    matrix[rows, high] += part
    return matrix
