"""Features of real data, which every model of these data is held against."""

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
"""In a folder of features: what they were made with."""


@dataclass(frozen=True)
class Reference:
    """Features of test (n, d), and of items of train in a seeded order (m, d), which are the items `rows` (m,) there.

    The first n of train show what zero looks like.
    """

    test: NDArray[np.float32]
    train: NDArray[np.float32]
    rows: NDArray[np.int64]

    @property
    def floor(self) -> NDArray[np.float32]:
        """As many items of train as there are of test, where there are so many."""
        return self.train[: len(self.test)]

    def write(self, folder: Path) -> None:
        """Write reference.safetensors."""
        arrays: dict[str, NDArray[Any]] = {"test": self.test, "train": self.train, "rows": self.rows}
        sealed.write(folder / "reference.safetensors", arrays)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        path = folder / "reference.safetensors"
        arrays, _ = sealed.read(path, NoneType)
        if arrays.keys() != {each.name for each in fields(cls)}:
            raise ArtifactError(f"{path}: cannot be read (its arrays are {', '.join(sorted(arrays))}); {disk.CURE}")
        return cls(**arrays)
