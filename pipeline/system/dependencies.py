"""Find the code that each stage depends on: every file of this package that it imports, with its digest.

`validate` writes one file of digests per stage, so a change of code reruns only the stages that import it.
"""

from __future__ import annotations

from pathlib import Path

import grimp

from pipeline.system import disk

PACKAGE = __name__.partition(".")[0]
ROOT = Path(__file__).parents[2]
STAGES = ("prepare", "features", "train", "evaluate", "register")
"""Stages that depend on a part of the package; `validate` depends on all of it."""


def files(module: str) -> list[Path]:
    """Return the files that a module imports, itself included, as paths relative to the root of the repository.

    Follow imports to any depth, those inside functions included, and add the packages that contain the modules.
    """
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    pending, found = {module}, set[str]()
    while pending:
        name = pending.pop()
        found.add(name)
        package = name.rpartition(".")[0]
        pending |= (graph.find_modules_directly_imported_by(name) | ({package} if package else set())) - found
    return sorted(map(_file, found))


def of_stage(stage: str) -> dict[str, str]:
    """Return the sha256 of each file that a stage imports, keyed by its path relative to the root."""
    return {path.as_posix(): disk.sha256(ROOT / path) for path in files(f"{PACKAGE}.stages.{stage}")}


def _file(module: str) -> Path:
    path = Path(*module.split("."))
    return path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")
