"""What is known of a source: the card, source.json, that may lie beside its files; and downloads of what is missing."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.system.errors import SourceError

TIMEOUT = 30.0
"""Seconds that a download may stand still."""


@contextmanager
def downloading(why: str) -> Iterator[None]:
    """Say why something is downloaded, and let no download within stand still for long."""
    sys.stderr.write(f"{why}\n")
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


class Card(BaseModel):
    """Title, origin and licence of a source, and the names of its classes where files hold numbers alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str | None = None
    homepage: str | None = None
    licence: str | None = None
    classes: tuple[str, ...] = ()

    @classmethod
    def read(cls, source: Path) -> Card:
        """Read the card of a source; one that has none has an empty card.

        Raises:
            SourceError: the card is not what it should be.
        """
        path = source / "source.json"
        if not path.is_file():
            return cls()
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise SourceError(f"{path}: {error.errors()[0]['msg']}; see data/raw/README.md") from error
