"""Features of real data, which every model of these data is held against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from pipeline.errors import ArtefactError


@dataclass(frozen=True)
class Reference:
    """Features of test (n, d), and of a seeded part of train of the same size, which shows what zero looks like."""

    test: NDArray[np.float32]
    train: NDArray[np.float32]

    def write(self, folder: Path) -> None:
        """Write reference.safetensors."""
        arrays = {"test": self.test, "train": self.train}
        (folder / "reference.safetensors").write_bytes(save(arrays))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            ArtefactError: it is missing or damaged.
        """
        path = folder / "reference.safetensors"
        try:
            return cls(**load_file(path))
        except (OSError, SafetensorError) as error:
            raise ArtefactError(f"{path}: cannot be read ({error}); run `dvc repro` to make it") from error
