"""A source's card, the optional file source.json beside its data, and the download of missing files."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.system.errors import SourceError

TIMEOUT = 30.0
"""Seconds that a download may stall."""


@contextmanager
def downloading(why: str) -> Iterator[None]:
    """Print why a download starts, and abort downloads that stall for `TIMEOUT` seconds."""
    sys.stderr.write(f"{why}\n")
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


class Card(BaseModel):
    """Title, homepage and licence of a source, and the names of its classes where its files hold only numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str | None = None
    homepage: str | None = None
    licence: str | None = None
    classes: tuple[str, ...] = ()

    @classmethod
    def read(cls, source: Path) -> Card:
        """Read the card of a source, or return an empty one if there is none.

        Raises:
            SourceError: the card is invalid.
        """
        path = source / "source.json"
        if not path.is_file():
            return cls()
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise SourceError(f"{path}: {error.errors()[0]['msg']}; data/raw/README.md lists the fields") from error
