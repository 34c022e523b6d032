"""The record that connects a training with its tracked run."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from pipeline.system import disk
from pipeline.system.project import REPORTS


@dataclass(frozen=True)
class RunRecord:
    """The tracked run of a training: reports/train/run.json, beside the model and never inside it.

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
            ArtifactError: it is missing or no record.
        """
        return disk.read_json(workspace / REPORTS / "train" / "run.json", cls)

    def write(self, workspace: Path) -> None:
        """Leave the record for the stages after train, which ends now."""
        disk.write_json(workspace / REPORTS / "train" / "run.json", asdict(replace(self, ended=time.time())))
