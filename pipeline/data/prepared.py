"""Read the prepared arrays of a workspace, and their description in dataset.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from typing_extensions import TypedDict

from pipeline.contents.base import Content, DataSpec, Stored
from pipeline.data import description
from pipeline.params import RegisterParams, stale
from pipeline.system import disk
from pipeline.system.disk import Digest
from pipeline.system.errors import ArtifactError
from pipeline.system.project import PREPARED

REMEDY = "run `dvc repro -f prepare` to make them again"
SPLITS: tuple[Split, ...] = ("train", "val", "test")
Split = Literal["train", "val", "test"]


class Dataset(TypedDict):
    """The content of dataset.json, which describes the arrays beside it; `files` holds their digests."""

    seed: int
    source: str
    title: str | None
    homepage: str | None
    licence: str | None
    content: str
    settings: dict[str, Any]
    learnt: dict[str, Any]
    prepare: dict[str, Any]
    classes: list[str]
    counts: dict[Split, int]
    rejected: int
    duplicates: int
    files: dict[str, Digest]
    digest: Digest


@dataclass(frozen=True)
class PreparedData:
    """The encoded arrays of data/prepared, memory-mapped, and their description."""

    folder: Path
    about: Dataset

    @classmethod
    def open(cls, workspace: Path, params: Mapping[str, Any] | None = None) -> Self:
        """Open the prepared data of a workspace; if params are given, check that these made the data.

        Raises:
            ArtifactError: dataset.json is missing or corrupt, or other params made the data.
        """
        folder = workspace / PREPARED
        found = cls(folder, disk.read_json(folder / "dataset.json", Dataset))
        if params is not None:
            stale.refuse(PREPARED, found.params, params, "prepare")
        return found

    @property
    def content(self) -> Content:
        """The content that encoded the data.

        Raises:
            ArtifactError: dataset.json does not describe a content.
        """
        path, name = self.folder / "dataset.json", self.about["content"]
        params = {"content": name, name: self.about["settings"]}
        description.hold(path, params, params, REMEDY)
        return description.content(path, name, params, self.about["learnt"], REMEDY)

    @property
    def spec(self) -> DataSpec:
        """Shape and type of the items."""
        return self.content.spec

    def registered_as(self, settings: RegisterParams) -> str:
        """Return the name of the registered model: the chosen one, or else that of the source."""
        return settings.name or self.about["source"]

    @property
    def digest(self) -> str:
        """Digest of all arrays and labels."""
        return self.about["digest"]

    @property
    def params(self) -> dict[str, Any]:
        """The parameters that made the data, nested as in params.yaml."""
        name = self.about["content"]
        made = {name: self.about["settings"], "prepare": self.about["prepare"]}
        return {"seed": self.about["seed"], "content": name} | made

    @property
    def classes(self) -> list[str]:
        """Names of the classes; with fewer than two, the data have no labels to learn from."""
        return self.about["classes"]

    def array(self, split: Split) -> Stored:
        """Return the items of a split, (n, *spec.shape), memory-mapped.

        Raises:
            ArtifactError: the file is missing or corrupt.
        """
        return self._load(f"{split}.npy")

    def labels(self, split: Split) -> NDArray[np.int32]:
        """Return the indices into `classes` of the items of a split, (n,), memory-mapped.

        Raises:
            ArtifactError: the file is missing or corrupt.
        """
        return self._load(f"{split}_labels.npy")

    def _load(self, name: str) -> NDArray[Any]:
        path = self.folder / name
        try:
            if disk.sha256(path) == self.about["files"][name]:
                return open_memmap(path, mode="r")  # unlike np.load, it never unpickles
        except (OSError, KeyError, ValueError) as error:
            raise ArtifactError(f"{path}: cannot be read ({error}); run `dvc repro` to make it") from error
        raise ArtifactError(f"{path}: corrupt, its digest is not that in dataset.json; run `dvc repro` to make it")
