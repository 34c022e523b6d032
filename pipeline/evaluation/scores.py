"""Reading the scores that an evaluation saved."""

from __future__ import annotations

from pathlib import Path

from pipeline.system import disk
from pipeline.system.errors import ArtifactError
from pipeline.system.project import REPORTS

SCORES = "scores.json"
"""File with all metrics of an evaluation; metrics.json beside it holds the few that people compare."""
ALWAYS_PRESENT = ("memorisation", "memorisation_low", "memorisation_high")
"""Metrics that every evaluation has, whatever the content and family."""


def read_scores(workspace: Path) -> dict[str, float]:
    """Return all metrics of the evaluation: each score, its floor, and the bounds of its interval.

    Raises:
        ArtifactError: the file is missing or corrupt, or lacks a metric that every evaluation has.
    """
    path = workspace / REPORTS / "evaluate" / SCORES
    found = disk.read_json(path, dict[str, float])
    for name in ALWAYS_PRESENT:
        if name not in found:
            raise ArtifactError(f"{path}: cannot be read ({name} is missing); {disk.REMEDY}")
    return found
