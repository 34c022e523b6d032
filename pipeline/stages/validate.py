"""Stage `validate`: refuses a bad params.yaml before any other stage touches what exists, and digests the code."""

from __future__ import annotations

import os
import reprlib
from pathlib import Path

from pipeline.evaluation.metrics.direction import LESS, MORE, NEITHER
from pipeline.params import GateParams, Params
from pipeline.system import dependencies, disk, project
from pipeline.system.errors import ParamsError, SourceError, run


def main() -> None:
    """Check params.yaml, and leave which code each stage depends on, which does not change with the values."""
    workspace = project.workspace()
    params = Params.load(workspace)
    _refuse_unknown_scores(params.gate)
    _refuse_unhashable(workspace / "data" / "raw" / params.prepare.source)
    for stage in dependencies.STAGES:
        code = workspace / project.REPORTS / "validate" / "code" / f"{stage}.json"
        disk.write_json(code, dependencies.of_stage(stage))


def _refuse_unknown_scores(gate: GateParams) -> None:
    """Refuse a gate that would wait for scores that are never there.

    Raises:
        ParamsError: no content has a score of that name, or none that could be better or worse.
    """
    better = LESS | MORE
    asked = {"decides": better, "must_not_fall": better, "at_most": better | NEITHER, "at_least": better | NEITHER}
    for rule, known in asked.items():
        for name in getattr(gate, rule):
            if name not in known:
                raise ParamsError(
                    f"params.yaml: gate.{rule} names {reprlib.repr(name)}, which is no score for it; it may name "
                    f"{', '.join(sorted(known))}"
                )


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
