"""Checks of the machine: installed packages, write access, free disk space, accelerators."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from pipeline.cli.doctor.findings import Finding
from pipeline.params import Params
from pipeline.system.errors import ParamsError

DISTRIBUTION = "generative-pipeline"
SHOWN = ("torch", "pytorch-lightning", "mlflow", "dvc")
WRITTEN = (".", ".dvc", ".pipeline", "data", "reports", "mlartifacts")
ROOM = 2 * 2**30
"""Bytes that should be free for data, models and checkpoints."""


def versions() -> Iterator[Finding]:
    """Check that installed packages are within the version ranges that this package requires."""
    wrong = False
    for text in metadata.requires(DISTRIBUTION) or []:
        wanted = Requirement(text)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            found = "missing"
        if found == "missing" or not wanted.specifier.contains(found, prereleases=True):
            wrong = True
            need = f"{wanted.name} {wanted.specifier}".strip()
            yield Finding("versions", False, f"{wanted.name} is {found}, but {need} is required; run `make setup`")
    if not wrong:
        shown = ", ".join(f"{name} {metadata.version(name)}" for name in SHOWN)
        yield Finding("versions", True, f"Python {platform.python_version()}, {shown}")


def paths(root: Path) -> Iterator[Finding]:
    """Check that the folders that stages write to are writable."""
    folders = [folder for name in WRITTEN if (folder := root / name).is_dir()]
    wrong = False
    for folder in folders:
        try:
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            wrong = True
            fix = f"give yourself write permission, as with `sudo chown -R $USER {folder}`"
            yield Finding("paths", False, f"{folder} is not writable ({error.strerror}); {fix}")
    if not wrong:
        yield Finding("paths", True, f"{root} and {len(folders) - 1} folders in it are writable")


def disk(root: Path) -> Iterator[Finding]:
    """Check that enough disk space is free."""
    free = shutil.disk_usage(root).free
    text = f"{free / 2**30:.1f} GiB free at {root}"
    fix = "; make room: `pipeline doctor --clean`, `dvc gc --workspace`" if free < ROOM else ""
    yield Finding("disk", free >= ROOM, text + fix)


def accelerator(workspace: Path) -> Iterator[Finding]:
    """Check that the machine has the accelerators that `runtime` requires."""
    try:
        runtime = Params.load(workspace).runtime
    except ParamsError as error:
        yield Finding("params", False, str(error))
        return
    import torch

    there = {"gpu": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    kind: str = runtime.accelerator
    if kind == "auto":
        kind = next((name for name, count in there.items() if count), "cpu")
    if kind == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        yield Finding("accelerator", True, f"cpu, {cores} cores, {runtime.devices} training processes")
    elif there[kind] < runtime.devices:
        text = (
            f"runtime requires {runtime.devices} devices ({kind}), but {there[kind]} are available; change runtime in "
            "params.yaml"
        )
        yield Finding("accelerator", False, text)
    else:
        yield Finding("accelerator", True, f"{kind}, {there[kind]} available, {runtime.devices} used")
