"""Compare the params that made a stage's inputs with params.yaml, so that no stage uses results of other params."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.params import flatten
from pipeline.system.errors import ArtifactError

NAMED = 3


def refuse(path: Path, made: Mapping[str, Any], params: Mapping[str, Any], stage: str) -> None:
    """Refuse a file that a stage made with other params than those of params.yaml.

    Args:
        path: the file, as the error names it.
        made: the params that it was made with, nested as in params.yaml.
        params: the params of params.yaml that it depends on.
        stage: the stage that makes it.

    Raises:
        ArtifactError: a param has another value; the first three such params are named.
    """
    before = flatten(dict(made))
    other = [
        f"{name} {before.get(name)!r}, and params.yaml has {value!r}"
        for name, value in flatten(dict(params)).items()
        if before.get(name) != value
    ]
    if other:
        more = "; …" if len(other) > NAMED else ""
        raise ArtifactError(f"{path} was made with {'; '.join(other[:NAMED])}{more}: run `dvc repro -f {stage}`")
