"""Stage `validate`: refuses a bad params.yaml before any other stage touches what exists, and digests the code."""

from __future__ import annotations

from pipeline import artefacts, dependencies, disk, project
from pipeline.errors import run
from pipeline.params import Params


def main() -> None:
    """Check params.yaml, and leave which code each stage depends on, which does not change with the values."""
    workspace = project.workspace()
    Params.load(workspace)
    for stage in dependencies.STAGES:
        code = workspace / artefacts.REPORTS / "validate" / "code" / f"{stage}.json"
        disk.write_json(code, dependencies.of_stage(stage))


if __name__ == "__main__":
    run(main)
