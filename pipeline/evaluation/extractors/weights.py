"""The Inception-v3 weights published by torch-fidelity: downloaded once, and verified by their digest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from pipeline.contents.sources import downloading
from pipeline.system import disk
from pipeline.system.errors import SourceError

NAME = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{NAME}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


def read(place: Path) -> Mapping[str, Tensor]:
    """Return the weights in a file or, if `place` is a folder, the published weights.

    Only tensors are unpickled.

    Raises:
        SourceError: the file is missing and cannot be downloaded, or is corrupt.
    """
    path = find(place)
    try:
        weights: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        raise SourceError(f"{path}: holds no weights ({_reason(error)}); replace it with an intact copy") from error
    return weights


def find(place: Path) -> Path:
    """Return `place` if it is not a folder, otherwise the published file in it or in torch.hub's cache.

    Raises:
        SourceError: the published file is in neither and cannot be downloaded to the cache, or is corrupt.
    """
    if not place.is_dir():
        return place
    path = place / NAME
    if not path.is_file():
        path = Path(torch.hub.get_dir()) / "checkpoints" / NAME
        if not path.is_file():
            _download(path, place)
    if disk.sha256(path) != SHA256:
        raise SourceError(f"{path}: corrupt, its sha256 is not {SHA256}; replace it with an intact copy")
    return path


def _download(path: Path, folder: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with downloading(f"inception: its weights are not in {folder}; downloading them to {path.parent}"):
            torch.hub.download_url_to_file(URL, str(path), SHA256)
    except (OSError, RuntimeError) as error:
        raise SourceError(
            f"features.extractor is inception, whose weights are not in {folder} and cannot be downloaded "
            f"({_reason(error)}); put {NAME} there, from {URL}"
        ) from error


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
