"""A queue on disk of metrics for the tracking store: each is uploaded once and in order, across kills."""

from __future__ import annotations

import math
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.system.errors import TrackingError
from pipeline.training.curves import Metrics

MOST = 256 * 2**20
"""Largest size of the queue in bytes; later metrics are dropped, with a warning."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL, step INTEGER NOT NULL, time INTEGER NOT NULL, value REAL, png BLOB,
    sent INTEGER NOT NULL DEFAULT 0,
    UNIQUE (name, step)
);
CREATE INDEX IF NOT EXISTS waiting ON items (sent, id);
CREATE TABLE IF NOT EXISTS said (key TEXT PRIMARY KEY, value TEXT);
"""


@dataclass(frozen=True)
class Item:
    """A metric, or a picture if `png` is set, of a step, with its time in milliseconds since 1970."""

    id: int
    name: str
    step: int
    time: int
    value: float
    png: bytes | None


class Spool:
    """An SQLite file of metrics and pictures. What a resumed training adds again is kept once, as the first time.

    A sent item stays until `forget`, so that the same step of a resumed training is known to have been sent.
    """

    def __init__(self, path: Path) -> None:
        """Set the path of the file, which the first item creates."""
        self.path = path

    def add(self, metrics: Metrics) -> None:
        """Add metrics."""
        now = _now()
        # SQLite has no NaN: it stores one as NULL
        self._insert([(name, step, now, value, None) for name, value, step in metrics])

    def add_picture(self, name: str, step: int, png: bytes) -> None:
        """Add a picture."""
        self._insert([(name, step, _now(), None, png)])

    def waiting(self, most: int) -> list[Item]:
        """Return the oldest items that are not uploaded, at most so many."""
        if not self.path.is_file():
            return []
        with self._open() as base:
            rows = base.execute(
                "SELECT id, name, step, time, value, png FROM items WHERE sent = 0 ORDER BY id LIMIT ?", (most,)
            )
            return [
                Item(key, name, step, at, math.nan if value is None else value, png)
                for key, name, step, at, value, png in rows
            ]

    def sent(self, items: list[Item]) -> None:
        """Mark items as uploaded, and drop their pictures."""
        with self._open() as base:
            base.executemany("UPDATE items SET sent = 1, png = NULL WHERE id = ?", [(item.id,) for item in items])

    def forget(self, before: int) -> None:
        """Drop uploaded items of the steps before that of the oldest checkpoint."""
        if self.path.is_file():
            with self._open() as base:
                base.execute("DELETE FROM items WHERE sent = 1 AND step < ?", (before,))

    def count(self) -> int:
        """Return the number of items that are not uploaded."""
        if not self.path.is_file():
            return 0
        with self._open() as base:
            return int(base.execute("SELECT COUNT(*) FROM items WHERE sent = 0").fetchone()[0])

    @property
    def status(self) -> str | None:
        """The status that the run does not have yet in the tracking store."""
        if not self.path.is_file():
            return None
        with self._open() as base:
            row = base.execute("SELECT value FROM said WHERE key = 'status'").fetchone()
            return row[0] if row else None

    @status.setter
    def status(self, value: str | None) -> None:
        with self._open() as base:
            base.execute("INSERT OR REPLACE INTO said VALUES ('status', ?), ('ended', ?)", (value, _now()))

    @property
    def ended(self) -> int:
        """Time of that status, in milliseconds since 1970."""
        with self._open() as base:
            return int(base.execute("SELECT value FROM said WHERE key = 'ended'").fetchone()[0])

    def _insert(self, rows: list[tuple[str, int, int, float | None, bytes | None]]) -> None:
        with self._open() as base:
            pages, free, size = (
                base.execute(f"PRAGMA {each}").fetchone()[0] for each in ("page_count", "freelist_count", "page_size")
            )
            if (pages - free) * size > MOST:
                if not base.execute("INSERT OR IGNORE INTO said VALUES ('full', '')").rowcount:
                    return
                sys.stderr.write(
                    f"warning: {self.path} is full; metrics are dropped until the tracking store is back\n"
                )
                return
            base.execute("DELETE FROM said WHERE key = 'full'")
            base.executemany("INSERT OR IGNORE INTO items (name, step, time, value, png) VALUES (?, ?, ?, ?, ?)", rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction.

        Raises:
            TrackingError: it cannot be written or read.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=30)) as base, base:
                base.executescript(SCHEMA)
                yield base
        except (OSError, sqlite3.Error) as error:
            raise TrackingError(
                f"{self.path}: metrics cannot be kept ({error}); free space, or make the folder writable, and run again"
            ) from error


def _now() -> int:
    return int(time.time() * 1000)
