"""Arrays and plain values in one safetensors file that holds its own digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pipeline.errors import ArtefactError

SEAL = "seal"


def write(path: Path, arrays: Mapping[str, NDArray[Any]], about: Any = None) -> None:
    """Write arrays by name, and plain values beside them."""
    told = json.dumps(about, sort_keys=True)
    # one entry: safetensors keeps no order among several, and equal content is to have equal bytes
    seal = json.dumps({"about": told, "sha256": _digest(arrays, told)}, sort_keys=True)
    path.write_bytes(save(dict(arrays), {SEAL: seal}))


def read(path: Path) -> tuple[dict[str, NDArray[Any]], Any]:
    """Return the arrays and the plain values of a file.

    Raises:
        ArtefactError: it is missing, no such file, or not as it was written.
    """
    try:
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open is no mapping
            seal = json.loads(file.metadata()[SEAL])
        whole = seal["sha256"] == _digest(arrays, seal["about"])
    except (OSError, SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{path}: cannot be read ({error}); run `dvc repro` to make it") from error
    if not whole:
        raise ArtefactError(f"{path}: damaged, its digest is not the one that it holds; run `dvc repro` to make it")
    return arrays, json.loads(seal["about"])


def _digest(arrays: Mapping[str, NDArray[Any]], told: str) -> str:
    digest = hashlib.sha256(told.encode())
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
