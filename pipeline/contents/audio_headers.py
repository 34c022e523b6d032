"""Whether a sound file is as long as it says: decoders take what there is of one that was cut, and say nothing."""

from __future__ import annotations

import struct
from pathlib import Path

UNKNOWN = 0x7FFFF000
"""Sizes from here on are what programs write that cannot know the size, as they write into a pipe."""
HEAD, TAIL = 1 << 16, 1 << 17
"""Bytes that are read from either end; a page of Ogg has at most 65,307."""


def truncated(path: Path) -> bool:
    """Return whether a WAV, AIFF, Ogg or MP3 file ends sooner than it says; of others, their decoders know.

    An MP3 file says how long it is in a Xing or Info header, which encoders write wherever they can.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD)
        if head[:4] == b"OggS":
            file.seek(max(size - TAIL, 0))
            return not _ogg_ends(file.read())
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return size < _riff_promised(head)
    if head[:4] == b"FORM" and len(head) >= 8:
        return bool(size < 8 + struct.unpack_from(">I", head, 4)[0])
    return size < _mp3_promised(path, head)


def _riff_promised(head: bytes) -> int:
    """Return where the data end, by the header of their chunk."""
    at = 12
    while at + 8 <= len(head):
        name, length = struct.unpack_from("<4sI", head, at)
        if name == b"data":
            return 0 if length >= UNKNOWN else at + 8 + length
        at += 8 + length + length % 2
    return 0


def _ogg_ends(tail: bytes) -> bool:
    """Return whether the last page is whole and marked as the end of its stream."""
    at = tail.rfind(b"OggS")
    if at < 0 or at + 27 > len(tail):
        return False
    segments = tail[at + 27 : at + 27 + tail[at + 26]]
    return bool(tail[at + 5] & 4) and len(tail) >= at + 27 + tail[at + 26] + sum(segments)


def _mp3_promised(path: Path, head: bytes) -> int:
    """Return how long the file is by its Xing or Info header: four bytes of flags, of frames, and of bytes."""
    begin = 0
    if head[:3] == b"ID3" and len(head) >= 10:
        begin = 10 + sum(byte << 7 * i for i, byte in enumerate(reversed(head[6:10])))
        with path.open("rb") as file:
            file.seek(begin)
            head = file.read(256)
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    at = max(head.find(b"Xing", 0, 64), head.find(b"Info", 0, 64))
    if at < 0 or len(head) < at + 16:
        return 0
    flags, first, second = struct.unpack_from(">III", head, at + 4)
    return begin + (second if flags & 1 else first) if flags & 2 else 0
