"""Write and read safetensors files of arrays and plain values that hold their own digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pipeline.system import disk
from pipeline.system.errors import ArtifactError

SEAL = "seal"
T = TypeVar("T")


@dataclass(frozen=True)
class Seal:
    """The metadata of a file: its plain values as JSON, and the digest of these and of its arrays."""

    about: str
    sha256: str


def write(path: Path, arrays: Mapping[str, NDArray[Any]], about: Any = None) -> None:
    """Write named arrays and plain values."""
    text = json.dumps(about, sort_keys=True)
    # a single entry, since safetensors does not keep their order, and equal content must give equal bytes
    seal = json.dumps({"about": text, "sha256": _digest(arrays, text)}, sort_keys=True)
    path.write_bytes(save(dict(arrays), {SEAL: seal}))


def read(path: Path, kind: type[T]) -> tuple[dict[str, NDArray[Any]], T]:
    """Return the arrays of a file, and its plain values as a type that pydantic supports.

    Raises:
        ArtifactError: the file is missing, of another format or corrupt, or its values are not of that type.
    """
    try:
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open is not a mapping
            seal = disk.parse_json(file.metadata()[SEAL], Seal, str(path))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); run `dvc repro` to make it") from error
    if seal.sha256 != _digest(arrays, seal.about):
        raise ArtifactError(f"{path}: corrupt, its content does not match its digest; run `dvc repro` to make it")
    return arrays, disk.parse_json(seal.about, kind, str(path))


def _digest(arrays: Mapping[str, NDArray[Any]], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
