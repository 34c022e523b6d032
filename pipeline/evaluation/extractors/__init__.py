"""Feature extractors, one module each; `features.extractor` in params.yaml selects one by name."""

from __future__ import annotations

from pathlib import Path

from pipeline.contents.base import DataSpec
from pipeline.data.prepared import PreparedData
from pipeline.evaluation.extractors.base import ABOUT, REMEDY, Extractor, Saved
from pipeline.evaluation.extractors.in_domain import InDomain
from pipeline.evaluation.extractors.inception import Inception
from pipeline.params import FeaturesParams
from pipeline.system import disk
from pipeline.system.errors import ArtifactError

EXTRACTORS: dict[str, type[Extractor]] = {each.name: each for each in (InDomain, Inception)}


def make(data: PreparedData, settings: FeaturesParams, seed: int) -> Extractor:
    """Return the extractor that the section `features` of params.yaml selects."""
    return EXTRACTORS[settings.extractor].make(data, settings, seed)


def load(folder: Path, spec: DataSpec) -> Extractor:
    """Return the extractor saved in a folder, for data of this spec.

    Raises:
        ArtifactError: the extractor is missing, unknown or corrupt.
    """
    name = disk.read_json(folder / ABOUT, Saved).extractor
    if name not in EXTRACTORS:
        raise ArtifactError(f"{folder / ABOUT}: unknown extractor {name}; {REMEDY}")
    return EXTRACTORS[name].load(folder, spec)
