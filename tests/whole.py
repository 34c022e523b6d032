"""Source folders, read with the bounds of params.yaml."""

from pipeline.contents.base import Item
from pipeline.contents.folders import MIB, Folder


def whole(path, **bounds):
    """Return a folder as `prepare` reads it."""
    return Folder(path, **({"max_bytes": 512 * MIB, "follow_links": False} | bounds))


def items_of(content, path):
    """Return the items that a content reads from a folder."""
    return [each for each in content.read(whole(path)) if isinstance(each, Item)]
