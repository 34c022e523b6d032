"""Convert raw items to the arrays of data/prepared, in memory that does not grow with the size of the items."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib.format import write_array_header_1_0
from numpy.typing import NDArray

from pipeline.contents.base import Content, DataSpec, Item, LeftOut, Rejected
from pipeline.contents.folders import Folder
from pipeline.contents.names import Names
from pipeline.data.prepared import SPLITS, Split
from pipeline.params import Split as Shares
from pipeline.system import disk, progress
from pipeline.system.errors import SourceError
from pipeline.system.rng import key

FEWEST = 100
DIGEST = 16
NAMED = 3
UNCLASSED = "(none)"
"""Class of the items that are in no subfolder."""
ROW = np.dtype(
    [
        ("like", f"S{DIGEST}"),
        ("bytes", "u8"),
        ("order", "u8"),
        ("group", "u8"),
        ("label", "i4"),
        ("fixed", "i1"),
        ("at", "i8"),
    ]
)
"""The record of an item: digests of its likeness (equal for duplicates) and of its bytes, its keys in the seeded orders
of items and of groups, class, fixed split, index in the encoded file."""
FIXED = {"test": 0, "train": 1, None: 2}


@dataclass
class Harvest:
    """What was read from a source: a row for each encoded item, and the rejected files.

    `files` counts all files (`Usable` defines one), and `left_out` the items that the content itself left out.
    """

    rows: NDArray[np.void]
    classes: list[str]
    rejected: list[Rejected] = field(default_factory=list)
    files: int = 0
    left_out: int = 0


def harvest(
    content: Content,
    source: Folder,
    to: IO[bytes],
    seed: int,
    names: Names,
    leave_out: Callable[[LeftOut], object],
) -> Harvest:
    """Encode all items of a source into one file, in order; collect their names, and report those that are left out."""
    order_key = key(seed, "split").to_bytes(8, "big")
    kept = bytearray()  # grows in place, whereas joining arrays would copy them
    pending: list[tuple[bytes, int, int, int, int, int, int]] = []
    rejected: list[Rejected] = []
    classes: dict[str, int] = {}
    count = files = left_out = 0
    last = ""
    for found in progress.bar(content.read(source), desc="prepare", unit=" items", mininterval=1.0):
        if isinstance(found, LeftOut):
            leave_out(found)
            left_out += 1
            continue
        file = found.group or found.origin if isinstance(found, Item) else found.origin
        files, last = files + (file != last), file
        if isinstance(found, Rejected):
            rejected.append(found)
        if not isinstance(found, Item):
            continue
        data = content.encode(found.raw).tobytes()
        if to.write(data) < len(data):  # unbuffered: on a full disk nothing else raises
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source))
        like = hashlib.blake2b(data if found.like is None else found.like, digest_size=DIGEST).digest()
        order = _number(like, order_key)
        group = order if found.group is None else _number(found.group.encode(errors="surrogateescape"), order_key)
        label = classes.setdefault(found.label or UNCLASSED, len(classes))
        pending.append((like, _number(data), order, group, label, FIXED[found.split], count))
        names.add(found.origin)
        count += 1
        if len(pending) == 1 << 12:
            kept += np.array(pending, ROW).tobytes()
            pending.clear()
    kept += np.array(pending, ROW).tobytes()
    rows = np.frombuffer(kept, ROW)
    rejected.sort(key=lambda each: each.origin)
    return Harvest(_sorted_labels(rows, classes), sorted(classes), rejected, files, left_out)


def check(found: Harvest, most: float, source: Path) -> None:
    """Refuse a source with too few items, or with too many unusable files.

    Raises:
        SourceError: there are fewer than 100 different items, or the share of unusable files is above `most`; the first
            of those files are named.
    """
    count = len(np.unique(found.rows["like"]))
    if count < FEWEST:
        raise SourceError(f"{source} has {count} usable items, fewer than {FEWEST}{_first(found.rejected)}; add more")
    share = len(found.rejected) / found.files
    if share > most:
        raise SourceError(
            f"{source}: {len(found.rejected)} of {found.files} files ({share:.1%}) cannot be used, more than "
            f"prepare.max_rejected ({most:.1%}) allows{_first(found.rejected)}; fix or remove them, or "
            "raise prepare.max_rejected"
        )


def split(found: Harvest, shares: Shares) -> tuple[dict[Split, NDArray[np.void]], NDArray[np.int64]]:
    """Return the rows of each split without duplicates, and row indices (n, 2) of each duplicate and what it repeats.

    A pure function of seed and content. Within each class, groups of items are put into an order keyed by the seed, and
    the order is cut between groups; an item without a group is a group of its own. Within a split, items are in a keyed
    order, whatever their group. Of duplicates, one in a fixed test split is kept in preference to others.

    Raises:
        SourceError: a split would be empty.
    """
    rows = found.rows
    # indices stand in for rows as long as possible: they take an eighth of the memory
    kept = np.lexsort([rows[each] for each in ("bytes", "group", "label", "fixed", "like")])
    like = rows["like"][kept]
    new = np.append(True, like[1:] != like[:-1])
    del like
    repeats = _repeats(kept, new)
    kept = kept[new]
    kept = kept[np.lexsort((rows["order"][kept], rows["group"][kept]))]
    group, label, fixed = (rows[each][kept] for each in ("group", "label", "fixed"))
    target = np.full(len(kept), -1, np.int8)
    for number in range(len(found.classes)):
        of_class = label == number
        free = np.flatnonzero(of_class & (fixed == FIXED[None]))
        target[free] = _cut(group[free], [shares.train, shares.val, shares.test])
        train = np.flatnonzero(of_class & (fixed == FIXED["train"]))
        target[train] = _cut(group[train], [shares.train, shares.val])
        target[of_class & (fixed == FIXED["test"])] = SPLITS.index("test")
    parts = (kept[target == i] for i in range(len(SPLITS)))
    splits = {name: rows[part[np.argsort(rows["order"][part])]] for name, part in zip(SPLITS, parts, strict=True)}
    for name, part in splits.items():
        if not len(part):
            largest = int(np.unique(group, return_counts=True)[1].max())
            undivided = f", {largest} of one file, which is never divided" if largest > 1 else ""
            raise SourceError(
                f"{name} would be empty ({len(kept)} items, {len(found.classes)} classes{undivided}); raise its share"
                + (", or add files" if undivided else "")
            )
    return splits, repeats


def duplicates(rows: NDArray[np.void], repeats: NDArray[np.int64], names: Names) -> Iterator[LeftOut]:
    """Yield the duplicates that `split` left out, by name."""
    for place, of in repeats:
        same = rows["bytes"][place] == rows["bytes"][of]
        yield LeftOut(names[place], names[of], "it is the same to the model" if same else "it is alike")


def write(rows: NDArray[np.void], encoded: IO[bytes], spec: DataSpec, folder: Path, name: Split) -> None:
    """Write a split as a file of its array and one of its labels, reading one item at a time."""
    size = int(np.prod(spec.shape)) * spec.dtype.itemsize
    header = {"descr": spec.dtype.str, "fortran_order": False, "shape": (len(rows), *spec.shape)}
    with (folder / f"{name}.npy").open("wb") as file:
        write_array_header_1_0(file, header)
        for at in progress.bar(rows["at"], desc=f"write {name}", unit=" items", mininterval=1.0):
            encoded.seek(int(at) * size)
            file.write(encoded.read(size))
    np.save(folder / f"{name}_labels.npy", rows["label"])


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of arrays and labels, by file name."""
    return {path.name: disk.sha256(path) for path in sorted(folder.glob("*.npy"))}


