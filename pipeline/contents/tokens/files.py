"""Documents from folders of plain text, JSON lines or source code, or from Python itself."""

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
    "test", "tests", "idlelib", "lib2to3", "site-packages", "dist-packages", "__pycache__",  # tests and additions
    "encodings", "pydoc_data", "__phello__",  # character tables and prose
})  # fmt: skip
"""Folders left out of the standard library at any depth."""


@dataclass(frozen=True)
class Document:
    """A text, where it came from, and its class, the name of its first subfolder."""

    text: str
    origin: str
    label: str | None = None


def prose(source: Folder, field: str) -> Iterator[Document | Rejected]:
    """Yield the documents of a folder in the order of their names, one per file or per line of a .jsonl file.

    A folder named `python-topics` stands for the topics of the running Python's own manual.
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

    Empty files, which packages often have, are skipped. A folder named `python-library` stands for the standard
    library of the running Python, without its tests and tables.
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
    """Read a file's text, with Unix line ends and without a byte order mark, or return why it is rejected."""
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
    """Yield the documents of JSON lines, holding one line at a time and skipping blank ones."""
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
        return Rejected(origin, f"it is not a line of JSON in UTF-8 ({error})")
    except (KeyError, TypeError, AttributeError, IndexError):
        return Rejected(origin, f"it is not a JSON object with text in the field {field!r}")
    return _checked(Document(text, origin, label))
