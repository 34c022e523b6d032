"""Small families and contents for all tests, and protection of the signal handlers."""

import signal
import socket
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from registered import register_twice
from smallest import SETTINGS, changed

from pipeline.contents.image.content import ImageContent
from pipeline.contents.text.content import TextContent
from pipeline.models import families
from pipeline.models.saved import SavedModel

# tensors are so small here that a second thread only adds overhead
torch.set_num_threads(1)

# a shell that runs the tests in the background makes them ignore SIGINT, which every child would inherit
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class Toy:
    """Small images, and families for them with the same initial weights each time."""

    channels: int = 1
    content: ImageContent = field(init=False)

    def __post_init__(self):
        self.content = ImageContent(16, self.channels)
        self.spec = self.content.spec

    def items(self, n, seed=0):
        """Return stored images of a vertical or horizontal bright bar, (n, channels, 16, 16) uint8."""
        rng = np.random.default_rng(seed)
        found = rng.integers(0, 40, (n, *self.spec.shape), np.uint8)
        for i, at in enumerate(rng.integers(2, 14, n)):
            bar = (slice(None), slice(at - 2, at + 2)) if i % 2 else (slice(None), slice(None), slice(at - 2, at + 2))
            found[i][bar] += 200
        return found

    def x(self, n, seed=0):
        """Return these images scaled, as a family takes them."""
        return self.spec.scale(torch.from_numpy(self.items(n, seed)))

    def family(self, name, **changes):
        """Return a family with seeded weights."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return families.build(name, changed(SETTINGS[name], changes), self.spec)

    def about(self, name, **changes):
        """Return the content of model.json for a family."""
        params = {
            "seed": 0,
            "family": name,
            "content": "image",
            "image": {"side": 16, "channels": self.channels},
            name: changed(SETTINGS[name], changes),
            "train": {"ema": 0.9},
        }
        return SavedModel(name, "image", params, "d" * 64)


class Words(Toy):
    """Short texts that repeat one word, and families for them with the same initial weights each time."""

    def __post_init__(self):
        self.content = TextContent(16, "bytes", 1024, "text", 0)
        self.spec = self.content.spec

    def items(self, n, seed=0):
        """Return stored texts, (n, 16) uint8."""
        words = np.random.default_rng(seed).integers(ord("a"), ord("g"), (n, 3), np.uint8)
        return np.tile(np.pad(words, ((0, 0), (0, 1)), constant_values=ord(" ")), (1, 4))

    def about(self, name, **changes):
        """Return the content of model.json for a family."""
        section = {"length": 16, "vocabulary": "bytes", "vocabulary_size": 1024, "field": "text", "most": 0}
        params = {"content": "text", "family": name, "text": section, name: SETTINGS[name] | changes}
        return SavedModel(name, "text", params, "d" * 64)


@pytest.fixture(autouse=True)
def handlers():
    """Restore the signal handlers and the timer of the tests, which the tested commands may change."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def toy():
    return Toy()


@pytest.fixture(scope="session")
def colour():
    return Toy(channels=3)


@pytest.fixture(scope="session")
def words():
    return Words()


@pytest.fixture(scope="session")
def registered(tmp_path_factory):
    """A workspace whose model is registered as a version; tests only read it."""
    folder = tmp_path_factory.mktemp("registered")
    register_twice(folder)
    return folder


@pytest.fixture
def no_network(monkeypatch):
    """Refuse every connection, as a machine without a network does."""

    def refuse(*_, **__):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
