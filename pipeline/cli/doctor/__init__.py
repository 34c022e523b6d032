"""The verb `doctor`: checks of all that a training depends on, each with what to do if it fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.cli.doctor import dvc, machine, runs, trainings
from pipeline.cli.doctor.findings import Finding
from pipeline.system import project


def examine(workspace: Path) -> Iterator[Finding]:
    """Run all checks, the quick ones first."""
    root = project.main_root()
    yield from machine.versions()
    yield from machine.paths(root)
    yield from machine.disk(root)
    yield from machine.accelerator(workspace)
    yield from trainings.examine()
    yield from runs.examine()
    yield from dvc.locks(root)
    yield from dvc.queue(root)
    yield from dvc.remote(root)
