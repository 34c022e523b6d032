"""What an evaluation leaves for those who compare: its protocol, its scores, and the influence of every item."""

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
    """What there is of a protocol in any evidence, whatever the version that wrote it."""

    seed: int


@with_config(ConfigDict(extra="allow"))
class Protocol(Seeded):
    """What protocol.json says of how scores were made; extractors add to it."""

    digest: str
    extractor_digest: str
    real: int
    samples: int
    reconstructions: int


@dataclass(frozen=True)
class _About:
    """What influences.safetensors says beside its arrays."""

    protocol: Seeded
    scores: dict[str, float]


@dataclass(frozen=True)
class Evidence:
    """Scores by name, and how they were made."""

    protocol: Mapping[str, Any]
    estimates: Mapping[str, Estimate]

    def interval(self, name: str) -> tuple[float, float]:
        """Return the bounds of a score's interval; for one that is not over items, the score itself twice."""
        return self.estimates[name].interval(numpy_rng(self.protocol["seed"], "interval"))

    def write(self, folder: Path) -> None:
        """Write protocol.json, and all of it as influences.safetensors, with an array <score>/<population> for each."""
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
        """Read what an evaluation wrote into a folder.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        path = folder / "influences.safetensors"
        arrays, about = sealed.read(path, _About)
        parts: dict[str, dict[str, Any]] = {name: {} for name in about.scores}
        for name, part in arrays.items():
            score, _, population = name.partition("/")
            if score not in parts:
                raise ArtifactError(f"{path}: cannot be read (it has no score {score}); {disk.CURE}")
            parts[score][population] = part
        return cls(about.protocol, {name: Estimate(about.scores[name], found) for name, found in parts.items()})


def protocol(folder: Path) -> Protocol:
    """Return how the scores in a folder of an evaluation were made.

    Raises:
        ArtifactError: protocol.json is missing or no protocol.
    """
    return disk.read_json(folder / "protocol.json", Protocol)
