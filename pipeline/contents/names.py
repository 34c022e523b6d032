"""A list of many names, kept on disk and looked up by number."""

from __future__ import annotations

import tempfile
from array import array
from pathlib import Path
from types import TracebackType
from typing import Self


class Names:
    """Names in a temporary file, numbered from 0 in the order of addition; each takes eight bytes of memory."""

    def __init__(self, folder: Path | None = None) -> None:
        """Open the file in a folder, or in the folder for temporary files."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._ends = array("q", [0])

    def add(self, name: str) -> int:
        """Add a name and return its number."""
        self._file.seek(self._ends[-1])
        self._ends.append(self._ends[-1] + self._file.write(name.encode(errors="surrogatepass")))
        return len(self._ends) - 2

    def __getitem__(self, number: int) -> str:
        """Return the name with a number."""
        begin, end = self._ends[number : number + 2]
        self._file.seek(begin)
        return self._file.read(end - begin).decode(errors="surrogatepass")

    def __enter__(self) -> Self:
        """Return itself, with the file open."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Remove the file."""
        self._file.close()
