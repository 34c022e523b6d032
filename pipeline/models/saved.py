"""The description of a saved model, model.json, which is read without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from pipeline.data import description
from pipeline.data.description import FORMAT
from pipeline.params import flatten
from pipeline.params.effective import effective
from pipeline.system import disk
from pipeline.system.errors import ArtifactError


@dataclass(frozen=True)
class SavedModel:
    """The content of model.json: what it takes to build the network of the weights beside it, and to train it again.

    `params` are those that the weights depend on, nested as in params.yaml; `learnt` is what the content learnt from
    its source.
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
        """The params that have an effect, flat: those that are shown, logged and compared."""
        return effective(flatten(dict(self.params)))

    @property
    def content_settings(self) -> Mapping[str, Any]:
        """The section of the content."""
        return dict(self.params[self.content])

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read model.json, and check the digest of the weights.

        Raises:
            ArtifactError: a file is missing or no description, or the weights are corrupt.
        """
        about, weights = description.read(folder), folder / "weights.safetensors"
        if not weights.is_file() or disk.sha256(weights) != about.weights_sha256:
            raise ArtifactError(
                f"{weights}: missing or corrupt, its digest is not that in model.json; {description.REMEDY}"
            )
        return cls(**about.model_dump(exclude={"weights_sha256"}))

    def write(self, folder: Path) -> None:
        """Write model.json beside the weights."""
        digest = disk.sha256(folder / "weights.safetensors")
        disk.write_json(folder / "model.json", asdict(self) | {"weights_sha256": digest})


def model_digest(folder: Path) -> str:
    """Return the digest of a model: its description, which holds the digest of its weights."""
    return disk.sha256(folder / "model.json")
