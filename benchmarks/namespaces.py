"""Networks of one's own on one machine: Linux's network namespaces, joined by a cable of limited bandwidth."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

END, NET = "eth0", "10.99.0"
"""The name of a cable's end in its namespace, and what the addresses begin with: the first end is .1, the other .2."""

BURST = 0.25
"""kB that a cable sends at once for each Mbit/s, 2 ms of it: with less, a busy machine does not use the bandwidth."""


class Place(NamedTuple):
    """A namespace: its name, and the words before a command that run it there."""

    name: str

    @property
    def words(self) -> list[str]:
        """Return them."""
        return ["ip", "netns", "exec", self.name]


def possible() -> bool:
    """Say whether this process may make namespaces, and has the tools."""
    return os.geteuid() == 0 and all(map(shutil.which, ("ip", "tc")))


@contextmanager
def namespace(name: str) -> Iterator[Place]:
    """Give a network that has a loopback and nothing else, for as long as it is needed."""
    place = Place(f"{name}-{os.getpid()}")
    _do("ip", "netns", "add", place.name)
    try:
        _do("ip", "-n", place.name, "link", "set", "lo", "up")
        yield place
    finally:
        _do("ip", "netns", "delete", place.name)


@contextmanager
def joined(megabits: float) -> Iterator[tuple[Place, Place]]:
    """Give two networks that a cable joins, whose ends each send so many Mbit/s at most."""
    with namespace("here") as here, namespace("there") as there:
        _do("ip", "-n", here.name, "link", "add", END, "type", "veth", "peer", "name", END, "netns", there.name)
        for number, place in enumerate((here, there), start=1):
            _do("ip", "-n", place.name, "address", "add", f"{NET}.{number}/24", "dev", END)
            _do("ip", "-n", place.name, "link", "set", END, "up")
            limit = ["rate", f"{megabits:g}mbit", "burst", f"{max(64, BURST * megabits):.0f}kb", "latency", "50ms"]
            _do("tc", "-n", place.name, "qdisc", "add", "dev", END, "root", "tbf", *limit)
        yield here, there


def _do(*words: str) -> None:
    subprocess.run(words, check=True)
