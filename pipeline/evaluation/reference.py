"""Features of real data, with which every model of these data is compared."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.system import disk, sealed
from pipeline.system.errors import ArtifactError

PARAMS = "params.json"
"""File in a folder of features that holds the params of their stage."""


@dataclass(frozen=True)
class Reference:
    """Features of test (n, d), and of items of train in a seeded order (m, d), whose indices in train are `rows` (m,).

    The first n of train give the floor: the distance that a perfect model would have.
    """

    test: NDArray[np.float32]
    train: NDArray[np.float32]
    rows: NDArray[np.int64]

    @property
    def floor(self) -> NDArray[np.float32]:
        """Features of as many items of train as of test, or of all kept ones if those are fewer."""
        return self.train[: len(self.test)]

    def write(self, folder: Path) -> None:
        """Write reference.safetensors."""
        arrays: dict[str, NDArray[Any]] = {"test": self.test, "train": self.train, "rows": self.rows}
        sealed.write(folder / "reference.safetensors", arrays)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read reference.safetensors.

        Raises:
            ArtifactError: the file is missing or corrupt.
        """
        path = folder / "reference.safetensors"
        arrays, _ = sealed.read(path, NoneType)
        if arrays.keys() != {each.name for each in fields(cls)}:
            raise ArtifactError(f"{path}: cannot be read (its arrays are {', '.join(sorted(arrays))}); {disk.REMEDY}")
        return cls(**arrays)
