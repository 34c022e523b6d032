"""Check the description of a model or of prepared data against the schema of params.yaml, before building anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from pipeline import contents
from pipeline.contents.base import Content
from pipeline.params import Params
from pipeline.params.sections import Section
from pipeline.system import disk
from pipeline.system.disk import Digest
from pipeline.system.errors import ArtifactError
from pipeline.system.validation import say

FORMAT = 4
"""Version of the format of model.json and its weights: 1 stored the vectors of grids channel by channel, 2 stores them
place by place, 3 renamed the params that were called `size`, and 4 has those of tokens in sections of their own."""
REMEDY = "run `dvc repro -f train` to make it again, or fetch it again"
OF_ANOTHER_VERSION = ("missing", "extra_forbidden")
"""Problems allowed in params that build nothing: a later version may remove or add a param of `train`."""


class Description(Section):
    """All fields of model.json; `models.saved.SavedModel` is built from them."""

    family: str
    content: str
    params: dict[str, Any]
    data_digest: Digest
    learnt: dict[str, Any] = Field(default_factory=dict)
    format: int = Field(default=1, ge=1)
    weights_sha256: Digest


def read(folder: Path) -> Description:
    """Read model.json; the params and the content of another format are not checked.

    Raises:
        ArtifactError: it is missing, not a description, or describes a model that no params make.
    """
    path = folder / "model.json"
    tree = disk.read_json(path, dict[str, Any], REMEDY)
    try:
        found = Description.model_validate(tree)
    except ValidationError as error:
        raise ArtifactError(f"{path}: {say(error.errors()[0], Description)}; {REMEDY}") from error
    if found.format == FORMAT:
        hold(path, found.params, ("content", found.content, "family", found.family), REMEDY)
        for name, value in (("content", found.content), ("family", found.family)):
            if found.params[name] != value:
                raise ArtifactError(f"{path}: {name} is {value}, and in its params {found.params[name]}; {REMEDY}")
        content(path, found.content, found.params, found.learnt, REMEDY)
    return found


def hold(path: Path, params: Mapping[str, Any], building: Collection[str], remedy: str) -> None:
    """Check params, nested as in params.yaml, against its schema; only sections in `building` must be complete.

    Raises:
        ArtifactError: a value is missing, unknown or not allowed; the error names `path`, the file of the params.
    """
    try:
        Params.model_validate(dict(params))
    except ValidationError as error:
        for problem in error.errors():
            if problem["type"] not in OF_ANOTHER_VERSION or problem["loc"][0] in building:
                raise ArtifactError(f"{path}: {say(problem, Params)}; {remedy}") from error


def content(path: Path, name: str, params: Mapping[str, Any], learnt: Mapping[str, Any], remedy: str) -> Content:
    """Build the content that `params` and the `learnt` state describe.

    Raises:
        ArtifactError: they do not describe a content; the error names `path`, the file that holds them.
    """
    try:
        return contents.build(name, params[name], learnt)
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"{path}: describes no content ({error}); {remedy}") from error
