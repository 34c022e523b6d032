"""A content with items from a test."""

import io

from pipeline.contents.image.content import ImageContent
from pipeline.contents.names import Names
from pipeline.data.preparation import harvest
from pipeline.params import Split

SHARES = Split(train=0.7, val=0.1, test=0.2)


class Listed(ImageContent):
    """Images from a test, in the test's order."""

    def __init__(self, items):
        super().__init__(16, 1)
        self.items = items

    def read(self, source):
        return iter(self.items)


def harvested(items, folder=None, seed=0):
    """Harvest items; return the harvest and the file of the encoded items."""
    encoded = io.BytesIO()
    with Names() as names:
        return harvest(Listed(items), folder, encoded, seed, names, [].append), encoded
