"""The known image sets: IDX files (MNIST and its kin) and CIFAR-10, fetched by torchvision where they are missing."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.contents.base import Item, Rejected
from pipeline.errors import SourceError
from pipeline.sources import Card, downloading

IDX_SETS = {"fashion-mnist": "FashionMNIST", "mnist": "MNIST"}
IDX_PARTS: dict[Literal["train", "test"], str] = {"train": "train", "test": "t10k"}


def read(source: Path) -> Iterator[Item | Rejected] | None:
    """Return the items of a known set, or None where the folder holds something else.

    Raises:
        SourceError: the set is not there and cannot be downloaded, or its files are damaged.
    """
    if source.name == "cifar10":
        return _cifar10(source)
    if source.name in IDX_SETS:
        _fetch_idx(source)
        return _idx(source, fixed_split=True)
    if _idx_file(source, "t10k-images") or _idx_file(source, "train-images"):
        return _idx(source, fixed_split=False)
    return None


def _idx(source: Path, *, fixed_split: bool) -> Iterator[Item]:
    names = Card.read(source).classes
    for split, part in IDX_PARTS.items():
        images, labels = _idx_file(source, f"{part}-images"), _idx_file(source, f"{part}-labels")
        if images is None or labels is None:
            continue
        pixels, targets = _idx_array(images), _idx_array(labels)
        if pixels.ndim != 3 or targets.shape != pixels.shape[:1]:
            raise SourceError(
                f"{images} holds {pixels.shape}, {labels.name} {targets.shape}: they do not belong together"
            )
        if names and targets.max(initial=0) >= len(names):
            raise SourceError(
                f"{labels} has class {targets.max()}, but source.json names {len(names)} classes; name all"
            )
        for i, (picture, label) in enumerate(zip(pixels, targets, strict=True)):
            name = names[label] if names else str(label)
            yield Item(picture[..., None], f"{images.name}[{i}]", name, split if fixed_split else None)


def _idx_file(source: Path, stem: str) -> Path | None:
    return next((path for path in sorted(source.rglob(f"{stem}-idx?-ubyte*")) if path.is_file()), None)


def _idx_array(path: Path) -> NDArray[np.uint8]:
    """Return the array of an IDX file: two zero bytes, type, number of axes, their lengths (big-endian), the bytes."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
        shape = struct.unpack_from(f">{data[3]}I", data, 4)
        return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
    except (OSError, EOFError, zlib.error, struct.error, IndexError, ValueError) as error:
        raise SourceError(f"{path}: not a whole IDX file ({error}); put a sound copy in its place") from error


def _fetch_idx(source: Path) -> None:
    stems = [f"{part}-{kind}" for part in IDX_PARTS.values() for kind in ("images", "labels")]
    if all(_idx_file(source, stem) for stem in stems):
        return
    files = ", ".join(f"{stem}-idx{3 if 'images' in stem else 1}-ubyte.gz" for stem in stems)
    _download(source, IDX_SETS[source.name], files)


def _cifar10(source: Path) -> Iterator[Item]:
    """Yield CIFAR-10; its archive holds pickles, which torchvision reads only once their MD5 sums agree."""
    from torchvision.datasets import CIFAR10

    def part(train: bool) -> CIFAR10:
        try:
            return CIFAR10(source, train=train)
        except RuntimeError:
            _download(source, "CIFAR10", "cifar-10-python.tar.gz")
            return CIFAR10(source, train=train)

    for split, data in (("train", part(train=True)), ("test", part(train=False))):
        for i, (pixels, label) in enumerate(zip(data.data, data.targets, strict=True)):
            yield Item(pixels, f"{split}[{i}]", data.classes[label], "train" if split == "train" else "test")


def _download(source: Path, dataset: str, files: str) -> None:
    """Download a set with torchvision, which checks the MD5 sums; an archive that lies there already is used."""
    from torchvision import datasets

    try:
        with downloading(f"{source.name}: not all of it lies in {source}; downloading the rest"):
            getattr(datasets, dataset)(source, download=True)
    except (OSError, RuntimeError) as error:
        raise SourceError(
            f"prepare.source is {source.name}, which is not whole in {source} and cannot be downloaded "
            f"({str(error).splitlines()[0]}); put {files} there"
        ) from error
