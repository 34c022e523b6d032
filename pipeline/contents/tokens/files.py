"""Documents of text: any folder of plain text or JSON lines, and what comes with Python."""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.contents.base import Rejected
from pipeline.contents.folders import Folder

TOPICS = "python-topics"
LIBRARY = "python-library"
NOT_READ = frozenset({
    "test", "tests", "idlelib", "lib2to3", "site-packages", "dist-packages", "__pycache__",  # tests, and what is added
    "encodings", "pydoc_data", "__phello__",  # tables of characters, and prose
})  # fmt: skip
"""Folders of the standard library that are left out, wherever they are."""


@dataclass(frozen=True)
class Document:
    """A text, where it came from, and its class: the first subfolder that it is in."""

    text: str
    origin: str
    label: str | None = None


def prose(source: Folder, field: str) -> Iterator[Document | Rejected]:
    """Yield the documents of a folder, in the order of their names: a file each, or a line of a .jsonl file each.

    `python-topics` is known by its name: the topics of Python's own manual, as this Python has them.
    """
    if source.name == TOPICS:
        from pydoc_data.topics import topics

        yield from (Document(text, topic) for topic, text in sorted(topics.items()))
        return
    for path in source.files():
        if isinstance(path, Path) and path.suffix == ".jsonl":
            yield from _lines(path, source, field)
        else:
            yield _document(path, source)


def sources(source: Folder, suffix: str) -> Iterator[Document | Rejected]:
    """Yield the source files of a folder that have a suffix, in the order of their names.

    Files without a byte, as packages have, are none. `python-library` is known by its name: the standard library of
    this Python, without its tests and tables.
    """
    known = source.name == LIBRARY
    if known:
        source = replace(source, path=Path(sysconfig.get_path("stdlib")), follow_links=True)
    for path in source.files(suffix):
        if isinstance(path, Rejected) or (not (known and _left_out(path, source)) and path.stat().st_size):
            yield _document(path, source)


def _left_out(path: Path, library: Folder) -> bool:
    parts = path.relative_to(library.path).parts
    return bool(NOT_READ.intersection(parts)) or parts[-1].startswith("_sysconfigdata")


def _document(path: Path | Rejected, folder: Folder) -> Document | Rejected:
    """Return a file's text, with Unix line ends and without a byte order mark, or why it has none."""
    if isinstance(path, Rejected):
        return path
    origin = folder.origin(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Rejected(origin, f"it is not UTF-8 from byte {error.start} on")
    except OSError as error:
        return _unread(origin, error)
    return _checked(Document(text, origin, folder.label(path)))


def _checked(found: Document) -> Document | Rejected:
    if not found.text.strip():
        return Rejected(found.origin, "it is empty")
    if "\0" in found.text:
        return Rejected(found.origin, "it has NUL bytes, as binary files do")
    return Document(found.text.replace("\r\n", "\n").replace("\r", "\n"), found.origin, found.label)


def _unread(origin: str, error: OSError) -> Rejected:
    return Rejected(origin, f"{type(error).__name__}: {error.strerror}")


def _lines(path: Path, folder: Folder, field: str) -> Iterator[Document | Rejected]:
    """Yield the documents of JSON lines, of which one is held at a time; those without anything on them are none."""
    origin, label, empty = folder.origin(path), folder.label(path), True
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    empty = False
                    yield _line(line, field, f"{origin}:{number}", label)
    except OSError as error:
        yield _unread(origin, error)
        return
    if empty:
        yield Rejected(origin, "it is empty")


def _line(line: str, field: str, origin: str, label: str | None) -> Document | Rejected:
    try:
        line.encode()
        text = json.loads(line)[field]
        text.encode()
    except (ValueError, RecursionError) as error:
        return Rejected(origin, f"it is no line of JSON in UTF-8 ({error})")
    except (KeyError, TypeError, AttributeError, IndexError):
        return Rejected(origin, f"it is no object with text as its {field!r}")
    return _checked(Document(text, origin, label))
