"""Stage `validate`: refuses a bad params.yaml before any other stage touches what exists, and digests the code."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline import artefacts, dependencies, disk, project
from pipeline.errors import SourceError, run
from pipeline.params import Params


def main() -> None:
    """Check params.yaml, and leave which code each stage depends on, which does not change with the values."""
    workspace = project.workspace()
    params = Params.load(workspace)
    _refuse_unhashable(workspace / "data" / "raw" / params.prepare.source)
    for stage in dependencies.STAGES:
        code = workspace / artefacts.REPORTS / "validate" / "code" / f"{stage}.json"
        disk.write_json(code, dependencies.of_stage(stage))


def _refuse_unhashable(source: Path) -> None:
    """Refuse a source that DVC would read without an end or cannot read, before it begins to digest all of it.

    Raises:
        SourceError: something in it is no regular file, or its name is no UTF-8.
    """
    for folder, _, names in os.walk(source):
        for path in (Path(folder, name) for name in names):
            if not path.is_file() or not _is_utf8(path):
                raise SourceError(
                    f"{path}: DVC cannot digest it: it is no regular file, or its name no UTF-8; remove or rename it"
                )


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


if __name__ == "__main__":
    run(main)
