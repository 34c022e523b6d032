"""What an evaluation saves for comparisons: its protocol, its scores, and the influence of every item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from pipeline.evaluation.metrics.estimates import Estimate
from pipeline.system import disk, sealed
from pipeline.system.errors import ArtifactError
from pipeline.system.rng import numpy_rng


@with_config(ConfigDict(extra="allow"))
class Seeded(TypedDict):
    """The part of a protocol that evidence holds whatever version of the pipeline wrote it."""

    seed: int


@with_config(ConfigDict(extra="allow"))
class Protocol(Seeded):
    """Contents of protocol.json, which describes how scores were computed; extractors add keys of their own."""

    digest: str
    extractor_digest: str
    real: int
    samples: int
    reconstructions: int


@dataclass(frozen=True)
class _About:
    """Metadata of influences.safetensors."""

    protocol: Seeded
    scores: dict[str, float]


@dataclass(frozen=True)
class Evidence:
    """Scores by name, and the protocol by which they were computed."""

    protocol: Mapping[str, Any]
    estimates: Mapping[str, Estimate]

    def interval(self, name: str) -> tuple[float, float]:
        """Return the bounds of a score's interval, both of them the score itself if it is not computed over items."""
        return self.estimates[name].interval(numpy_rng(self.protocol["seed"], "interval"))

    def write(self, folder: Path) -> None:
        """Write protocol.json and influences.safetensors.

        The latter is a sealed file (system/sealed.py). It holds an array (n,) for each <score>/<population>: the
        influence of each item of the population on the score, as `Estimate.parts` defines it. Protocol and scores are
        metadata.
        """
        disk.write_json(folder / "protocol.json", self.protocol)
        parts = {
            f"{name}/{population}": part
            for name, estimate in self.estimates.items()
            for population, part in estimate.parts.items()
        }
        scores = {name: estimate.value for name, estimate in self.estimates.items()}
        sealed.write(folder / "influences.safetensors", parts, {"protocol": self.protocol, "scores": scores})

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the evidence that an evaluation wrote into a folder.

        Raises:
            ArtifactError: influences.safetensors is missing or corrupt.
        """
        path = folder / "influences.safetensors"
        arrays, about = sealed.read(path, _About)
        parts: dict[str, dict[str, Any]] = {name: {} for name in about.scores}
        for name, part in arrays.items():
            score, _, population = name.partition("/")
            if score not in parts:
                raise ArtifactError(f"{path}: cannot be read (influences of an unknown score, {score}); {disk.REMEDY}")
            parts[score][population] = part
        return cls(about.protocol, {name: Estimate(about.scores[name], found) for name, found in parts.items()})


def protocol(folder: Path) -> Protocol:
    """Return the protocol of the scores in the folder of an evaluation.

    Raises:
        ArtifactError: protocol.json is missing or invalid.
    """
    return disk.read_json(folder / "protocol.json", Protocol)
