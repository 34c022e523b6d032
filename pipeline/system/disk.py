"""Write files and folders atomically, read JSON with checks, and compute digests."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, TypeAdapter, ValidationError

from pipeline.system import progress
from pipeline.system.errors import ArtifactError

T = TypeVar("T")
REMEDY = "run `dvc repro` to make it"


def _sha256(value: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError("it must be a sha256, of 64 hex digits")
    return value


Digest = Annotated[str, AfterValidator(_sha256)]
"""A sha256 as 64 hex digits."""


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `folder`, and replace `folder` with it once the block succeeds."""
    temporary = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file atomically: it is never incomplete, even after a power loss."""
    temporary = path.with_name(".writing")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    entry = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)


def write_json(path: Path, tree: Any) -> None:
    """Write values as JSON whose bytes depend on the content alone."""
    text = json.dumps(tree, indent=2, sort_keys=True, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, text.encode())


def read_json(path: Path, kind: type[T], remedy: str = REMEDY) -> T:
    """Read a JSON file as a type that pydantic supports; the type decides whether extra keys are dropped or kept.

    Raises:
        ArtifactError: the file is missing, empty, not JSON or not of that type; the error names the first wrong place.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); {remedy}") from error
    found = parse_json(data, kind, str(path), remedy)
    if found == {}:
        raise ArtifactError(f"{path}: cannot be read (it is empty); {remedy}")
    return found


def parse_json(data: bytes | str, kind: type[T], origin: str, remedy: str = REMEDY) -> T:
    """Parse JSON as `read_json` does; error messages name its source as `origin`.

    Raises:
        ArtifactError: the text is not JSON, or not of that type.
    """
    try:
        return TypeAdapter(kind).validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        message = f"{place}: {first['msg']}" if place else first["msg"]
        raise ArtifactError(f"{origin}: cannot be read ({message}); {remedy}") from error


def digest_of(tree: Any) -> str:
    """Return the sha256 of plain values; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


def sha256(*paths: Path) -> str:
    """Return the sha256 of the concatenated bytes of files, in the given order."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        with (
            path.open("rb") as file,
            progress.bar(
                total=size, desc=f"check {path.name}", unit="B", unit_scale=True, delay=2.0, leave=False
            ) as bar,
        ):
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
                bar.update(len(block))
    return digest.hexdigest()
