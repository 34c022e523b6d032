"""Folders of files, one item or more in each: the one walk over them that all contents share, and what it refuses."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pipeline.contents.base import Rejected
from pipeline.system.errors import shown
from pipeline.system.progress import bar

T = TypeVar("T")

MIB = 1 << 20
ABOUT = re.compile(r"(readme|licen[cs]e|copying)(\.(md|rst|txt))?|source\.json", re.IGNORECASE)
"""Names of files that lie beside the data and are no items."""
KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class UnusableError(Exception):
    """A file that can be read and is no good: its text says why."""


@dataclass(frozen=True)
class Folder:
    """A source's folder, and what of it may be read.

    Attributes:
        max_bytes: what a file may have at most, as it lies there and unpacked.
        follow_links: whether links to what lies outside are followed.
    """

    path: Path
    max_bytes: int
    follow_links: bool

    @property
    def name(self) -> str:
        """The folder's own name, by which some sources are known."""
        return self.path.name

    def files(self, ending: str = "") -> Iterator[Path | Rejected]:
        """Yield what `walk` does, beneath a bar of how many of them there are."""
        total = sum(1 for _ in self.walk(ending))
        about = f"read {shown(self.name)}"
        yield from bar(self.walk(ending), desc=about, total=total, unit=" files", mininterval=1.0, leave=False)

    def walk(self, ending: str = "") -> Iterator[Path | Rejected]:
        """Yield the regular files below whose names have an ending, in the order of their names; and what is refused.

        Hidden ones, and those that speak about the data, are no items. Each folder is walked once, whatever leads to
        it, and nothing is opened that is no regular file. Links are followed to files of the folder, and where
        `follow_links` says so to what lies outside.
        """
        walked: set[tuple[int, int]] = set()
        pending = [self.path]
        while pending:
            path = pending.pop()
            is_folder = False
            try:
                about = path.stat()
                is_folder = stat.S_ISDIR(about.st_mode)
                reason = self._refusal(path, about, walked)
                if is_folder and not reason:
                    walked.add((about.st_dev, about.st_ino))
                    inside = (each for each in path.iterdir() if _may_be_item(each.name))
                    pending += sorted(inside, key=lambda each: each.name, reverse=True)
                    continue
            except OSError as error:
                reason = _unreachable(path, error)
            if is_folder or path.name.endswith(ending):
                yield Rejected(self.origin(path), reason) if reason else path

    def origin(self, path: Path) -> str:
        """Return where a file lies in the folder, as people can read it."""
        return shown(str(path.relative_to(self.path)))

    def label(self, path: Path) -> str | None:
        """Return the class of a file: the name of the first subfolder that it is in, if it is in one."""
        parts = path.relative_to(self.path).parts
        return shown(parts[0]) if len(parts) > 1 else None

    def _refusal(self, path: Path, about: os.stat_result, walked: AbstractSet[tuple[int, int]]) -> str:
        """Return why a file or folder is none of this one's, or ""."""
        is_folder = stat.S_ISDIR(about.st_mode)
        if not is_folder and not stat.S_ISREG(about.st_mode):
            return f"it is {KINDS.get(stat.S_IFMT(about.st_mode), 'something else')} and no regular file"
        if (about.st_dev, about.st_ino) in walked:
            return "it is a folder that is read under another name already"
        if path.is_symlink() and path != self.path:
            end = path.resolve()
            inside = end.is_relative_to(self.path.resolve())
            if inside and is_folder:
                return "it is a link to a folder of the same source"
            if not inside and not self.follow_links:
                return (
                    f"it is a link that leaves the source, to {shown(str(end))}; prepare.follow_links: true allows it"
                )
        return "" if is_folder else too_large("has", about.st_size, self.max_bytes)


def too_large(verb: str, size: int, most: int) -> str:
    """Return that something has, or unpacks to, too many bytes, or ""."""
    return (
        f"it {verb} {size / MIB:,.0f} MiB, more than prepare.max_file_mib ({most / MIB:,.0f}) allows"
        if size > most
        else ""
    )


def decoded(folder: Folder, decode: Callable[[Path], T]) -> Iterator[tuple[Path, T] | Rejected]:
    """Yield what each file of a folder is decoded to, after its path; or why it is not."""
    for path in folder.files():
        if isinstance(path, Rejected):
            yield path
            continue
        try:
            found = decode(path)
        except Exception as error:  # noqa: BLE001 - decoders of foreign bytes raise anything; the reason is recorded
            yield Rejected(folder.origin(path), _reason(path, error))
        else:
            yield path, found


def _may_be_item(name: str) -> bool:
    """Return whether a name may be that of an item, or of a folder with some."""
    return not name.startswith(".") and not ABOUT.fullmatch(name)


def _unreachable(path: Path, error: OSError) -> str:
    """Return why it cannot even be told what lies somewhere."""
    if error.errno == errno.ELOOP:
        return "it is a link that leads back to itself"
    if error.errno == errno.ENOENT and path.is_symlink():
        return "it is a link to nothing"
    return f"{type(error).__name__}: {error.strerror}"


def _reason(path: Path, error: Exception) -> str:
    """Return in one line why a file gave no item."""
    if isinstance(error, UnusableError):
        return str(error)
    if isinstance(error, OSError) and path.exists() and path.stat().st_size == 0:
        return "the file is empty"
    said = str(error)
    for name in (str(path), repr(str(path))[1:-1]):  # as Pillow and as OSError write it
        said = said.replace(name, shown(path.name))
    said = shown(" ".join(said.split()))
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
