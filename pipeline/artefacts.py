"""What stages hand over, with typed readers and writers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from typing_extensions import TypedDict

from pipeline import description, disk, stale
from pipeline.contents.base import Content, DataSpec, Stored
from pipeline.description import FORMAT
from pipeline.disk import Digest
from pipeline.effective import effective
from pipeline.errors import ArtefactError
from pipeline.params import RegisterParams, flatten

PREPARED, FEATURES, MODEL, REPORTS = Path("data/prepared"), Path("features"), Path("model"), Path("reports")
CURE = "run `dvc repro -f prepare` to make them again"
PARAMS = "params.json"
"""In a folder of features: what they were made with."""
SPLITS: tuple[Split, ...] = ("train", "val", "test")
Split = Literal["train", "val", "test"]


class Dataset(TypedDict):
    """What dataset.json says of the arrays beside it; `files` are their digests."""

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
    """The encoded arrays of data/prepared, memory-mapped, and what dataset.json says of them."""

    folder: Path
    about: Dataset

    @classmethod
    def open(cls, workspace: Path, params: Mapping[str, Any] | None = None) -> Self:
        """Open the prepared data of a workspace, which must be those that some params make where these are given.

        Raises:
            ArtefactError: it is missing, or other params made it.
        """
        folder = workspace / PREPARED
        found = cls(folder, disk.read_json(folder / "dataset.json", Dataset))
        if params is not None:
            stale.refuse(PREPARED, found.params, params, "prepare")
        return found

    @property
    def content(self) -> Content:
        """The content that encoded it.

        Raises:
            ArtefactError: dataset.json describes none.
        """
        path, name = self.folder / "dataset.json", self.about["content"]
        params = {"content": name, name: self.about["settings"]}
        description.hold(path, params, params, CURE)
        return description.content(path, name, params, self.about["learnt"], CURE)

    @property
    def spec(self) -> DataSpec:
        """What its arrays look like."""
        return self.content.spec

    def registered_as(self, settings: RegisterParams) -> str:
        """Return the name of the registered model: the one that was chosen, or else that of the source."""
        return settings.name or self.about["source"]

    @property
    def digest(self) -> str:
        """One digest of all its arrays and labels."""
        return self.about["digest"]

    @property
    def params(self) -> dict[str, Any]:
        """The parameters that they were made with, nested as in params.yaml."""
        name = self.about["content"]
        made = {name: self.about["settings"], "prepare": self.about["prepare"]}
        return {"seed": self.about["seed"], "content": name} | made

    @property
    def classes(self) -> list[str]:
        """Names of the classes; fewer than two means that the data have no labels to learn from."""
        return self.about["classes"]

    def array(self, split: Split) -> Stored:
        """Return the items of a split, (n, *spec.shape), memory-mapped.

        Raises:
            ArtefactError: they are missing, or not those that were written.
        """
        return self._load(f"{split}.npy")

    def labels(self, split: Split) -> NDArray[np.int32]:
        """Return the indices into `classes` of the items of a split, (n,), memory-mapped.

        Raises:
            ArtefactError: they are missing, or not those that were written.
        """
        return self._load(f"{split}_labels.npy")

    def _load(self, name: str) -> NDArray[Any]:
        path = self.folder / name
        try:
            if disk.sha256(path) == self.about["files"][name]:
                return open_memmap(path, mode="r")  # unlike np.load, it knows arrays alone, and no pickles
        except (OSError, KeyError, ValueError) as error:
            raise ArtefactError(f"{path}: cannot be read ({error}); run `dvc repro` to make it") from error
        raise ArtefactError(f"{path}: damaged, its digest is not that in dataset.json; run `dvc repro` to make it")


SCORES = "scores.json"
"""All figures of an evaluation, beside metrics.json with the few that people compare."""
CERTAIN = ("memorisation", "memorisation_low", "memorisation_high")
"""Figures that every evaluation has."""


def scores(workspace: Path) -> dict[str, float]:
    """Return all figures of the evaluation: each score, its floor, and the bounds of its interval.

    Raises:
        ArtefactError: they are missing, or one of those that every evaluation has is.
    """
    path = workspace / REPORTS / "evaluate" / SCORES
    found = disk.read_json(path, dict[str, float])
    for name in CERTAIN:
        if name not in found:
            raise ArtefactError(f"{path}: cannot be read (it has no {name}); {disk.CURE}")
    return found


@dataclass(frozen=True)
class SavedModel:
    """What model.json says of the weights beside it: enough to build the network, and to make it again.

    `params` are all that the weights depend on, nested as in params.yaml, and `learnt` is what the content learnt.
    """

    family: str
    content: str
    params: Mapping[str, Any]
    data_digest: str
    learnt: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def settings(self) -> Mapping[str, Any]:
        """The section of the family."""
        return dict(self.params[self.family])

    @property
    def effective(self) -> dict[str, Any]:
        """The params that play a part, flat: what is shown, logged and compared."""
        return effective(flatten(dict(self.params)))

    @property
    def content_settings(self) -> Mapping[str, Any]:
        """The section of the content."""
        return dict(self.params[self.content])

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read model.json, and check the digest of the weights.

        Raises:
            ArtefactError: a file is missing or no description, or the weights are not those that were saved.
        """
        about, weights = description.read(folder), folder / "weights.safetensors"
        if not weights.is_file() or disk.sha256(weights) != about.weights_sha256:
            raise ArtefactError(
                f"{weights}: missing or damaged, its digest is not that in model.json; {description.CURE}"
            )
        return cls(**about.model_dump(exclude={"weights_sha256"}))

    def write(self, folder: Path) -> None:
        """Write model.json beside the weights."""
        digest = disk.sha256(folder / "weights.safetensors")
        disk.write_json(folder / "model.json", asdict(self) | {"weights_sha256": digest})


def model_digest(folder: Path) -> str:
    """Return the digest of a model: its description, which holds the digest of its weights."""
    return disk.sha256(folder / "model.json")


@dataclass(frozen=True)
class RunRecord:
    """Which tracked run a training belongs to: reports/train/run.json, beside the model and never inside it.

    `training` is the training's fingerprint; `began` and `ended` are seconds since 1970, perhaps with pauses between.
    """

    run_id: str
    experiment: str
    training: str
    began: float = field(default_factory=time.time)
    ended: float = 0.0

    @classmethod
    def read(cls, workspace: Path) -> Self:
        """Read the record that train left.

        Raises:
            ArtefactError: it is missing or no record.
        """
        return disk.read_json(workspace / REPORTS / "train" / "run.json", cls)

    def write(self, workspace: Path) -> None:
        """Leave the record for the stages after train, which ends now."""
        disk.write_json(workspace / REPORTS / "train" / "run.json", asdict(replace(self, ended=time.time())))
