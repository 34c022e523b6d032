"""A training in progress: what must outlive a kill lies in .pipeline/work/<fingerprint> of the main repository."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import artefacts, project

PACKAGE = __name__.partition(".")[0]


def fingerprint(what: Mapping[str, Any]) -> str:
    """Return a digest of what a training depends on, and of all code of this package that is imported by now."""
    specs = [spec for module in list(sys.modules.values()) if (spec := getattr(module, "__spec__", None))]
    files = {str(spec.origin) for spec in specs if spec.name.partition(".")[0] == PACKAGE}
    code = artefacts.sha256(*(Path(file) for file in sorted(files)))
    return artefacts.digest_of([what, code])[:16]


class Work:
    """The folder of one training: its checkpoint, and the id of its tracked run."""

    def __init__(self, name: str) -> None:
        """Set the fingerprint."""
        self.folder = project.main_root() / ".pipeline" / "work" / name
        self.checkpoint = self.folder / "last.ckpt"
        self._run = self.folder / "run.json"

    @property
    def run_id(self) -> str | None:
        """The run that the training began, if it was killed after that."""
        return str(artefacts.read_json(self._run)["run_id"]) if self._run.is_file() else None

    @run_id.setter
    def run_id(self, value: str) -> None:
        artefacts.write_json(self._run, {"run_id": value})

    def clear(self) -> None:
        """Remove the folder, once the training is whole and its results lie where they belong."""
        shutil.rmtree(self.folder, ignore_errors=True)
