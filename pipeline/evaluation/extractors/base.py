"""The interface of feature extractors, which turn items into features for the metrics, and their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from pipeline.contents.base import DataSpec, Stored
from pipeline.data.prepared import PreparedData
from pipeline.params import FeaturesParams
from pipeline.system import disk, tensors
from pipeline.system.disk import Digest
from pipeline.system.errors import ArtifactError

ABOUT, WEIGHTS = "extractor.json", "extractor.safetensors"
REMEDY = "run `dvc repro -f features` to make it again"
T = TypeVar("T")


@dataclass(frozen=True)
class Saved:
    """Keys of extractor.json that every extractor has."""

    extractor: str
    weights_sha256: Digest


class Extractor(Protocol):
    """A feature extractor, the same for every model of the same data.

    Attributes:
        name: suffix of the names of its distances, as in fid_in_domain.
        kept: items of train whose features are saved, at most.
    """

    name: str
    kept: int

    @property
    def dimensions(self) -> int:
        """Number of features per item."""
        ...

    @property
    def protocol(self) -> dict[str, str]:
        """How the features are computed, as part of every score's protocol."""
        ...

    @classmethod
    def make(cls, data: PreparedData, settings: FeaturesParams, seed: int) -> Self:
        """Return the extractor for some data, fitted to train if it needs fitting."""
        ...

    @classmethod
    def load(cls, folder: Path, spec: DataSpec) -> Self:
        """Read a saved extractor.

        Raises:
            ArtifactError: the extractor is missing or corrupt.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write everything that `load` needs."""
        ...

    def features(self, array: Stored) -> NDArray[np.float32]:
        """Return features (n, d) of stored arrays (n, *shape)."""
        ...

    def class_probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return the probability of each class for each row of features, (n, classes); None if it predicts none."""
        ...

    def metrics(self, data: PreparedData) -> dict[str, Any]:
        """Return metrics of the extractor itself, such as its accuracy."""
        ...


def write(folder: Path, name: str, about: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Write an extractor's weights, and the description from which its network is built."""
    arrays = {key: tensor.contiguous() for key, tensor in sorted(weights.items())}
    (folder / WEIGHTS).write_bytes(save(arrays))
    disk.write_json(folder / ABOUT, {**about, "extractor": name, "weights_sha256": digest(folder)})


def read(folder: Path, kind: type[T]) -> tuple[T, dict[str, Tensor]]:
    """Return what `write` wrote, with the description validated by pydantic as `kind`.

    Raises:
        ArtifactError: a file is missing or corrupt, or a weight is not finite.
    """
    saved, about, path = disk.read_json(folder / ABOUT, Saved), disk.read_json(folder / ABOUT, kind), folder / WEIGHTS
    if not path.is_file() or digest(folder) != saved.weights_sha256:
        raise ArtifactError(f"{path}: missing or corrupt, its digest is not that in {ABOUT}; {REMEDY}")
    try:
        weights = load_file(path)
        tensors.assert_finite(weights)
    except (OSError, SafetensorError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); {REMEDY}") from error
    return about, weights


def digest(folder: Path) -> str:
    """Return the digest of a saved extractor's weights, which is part of every score's protocol."""
    return disk.sha256(folder / WEIGHTS)
