"""The code that a stage depends on: every file of this package that it imports, with its digest.

`validate` writes it as one file a stage, so that a change of code runs the stages that import it, and no other one.
"""

from __future__ import annotations

from pathlib import Path

import grimp

from pipeline.system import disk

PACKAGE = __name__.partition(".")[0]
ROOT = Path(__file__).parents[2]
STAGES = ("prepare", "features", "train", "evaluate", "register")
"""Stages that depend on a part of the package; `validate` digests all of it."""


def files(module: str) -> list[Path]:
    """Return the files that a module imports, its own among them, from the root of the repository.

    Imports are followed to any depth, those within functions included, and so are the packages that modules lie in.
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
    """Return the sha256 of each file that a stage imports, by its path from the root."""
    return {path.as_posix(): disk.sha256(ROOT / path) for path in files(f"{PACKAGE}.stages.{stage}")}


def _file(module: str) -> Path:
    path = Path(*module.split("."))
    return path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")
