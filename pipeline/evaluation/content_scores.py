"""Scores that a content defines for its items, for samples and for real items: the latter are a perfect model's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.contents.base import Content, Raws, Stored
from pipeline.evaluation.metrics.estimates import Estimate, mean
from pipeline.evaluation.metrics.features import SAMPLES
from pipeline.evaluation.metrics.histograms import jensen_shannon
from pipeline.system import disk, sealed
from pipeline.system.errors import ArtifactError
from pipeline.system.rng import numpy_rng

ITEMS = 1000
"""Items of test that are scored, at most, and as many samples."""
TRAIN = 50_000
"""Items of train that are searched for copies, at most."""
FILE, BASELINES = "own.safetensors", "baselines.json"


@dataclass(frozen=True)
class _About:
    """Metadata of own.safetensors."""

    floors: dict[str, float]
    bins: dict[str, int]
    items: int


@dataclass(frozen=True)
class Real:
    """Histograms of real items, with which those of samples are compared, and the scores of real items (floors).

    The floor of a distance is the distance between items of train and of test; the floor of any other score is its
    value for items of test.
    """

    histograms: Mapping[str, Any]
    floors: Mapping[str, float]
    items: int

    @classmethod
    def measure(cls, content: Content, test: Stored, train: Stored, seed: int) -> Self:
        """Measure stored items of test against as many of train."""
        raws = content.decode(test[:ITEMS])
        histograms, others = content.histograms(raws), {}
        if histograms:
            rows = numpy_rng(seed, "own").permutation(len(train))[: len(raws)]
            others = content.histograms(content.decode(train[np.sort(rows)]))
        floors = {f"{name}_distance": jensen_shannon(each, others[name]).value for name, each in histograms.items()}
        scores = {name: float(values.mean()) for name, values in _scores(content, raws, train).items()}
        return cls(histograms, floors | scores, len(raws))

    def score(self, content: Content, samples: Stored, train: Stored) -> dict[str, Estimate]:
        """Return the scores of stored samples by name, each with its floor, `<name>_floor`.

        Scores at most as many samples as there were real items, since some scores depend on the number of items.
        """
        raws = content.decode(samples[: self.items])
        found = {
            name: mean(values, SAMPLES) if values.ndim else Estimate(float(values))
            for name, values in _scores(content, raws, train).items()
        }
        for name, counts in content.histograms(raws).items():
            found[f"{name}_distance"] = jensen_shannon(self.histograms[name], counts)
        return found | {f"{name}_floor": Estimate(value) for name, value in self.floors.items()}

    def write(self, folder: Path) -> None:
        """Write own.safetensors."""
        arrays: dict[str, Any] = {}
        for name, counts in self.histograms.items():
            arrays |= {f"{name}/{part}": getattr(counts, part) for part in ("data", "indices", "indptr")}
        bins = {name: int(counts.shape[1]) for name, counts in self.histograms.items()}
        sealed.write(folder / FILE, arrays, {"floors": dict(self.floors), "bins": bins, "items": self.items})

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read own.safetensors.

        Raises:
            ArtifactError: the file is missing or corrupt.
        """
        from scipy.sparse import csr_array

        arrays, about = sealed.read(folder / FILE, _About)
        histograms = {}
        try:
            for name, bins in about.bins.items():
                parts = tuple(arrays[f"{name}/{part}"] for part in ("data", "indices", "indptr"))
                histograms[name] = csr_array(parts, shape=(len(parts[2]) - 1, bins))
        except (KeyError, ValueError) as error:
            raise ArtifactError(
                f"{folder / FILE}: cannot be read (invalid histogram: {error}); {disk.REMEDY}"
            ) from error
        return cls(histograms, about.floors, about.items)


def _scores(content: Content, raws: Raws, train: Stored) -> dict[str, NDArray[np.float64]]:
    return content.scores(raws, lambda: content.decode(train[:TRAIN]))
