"""What an evaluation leaves for those who compare: its protocol, its scores, and the influence of every item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from pipeline import artefacts
from pipeline.errors import ArtefactError
from pipeline.metrics.estimates import Estimate
from pipeline.rng import numpy_rng


@dataclass(frozen=True)
class Evidence:
    """Scores by name, and how they were made."""

    protocol: Mapping[str, Any]
    estimates: Mapping[str, Estimate]

    def interval(self, name: str) -> tuple[float, float]:
        """Return the bounds of a score's interval; for one that is not over items, the score itself twice."""
        return self.estimates[name].interval(numpy_rng(self.protocol["seed"], "interval"))

    def write(self, folder: Path) -> None:
        """Write protocol.json, and influences.safetensors with an array named <score>/<population> for each."""
        artefacts.write_json(folder / "protocol.json", self.protocol)
        parts = {
            f"{name}/{population}": part
            for name, estimate in self.estimates.items()
            for population, part in estimate.parts.items()
        }
        (folder / "influences.safetensors").write_bytes(save(parts))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what an evaluation wrote into a folder.

        Raises:
            ArtefactError: a file is missing or damaged.
        """
        scores = artefacts.read_json(folder / "metrics.json")
        try:
            arrays = load_file(folder / "influences.safetensors")
        except (OSError, SafetensorError) as error:
            raise ArtefactError(
                f"{folder / 'influences.safetensors'}: cannot be read ({error}); run `dvc repro` to make it"
            ) from error
        parts: dict[str, dict[str, Any]] = {name: {} for name in scores if not name.endswith(("_low", "_high"))}
        for name, part in arrays.items():
            score, _, population = name.partition("/")
            parts[score][population] = part
        estimates = {name: Estimate(scores[name], found) for name, found in parts.items()}
        return cls(artefacts.read_json(folder / "protocol.json"), estimates)
