"""The scores of an evaluation on disk."""

from __future__ import annotations

from pathlib import Path

from pipeline.system import disk
from pipeline.system.errors import ArtifactError
from pipeline.system.project import REPORTS

SCORES = "scores.json"
"""All metrics of an evaluation, beside metrics.json with the few that people compare."""
CERTAIN = ("memorisation", "memorisation_low", "memorisation_high")
"""Metrics that every evaluation has."""


def read_scores(workspace: Path) -> dict[str, float]:
    """Return all metrics of the evaluation: each score, its floor, and the bounds of its interval.

    Raises:
        ArtifactError: they are missing, or one of those that every evaluation has is.
    """
    path = workspace / REPORTS / "evaluate" / SCORES
    found = disk.read_json(path, dict[str, float])
    for name in CERTAIN:
        if name not in found:
            raise ArtifactError(f"{path}: cannot be read (it has no {name}); {disk.CURE}")
    return found
