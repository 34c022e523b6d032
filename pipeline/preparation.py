"""Raw items to the arrays of data/prepared, in memory that does not grow with the items' size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib.format import write_array_header_1_0
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.artefacts import SPLITS, Split, sha256
from pipeline.contents.base import Content, Rejected
from pipeline.errors import SourceError
from pipeline.params import Split as Shares
from pipeline.rng import key

FEWEST = 100
DIGEST = 16
NAMED = 3
ROW = np.dtype([("digest", f"S{DIGEST}"), ("order", "u8"), ("label", "i4"), ("fixed", "i1"), ("at", "i8")])
"""What is kept of an item: digest, place in the seeded order, class, fixed split, place in the file."""
FIXED = {"test": 0, "train": 1, None: 2}


@dataclass
class Harvest:
    """What a source gave: encoded items in a file, a row on each of them, and the files that gave none."""

    rows: NDArray[np.void]
    classes: list[str]
    rejected: list[Rejected] = field(default_factory=list)


def harvest(content: Content, source: Path, to: IO[bytes], seed: int) -> Harvest:
    """Encode every item of a source into one file, one after the other."""
    order_key = key(seed, "split").to_bytes(8, "big")
    blocks: list[NDArray[np.void]] = []
    pending: list[tuple[bytes, int, int, int, int]] = []
    rejected: list[Rejected] = []
    names: dict[str, int] = {}
    count = 0
    for found in tqdm(content.read(source), desc="prepare", unit=" items", mininterval=1.0):
        if isinstance(found, Rejected):
            rejected.append(found)
            continue
        data = content.encode(found.raw).tobytes()
        to.write(data)
        digest = hashlib.blake2b(data, digest_size=DIGEST).digest()
        order = hashlib.blake2b(digest, digest_size=8, key=order_key).digest()
        label = names.setdefault(found.label or ".", len(names))
        pending.append((digest, int.from_bytes(order, "big"), label, FIXED[found.split], count))
        count += 1
        if len(pending) == 1 << 16:
            blocks.append(np.array(pending, ROW))
            pending.clear()
    rows = np.concatenate([*blocks, np.array(pending, ROW)])
    return Harvest(_sorted_labels(rows, names), sorted(names), sorted(rejected, key=lambda each: each.origin))


def check(found: Harvest, most: float, source: Path) -> None:
    """Refuse a source with too few items, or with too many unusable files.

    Raises:
        SourceError: there are fewer than 100 different items, or the share of files that gave none is above `most`;
            the first of those files are named.
    """
    count = len(np.unique(found.rows["digest"]))
    if count < FEWEST:
        raise SourceError(f"{source} has {count} usable items, fewer than {FEWEST}{_first(found.rejected)}; add more")
    share = len(found.rejected) / (len(found.rejected) + len(found.rows))
    if share > most:
        raise SourceError(
            f"{source}: {len(found.rejected)} files ({share:.1%}) cannot be used, more than prepare.max_rejected "
            f"({most:.1%}) allows{_first(found.rejected)}; mend or remove them, or raise prepare.max_rejected"
        )


def split(found: Harvest, shares: Shares) -> tuple[dict[Split, NDArray[np.void]], int]:
    """Return the rows of each split without exact duplicates, and how many of those there were.

    A pure function of seed and content: within each class, items are put into an order keyed by the seed and by their
    bytes, and that order is cut. Of equal items, one in a fixed test split is kept before others.

    Raises:
        SourceError: a split would be empty.
    """
    rows = found.rows[np.lexsort((found.rows["label"], found.rows["fixed"], found.rows["digest"]))]
    first = np.ones(len(rows), bool)
    first[1:] = rows["digest"][1:] != rows["digest"][:-1]
    kept = rows[first]
    kept = kept[np.argsort(kept["order"], kind="stable")]
    target = np.full(len(kept), -1)
    for label in range(len(found.classes)):
        of_class = kept["label"] == label
        free = np.flatnonzero(of_class & (kept["fixed"] == FIXED[None]))
        target[free] = _cut(len(free), [shares.train, shares.val, shares.test])
        train = np.flatnonzero(of_class & (kept["fixed"] == FIXED["train"]))
        target[train] = _cut(len(train), [shares.train, shares.val])
        target[of_class & (kept["fixed"] == FIXED["test"])] = SPLITS.index("test")
    splits = {name: kept[target == i] for i, name in enumerate(SPLITS)}
    for name, part in splits.items():
        if not len(part):
            raise SourceError(
                f"{name} would be empty ({len(kept)} items, {len(found.classes)} classes); raise its share"
            )
    return splits, len(rows) - len(kept)


def write(rows: NDArray[np.void], encoded: IO[bytes], shape: tuple[int, ...], folder: Path, name: Split) -> None:
    """Write a split as an array file and its labels, reading one item at a time."""
    size = int(np.prod(shape))
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(rows), *shape)}
    with (folder / f"{name}.npy").open("wb") as file:
        write_array_header_1_0(file, header)
        for at in tqdm(rows["at"], desc=f"write {name}", unit=" items", mininterval=1.0):
            encoded.seek(int(at) * size)
            file.write(encoded.read(size))
    np.save(folder / f"{name}_labels.npy", rows["label"])


def digests(folder: Path) -> dict[str, str]:
    """Return the digests of the files with the arrays and labels of all splits."""
    return {path.name: sha256(path) for path in sorted(folder.glob("*.npy"))}


def _cut(n: int, shares: list[float]) -> NDArray[np.int64]:
    """Return for n ordered items the index of the part that each is in; every part ends at its rounded share."""
    ends = np.rint(np.cumsum(shares) / np.sum(shares) * n)
    return np.searchsorted(ends, np.arange(n), side="right")


def _sorted_labels(rows: NDArray[np.void], names: dict[str, int]) -> NDArray[np.void]:
    """Number the classes by their sorted names, whatever the order in which they were met."""
    place = np.empty(max(len(names), 1), np.int32)
    for i, name in enumerate(sorted(names)):
        place[names[name]] = i
    rows["label"] = place[rows["label"]]
    return rows


def _first(rejected: list[Rejected]) -> str:
    named = "; ".join(f"{each.origin}: {each.reason}" for each in rejected[:NAMED])
    return f" ({named}{'; …' if len(rejected) > NAMED else ''})" if named else ""
