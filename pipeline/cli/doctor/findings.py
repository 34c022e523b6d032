"""What `pipeline doctor` says of one thing that it looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What one look found: whether it is well, and where it is not, what to do.

    In `text`, a line that begins with four spaces is a command to run as it stands.
    """

    name: str
    ok: bool
    text: str
