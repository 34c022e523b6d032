"""Stage `validate`: refuse a bad params.yaml before any other stage changes files, and digest the code."""

from __future__ import annotations

import os
import reprlib
from pathlib import Path

from pipeline.evaluation.metrics.direction import HIGHER_IS_BETTER, LOWER_IS_BETTER, NO_DIRECTION
from pipeline.params import GateParams, Params
from pipeline.system import dependencies, disk, project
from pipeline.system.errors import ParamsError, SourceError, run


def main() -> None:
    """Check params.yaml, and write the digests of each stage's code, which do not depend on the values."""
    workspace = project.workspace()
    params = Params.load(workspace)
    _refuse_unknown_scores(params.gate)
    _refuse_unhashable(workspace / "data" / "raw" / params.prepare.source)
    for stage in dependencies.STAGES:
        code = workspace / project.REPORTS / "validate" / "code" / f"{stage}.json"
        disk.write_json(code, dependencies.of_stage(stage))


def _refuse_unknown_scores(gate: GateParams) -> None:
    """Refuse a gate that names scores that no model has.

    Raises:
        ParamsError: no content has a score of that name, or the rule needs a score that can be better or worse.
    """
    better = LOWER_IS_BETTER | HIGHER_IS_BETTER
    asked = {
        "decides": better,
        "must_not_fall": better,
        "at_most": better | NO_DIRECTION,
        "at_least": better | NO_DIRECTION,
    }
    for rule, known in asked.items():
        for name in getattr(gate, rule):
            if name not in known:
                raise ParamsError(
                    f"params.yaml: gate.{rule} names {reprlib.repr(name)}, which is no score for it; it may name "
                    f"{', '.join(sorted(known))}"
                )


def _refuse_unhashable(source: Path) -> None:
    """Refuse a source that DVC cannot read or would never finish reading, before DVC starts to digest it.

    Raises:
        SourceError: something in it is not a regular file, or its name is not UTF-8.
    """
    for folder, _, names in os.walk(source):
        for path in (Path(folder, name) for name in names):
            if not path.is_file() or not _is_utf8(path):
                raise SourceError(
                    f"{path}: DVC cannot digest it: not a regular file, or its name is not UTF-8; remove or rename it"
                )


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


if __name__ == "__main__":
    run(main)
