"""Stage `validate`: refuses a bad params.yaml before any other stage touches what exists."""

from __future__ import annotations

from pipeline import artefacts, disk, project
from pipeline.errors import run
from pipeline.params import Params


def main() -> None:
    """Check params.yaml, and leave the schema that it was checked against.

    The schema does not change with the values, so that the stages after this one run only where theirs do.
    """
    workspace = project.workspace()
    Params.load(workspace)
    disk.write_json(workspace / artefacts.REPORTS / "validate" / "schema.json", Params.model_json_schema())


if __name__ == "__main__":
    run(main)