def _number(data: bytes, secret: bytes = b"") -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=secret).digest(), "big")


def _repeats(order: NDArray[np.int64], new: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the indices of items that are not new, (n, 2), each with that of the last new one before it in `order`."""
    firsts, again = np.flatnonzero(new), np.flatnonzero(~new)
    pairs = np.stack([order[again], order[firsts[np.searchsorted(firsts, again) - 1]]], axis=1)
    return pairs[np.argsort(pairs[:, 0])]


def _cut(order: NDArray[np.uint64], shares: list[float]) -> NDArray[np.int64]:
    """Return the part index of each item, for items sorted by `order`.

    Every part ends at its rounded share; items with equal `order`, a group, stay together.
    """
    ends = np.rint(np.cumsum(shares) / np.sum(shares) * len(order))
    part = np.searchsorted(ends, np.arange(len(order)), side="right")
    _, first, group = np.unique(order, return_index=True, return_inverse=True)
    return part[first][group]


def _sorted_labels(rows: NDArray[np.void], names: dict[str, int]) -> NDArray[np.void]:
    """Number the classes by their sorted names, whatever the order in which they were found."""
    place = np.empty(max(len(names), 1), np.int32)
    for i, name in enumerate(sorted(names)):
        place[names[name]] = i
    rows["label"] = place[rows["label"]]
    return rows


def _first(rejected: list[Rejected]) -> str:
    named = "; ".join(f"{each.origin}: {each.reason}" for each in rejected[:NAMED])
    return f" ({named}{'; …' if len(rejected) > NAMED else ''})" if named else ""
