"""Stage `validate`: refuses a bad params.yaml before any other stage touches what exists, and digests the code."""

from __future__ import annotations

from pipeline import artefacts, dependencies, disk, project
from pipeline.errors import run
from pipeline.params import Params


def main() -> None:
    """Check params.yaml, and leave which code each stage depends on, which does not change with the values."""
    workspace = project.workspace()
    Params.load(workspace)
    for stage, files in dependencies.of_stages().items():
        disk.write_json(workspace / artefacts.REPORTS / "validate" / "code" / f"{stage}.json", files)


if __name__ == "__main__":
    run(main)
