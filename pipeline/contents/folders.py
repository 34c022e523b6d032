"""The walk over a source folder that all contents share, and the files that it refuses."""

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
"""Names of files that describe the data and are not items."""
KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class UnusableError(Exception):
    """A file that can be read but not used; the message states why."""


@dataclass(frozen=True)
class Folder:
    """A source's folder, and which of its files may be read.

    Attributes:
        max_bytes: largest size of a file, both on disk and unpacked.
        follow_links: whether links that leave the folder are followed.
    """

    path: Path
    max_bytes: int
    follow_links: bool

    @property
    def name(self) -> str:
        """The folder's own name, which identifies known sources."""
        return self.path.name

    def files(self, ending: str = "") -> Iterator[Path | Rejected]:
        """Yield what `walk` yields, with a progress bar."""
        total = sum(1 for _ in self.walk(ending))
        about = f"read {shown(self.name)}"
        yield from bar(self.walk(ending), desc=about, total=total, unit=" files", mininterval=1.0, leave=False)

    def walk(self, ending: str = "") -> Iterator[Path | Rejected]:
        """Yield the regular files below with a suffix, in the order of their names, and what is refused.

        Hidden files and files about the data are skipped. Each folder is walked once, whatever links to it, and only
        regular files are opened. Links to files of the folder are followed; links that leave it only with
        `follow_links`.
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
        """Return the path of a file within the folder, as printable text."""
        return shown(str(path.relative_to(self.path)))

    def label(self, path: Path) -> str | None:
        """Return the class of a file: the name of its first subfolder, or None outside of subfolders."""
        parts = path.relative_to(self.path).parts
        return shown(parts[0]) if len(parts) > 1 else None

    def _refusal(self, path: Path, about: os.stat_result, walked: AbstractSet[tuple[int, int]]) -> str:
        """Return why a file or folder is refused, or ""."""
        is_folder = stat.S_ISDIR(about.st_mode)
        if not is_folder and not stat.S_ISREG(about.st_mode):
            return f"it is {KINDS.get(stat.S_IFMT(about.st_mode), 'something else')}, not a regular file"
        if (about.st_dev, about.st_ino) in walked:
            return "it is a folder that has already been read under another name"
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
    """Return that a file has, or unpacks to (the verb), more bytes than allowed; "" if it does not."""
    return (
        f"it {verb} {size / MIB:,.0f} MiB, more than prepare.max_file_mib ({most / MIB:,.0f}) allows"
        if size > most
        else ""
    )


def decoded(folder: Folder, decode: Callable[[Path], T]) -> Iterator[tuple[Path, T] | Rejected]:
    """Yield the path and the decoded value of each file of a folder, or why it is rejected."""
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
    """Return whether a name may be that of an item, or of a folder of items."""
    return not name.startswith(".") and not ABOUT.fullmatch(name)


def _unreachable(path: Path, error: OSError) -> str:
    """Return why the type of a path cannot be determined."""
    if error.errno == errno.ELOOP:
        return "it is a link that leads back to itself"
    if error.errno == errno.ENOENT and path.is_symlink():
        return "it is a broken link"
    return f"{type(error).__name__}: {error.strerror}"


def _reason(path: Path, error: Exception) -> str:
    """Return why a file gave no item, in one line."""
    if isinstance(error, UnusableError):
        return str(error)
    if isinstance(error, OSError) and path.exists() and path.stat().st_size == 0:
        return "the file is empty"
    message = str(error)
    for name in (str(path), repr(str(path))[1:-1]):  # as Pillow and as OSError write it
        message = message.replace(name, shown(path.name))
    message = shown(" ".join(message.split()))
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
