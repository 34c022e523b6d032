"""Known image datasets: IDX files (MNIST and the like) and CIFAR-10; torchvision downloads missing files."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.contents.base import Item, Rejected
from pipeline.contents.folders import Folder, too_large
from pipeline.contents.sources import Card, downloading
from pipeline.system.errors import SourceError

IDX_SETS = {"fashion-mnist": "FashionMNIST", "mnist": "MNIST"}
IDX_PARTS: dict[Literal["train", "test"], str] = {"train": "train", "test": "t10k"}
IDX_FILE = re.compile(r"(?P<stem>(train|t10k)-(images|labels))-idx\d-ubyte(\.gz)?")
UBYTE = 8
"""The third byte of an IDX file of unsigned bytes."""


def read(source: Folder) -> Iterator[Item | Rejected] | None:
    """Return the items of a known dataset, or None where the folder holds something else.

    Raises:
        SourceError: the dataset is missing and cannot be downloaded, or its files are corrupt.
    """
    if source.name == "cifar10":
        return _cifar10(source)
    known = source.name in IDX_SETS
    files = _fetched_idx(source) if known else _idx_files(source)
    if known or "t10k-images" in files or "train-images" in files:
        return _idx(source, files, fixed_split=known)
    return None


def _idx(source: Folder, files: dict[str, Path], *, fixed_split: bool) -> Iterator[Item]:
    names = Card.read(source.path).classes
    for split, part in IDX_PARTS.items():
        images, labels = files.get(f"{part}-images"), files.get(f"{part}-labels")
        if images is None or labels is None:
            continue
        pixels, targets = (_idx_array(path, source.max_bytes) for path in (images, labels))
        if pixels.ndim != 3 or targets.shape != pixels.shape[:1]:
            raise SourceError(
                f"{images} has shape {pixels.shape}, but {labels.name} {targets.shape}; put a matching pair there"
            )
        if names and targets.max(initial=0) >= len(names):
            raise SourceError(
                f"{labels} has class {targets.max()}, but source.json names {len(names)} classes; name all there"
            )
        for i, (picture, label) in enumerate(zip(pixels, targets, strict=True)):
            name = names[label] if names else str(label)
            yield Item(picture[..., None], f"{images.name}[{i}]", name, split if fixed_split else None)


def _idx_files(source: Folder) -> dict[str, Path]:
    """Return the IDX files of a folder by their stems.

    Raises:
        SourceError: one of them is refused.
    """
    found: dict[str, Path] = {}
    for path in source.walk():
        name = path.origin.rpartition("/")[2] if isinstance(path, Rejected) else path.name
        idx = IDX_FILE.fullmatch(name)
        if not idx:
            continue
        if isinstance(path, Rejected):
            raise SourceError(f"{source.path / path.origin}: {path.reason}")
        found.setdefault(idx["stem"], path)
    return found


def _idx_array(path: Path, max_bytes: int) -> NDArray[np.uint8]:
    """Read an IDX file: two zero bytes, type, number of axes, their lengths (big-endian), then the data."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            shape = _idx_shape(file)
            size = math.prod(shape)
            if size > max_bytes:
                raise SourceError(f"{path}: {too_large('unpacks to', size, max_bytes)}")
            data = file.read(size)
            if len(data) < size or file.read(1):
                raise ValueError(f"its data are not the {size:,} bytes that its header states")
        return np.frombuffer(data, np.uint8).reshape(shape)
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise SourceError(f"{path}: not a complete IDX file ({error}); replace it with an intact copy") from error


def _idx_shape(file: IO[bytes] | gzip.GzipFile) -> tuple[int, ...]:
    zeros, kind, axes = struct.unpack(">HBB", file.read(4))
    if zeros or kind != UBYTE:
        raise ValueError("its header is not that of unsigned bytes")
    return struct.unpack(f">{axes}I", file.read(4 * axes))


def _fetched_idx(source: Folder) -> dict[str, Path]:
    """Return the IDX files of a known dataset; download those that are missing."""
    stems = [f"{part}-{kind}" for part in IDX_PARTS.values() for kind in ("images", "labels")]
    found = _idx_files(source)
    if found.keys() >= set(stems):
        return found
    files = ", ".join(f"{stem}-idx{3 if 'images' in stem else 1}-ubyte.gz" for stem in stems)
    _download(source.path, IDX_SETS[source.name], files)
    return _idx_files(source)


def _cifar10(source: Folder) -> Iterator[Item]:
    """Yield CIFAR-10; torchvision reads the pickles in its archive only if their MD5 sums are right."""
    from torchvision.datasets import CIFAR10

    def part(train: bool) -> CIFAR10:
        try:
            return CIFAR10(source.path, train=train)
        except RuntimeError:
            _download(source.path, "CIFAR10", "cifar-10-python.tar.gz")
            return CIFAR10(source.path, train=train)

    for split, data in (("train", part(train=True)), ("test", part(train=False))):
        for i, (pixels, label) in enumerate(zip(data.data, data.targets, strict=True)):
            yield Item(pixels, f"{split}[{i}]", data.classes[label], "train" if split == "train" else "test")


def _download(source: Path, dataset: str, files: str) -> None:
    """Download a dataset with torchvision, which checks the MD5 sums and uses an archive that is already there."""
    from torchvision import datasets

    try:
        with downloading(f"{source.name}: some of its files are missing in {source}; downloading them"):
            getattr(datasets, dataset)(source, download=True)
    except (OSError, RuntimeError) as error:
        raise SourceError(
            f"prepare.source is {source.name}, which is incomplete in {source} and cannot be downloaded "
            f"({str(error).splitlines()[0]}); put {files} there"
        ) from error
