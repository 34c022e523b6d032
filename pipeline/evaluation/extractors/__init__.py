"""What turns items into features: one file each, named below; `features.extractor` in params.yaml chooses."""

from __future__ import annotations

from pathlib import Path

from pipeline.contents.base import DataSpec
from pipeline.data.prepared import PreparedData
from pipeline.evaluation.extractors.base import ABOUT, CURE, Extractor, Saved
from pipeline.evaluation.extractors.in_domain import InDomain
from pipeline.evaluation.extractors.inception import Inception
from pipeline.params import FeaturesParams
from pipeline.system import disk
from pipeline.system.errors import ArtifactError

EXTRACTORS: dict[str, type[Extractor]] = {each.name: each for each in (InDomain, Inception)}


def make(data: PreparedData, settings: FeaturesParams, seed: int) -> Extractor:
    """Return the extractor that the section `features` of params.yaml asks for."""
    return EXTRACTORS[settings.extractor].make(data, settings, seed)


def load(folder: Path, spec: DataSpec) -> Extractor:
    """Return the extractor that lies in a folder, for data of that spec.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    name = disk.read_json(folder / ABOUT, Saved).extractor
    if name not in EXTRACTORS:
        raise ArtifactError(f"{folder / ABOUT}: names no extractor, but {name}; {CURE}")
    return EXTRACTORS[name].load(folder, spec)
