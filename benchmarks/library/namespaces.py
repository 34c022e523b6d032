"""Separate networks on one machine: Linux network namespaces, joined by a virtual cable of limited bandwidth."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

END, NET = "eth0", "10.99.0"
"""The interface of a cable's end, and the prefix of the addresses: the first end is .1, the other .2."""

BURST = 0.25
"""kB of a burst for each Mbit/s, 2 ms of traffic: with less, a busy machine does not use the bandwidth."""


class Place(NamedTuple):
    """A network namespace."""

    name: str

    @property
    def words(self) -> list[str]:
        """Return the words that run a command there if they precede it."""
        return ["ip", "netns", "exec", self.name]


def possible() -> bool:
    """Return whether this process may make namespaces and has the tools."""
    return os.geteuid() == 0 and all(map(shutil.which, ("ip", "tc")))


@contextmanager
def namespace(name: str) -> Iterator[Place]:
    """Yield a network that has only a loopback, and delete it at the end."""
    place = Place(f"{name}-{os.getpid()}")
    _do("ip", "netns", "add", place.name)
    try:
        _do("ip", "-n", place.name, "link", "set", "lo", "up")
        yield place
    finally:
        _do("ip", "netns", "delete", place.name)


@contextmanager
def joined(megabits: float) -> Iterator[tuple[Place, Place]]:
    """Yield two networks that a cable joins, each of whose ends sends at most so many Mbit/s."""
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
