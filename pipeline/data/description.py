"""What a folder says of the model or of the data in it, held to the schema of params.yaml before anything is built."""

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
"""What model.json says of the weights: 1 had the vectors of grids channel by channel, 2 has them place by place, 3 has
params that are not called `size` any more, and 4 has those of tokens in sections of their own."""
CURE = "run `dvc repro -f train` to make it again, or fetch it again"
OF_ANOTHER_VERSION = ("missing", "extra_forbidden")
"""What params that build nothing may be: a model outlives a param of `train`, and is there before the next one."""


class Description(Section):
    """All that model.json says; `models.saved.SavedModel` is what is made of it."""

    family: str
    content: str
    params: dict[str, Any]
    data_digest: Digest
    learnt: dict[str, Any] = Field(default_factory=dict)
    format: int = Field(default=1, ge=1)
    weights_sha256: Digest


def read(folder: Path) -> Description:
    """Read model.json; what another format says of params and of the content is left alone.

    Raises:
        ArtifactError: it is missing, no description, or one of a model that no params make.
    """
    path = folder / "model.json"
    tree = disk.read_json(path, dict[str, Any], CURE)
    try:
        found = Description.model_validate(tree)
    except ValidationError as error:
        raise ArtifactError(f"{path}: {say(error.errors()[0], Description)}; {CURE}") from error
    if found.format == FORMAT:
        hold(path, found.params, ("content", found.content, "family", found.family), CURE)
        for name, value in (("content", found.content), ("family", found.family)):
            if found.params[name] != value:
                raise ArtifactError(f"{path}: {name} is {value}, and in its params {found.params[name]}; {CURE}")
        content(path, found.content, found.params, found.learnt, CURE)
    return found


def hold(path: Path, params: Mapping[str, Any], building: Collection[str], cure: str) -> None:
    """Hold params, nested as in params.yaml, to its schema: sections in `building` whole, of others what is there.

    Raises:
        ArtifactError: a value is missing, unknown or not allowed; `path` is the file that has it.
    """
    try:
        Params.model_validate(dict(params))
    except ValidationError as error:
        for problem in error.errors():
            if problem["type"] not in OF_ANOTHER_VERSION or problem["loc"][0] in building:
                raise ArtifactError(f"{path}: {say(problem, Params)}; {cure}") from error


def content(path: Path, name: str, params: Mapping[str, Any], learnt: Mapping[str, Any], cure: str) -> Content:
    """Return the content that params and what it learnt describe.

    Raises:
        ArtifactError: they describe none; `path` is the file that has them.
    """
    try:
        return contents.build(name, params[name], learnt)
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"{path}: describes no content ({error}); {cure}") from error
