"""The result of one check of `pipeline doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The result of one check: whether it passed, and if not, what to do.

    In `text`, a line that begins with four spaces is a command to run as it stands.
    """

    name: str
    ok: bool
    text: str
