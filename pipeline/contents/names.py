"""Names of many things, on disk: what lists of them say is looked up where it is asked for."""

from __future__ import annotations

import tempfile
from array import array
from pathlib import Path
from types import TracebackType
from typing import Self


class Names:
    """Names numbered from 0 as they are added, in a temporary file; memory holds eight bytes of each."""

    def __init__(self, folder: Path | None = None) -> None:
        """Open the file in a folder, or where temporary files are."""
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed where this is left
        self._ends = array("q", [0])

    def add(self, name: str) -> int:
        """Keep a name, and return its number."""
        self._file.seek(self._ends[-1])
        self._ends.append(self._ends[-1] + self._file.write(name.encode(errors="surrogatepass")))
        return len(self._ends) - 2

    def __getitem__(self, number: int) -> str:
        """Return the name of a number."""
        begin, end = self._ends[number : number + 2]
        self._file.seek(begin)
        return self._file.read(end - begin).decode(errors="surrogatepass")

    def __enter__(self) -> Self:
        """Keep the file until this is left."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Remove the file."""
        self._file.close()
