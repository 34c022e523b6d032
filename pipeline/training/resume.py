"""A training in progress, in .pipeline/work/<fingerprint> of the main repository: a killed training resumes from it.

The fingerprint is a digest of data, params, code, precision and version of torch. If one of them changes, a new
training begins at step 0. A training resumes from its newest whole checkpoint. `trainer.Checkpoints` writes one every
`runtime.checkpoint_seconds`, at the end of each epoch, and before a signal other than SIGKILL ends the training.
"""

from __future__ import annotations

import shutil
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.system import disk, locks, project
from pipeline.system.errors import TrainingError
from pipeline.system.locks import Taken
from pipeline.system.processes import Process
from pipeline.training import checkpoints
from pipeline.training.record import RunRecord
from pipeline.training.spool import Spool

PACKAGE = __name__.partition(".")[0]
FORGET = "remove it, and the training resumes without it"


def fingerprint(what: Mapping[str, Any]) -> str:
    """Return a digest of what a training depends on, and of the modules of this package that are imported so far."""
    specs = [spec for module in list(sys.modules.values()) if (spec := getattr(module, "__spec__", None))]
    files = {str(spec.origin) for spec in specs if spec.name.partition(".")[0] == PACKAGE}
    code = disk.sha256(*(Path(file) for file in sorted(files)))
    return disk.digest_of([what, code])[:16]


def folder() -> Path:
    """Return the folder of all trainings in progress."""
    return project.main_root() / ".pipeline" / "work"


class Resumable:
    """The folder of one training: its lock, checkpoints, the record of its run, and the metrics not yet uploaded.

    It is kept until the model is safe in DVC's cache, which is when `evaluate` runs.
    """

    def __init__(self, name: str) -> None:
        """Set the fingerprint."""
        self.name, self.folder = name, folder() / name
        self.checkpoints = self.folder / "checkpoints"
        self.spool = Spool(self.folder / "spool.db")
        self._lock, self._run = self.folder / "lock", self.folder / "run.json"

    @classmethod
    def all(cls) -> list[Resumable]:
        """Return all trainings in progress."""
        return [cls(path.name) for path in sorted(folder().glob("*")) if path.is_dir()]

    @property
    def record(self) -> RunRecord | None:
        """The tracked run of the training, if it was killed after it had begun one."""
        return disk.read_json(self._run, RunRecord, FORGET) if self._run.is_file() else None

    @record.setter
    def record(self, value: RunRecord) -> None:
        disk.write_json(self._run, asdict(value))

    def ticket(self) -> str:
        """Return a unique id of this training, by which its run is found if a kill came before the record."""
        path = self.folder / "ticket.json"
        if not path.is_file():
            disk.write_json(path, uuid.uuid4().hex)
        return disk.read_json(path, str, FORGET)

    @property
    def trainer(self) -> Process | None:
        """The process that trains, if one does."""
        return locks.holder(self._lock)

    @property
    def steps(self) -> int:
        """Number of steps of the newest checkpoint."""
        return max(map(checkpoints.steps, checkpoints.saved(self.checkpoints)), default=0)

    @property
    def size(self) -> int:
        """Size on disk, in bytes."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    @property
    def idle(self) -> float:
        """Seconds since the last write."""
        return time.time() - max((path.stat().st_mtime for path in self.folder.rglob("*")), default=0.0)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of the training.

        Raises:
            TrainingError: another process holds it, or the folder cannot be written.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(locks.locked(self._lock))
            except Taken as taken:
                remedy = f", or stop it with `kill {taken.holder.pid}`" if taken.holder.pid else ""
                raise TrainingError(
                    f"{self.folder}: {taken.holder} is at this training; wait for it{remedy}, and run it again"
                ) from None
            except OSError as error:
                raise TrainingError(
                    f"{self.folder}: cannot be written ({error.strerror}); free space, or make it writable"
                ) from error
            yield

    def retire(self) -> None:
        """Remove the folder of a finished training, once all its metrics are uploaded."""
        if self.folder.is_dir() and not self.spool.count() and not self.spool.status:
            self.clear()

    def clear(self) -> bool:
        """Remove the folder unless a trainer holds it; return whether it was removed."""
        try:
            with locks.locked(self._lock):
                shutil.rmtree(self.folder, ignore_errors=True)
        except Taken:
            return False
        return True
