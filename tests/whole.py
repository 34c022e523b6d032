"""Folders of sources, read with the bounds of params.yaml."""

from pipeline.contents.folders import MIB, Folder


def whole(path, **bounds):
    """Return a folder as `prepare` reads it."""
    return Folder(path, **({"max_bytes": 512 * MIB, "follow_links": False} | bounds))
