"""Detection of truncated sound files by the length in their headers: most decoders read them without an error."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import BinaryIO

FORMATS = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "SVX", "AU", "CAF", "NIST", "HTK", "FLAC", "OGG", "MP3"})
"""Formats, by libsndfile's names, whose files state their length, so that truncation can be detected."""
UNKNOWN = 0x7FFFF000
"""Sizes from here on stand for an unknown size: programs that write into a pipe put them."""
W64 = bytes.fromhex("726966662e91cf11a5d628db04c10000")
"""The name of the first chunk; like it, the names of other chunks begin with four letters."""
HEAD, TAIL = 1 << 16, 1 << 17
"""Bytes read from the beginning and from the end; an Ogg page has at most 65,307."""


def truncated(path: Path) -> bool:
    """Return whether a file of one of the formats is shorter than it states; FLAC is left to its decoder.

    An MP3 file states its length in a Xing or Info header, which encoders write wherever they can.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD)
        if head[:4] == b"OggS":
            return not _ogg_ends(_at(file, max(size - TAIL, 0), TAIL))
        try:
            return size < _stated_size(file, head)
        except (struct.error, ValueError):  # the header itself is truncated
            return True


def _stated_size(file: BinaryIO, head: bytes) -> int:
    """Return the size that a file has at least, by its header; 0 where it states none."""
    name = head[:4]
    if name in (b"RIFF", b"RF64", b"BW64", b"RIFX"):
        return _riff_size(file, ">" if name == b"RIFX" else "<")
    if head[:16] == W64:
        return _w64_size(file)
    if name == b"FORM":
        return 8 + int(struct.unpack_from(">I", head, 4)[0])
    if name in (b".snd", b"dns."):
        begin, length = struct.unpack_from(">II" if name == b".snd" else "<II", head, 4)
        return 0 if length >= UNKNOWN else begin + length
    if name == b"caff":
        return _caf_size(file)
    if head[:7] == b"NIST_1A":
        return _nist_size(head)
    return _mp3_size(file, head)


def _at(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


def _riff_size(file: BinaryIO, order: str) -> int:
    """Return where the data end, by the header of their chunk, or by the chunk ds64 where 32 bits are too few."""
    at, long = 12, 0
    while len(header := _at(file, at, 8)) == 8:
        name, length = struct.unpack(f"{order}4sI", header)
        if name == b"ds64":
            (long,) = struct.unpack("<Q", _at(file, at + 16, 8))
        if name == b"data":
            length = long if length == 0xFFFFFFFF and long else length
            return 0 if UNKNOWN <= length != long else at + 8 + length
        at += 8 + length
        at += length % 2 and _at(file, at, 1) == b"\0"  # some programs do not pad an odd length
    return at + 8


def _w64_size(file: BinaryIO) -> int:
    """Return where the data end; lengths count the 24 bytes of their headers, and chunks begin at multiples of 8."""
    at = 40
    while len(header := _at(file, at, 24)) == 24:
        name, length = struct.unpack("<16sQ", header)
        if name[:4] == b"data":
            return at + int(length)
        at += max(24, -(-length // 8) * 8)
    return at + 24


def _caf_size(file: BinaryIO) -> int:
    """Return where the last chunk ends: decoding may need chunks that follow the data."""
    at = 8
    while len(header := _at(file, at, 12)) == 12:
        _, length = struct.unpack(">4sq", header)
        if length < 0:
            return 0
        at += 12 + length
    return at


def _nist_size(head: bytes) -> int:
    """Return where the samples end; the header has its own length on the second line, then one field per line."""
    begin = int(head[8:16])
    fields = dict(re.findall(rb"^(\w+) -i (\d+)", head[:begin], re.MULTILINE))
    count = int(fields.get(b"sample_count", 0)) * int(fields.get(b"sample_n_bytes", 1))
    return begin + count * int(fields.get(b"channel_count", 1))


def _ogg_ends(tail: bytes) -> bool:
    """Return whether the last page is complete and marked as the end of its stream."""
    at = tail.rfind(b"OggS")
    if at < 0 or at + 27 > len(tail):
        return False
    segments = tail[at + 27 : at + 27 + tail[at + 26]]
    return bool(tail[at + 5] & 4) and len(tail) >= at + 27 + tail[at + 26] + sum(segments)


def _mp3_size(file: BinaryIO, head: bytes) -> int:
    """Return the size stated by the Xing or Info header: four bytes each of flags, of frames, and of bytes."""
    begin = 0
    if head[:3] == b"ID3" and len(head) >= 10:
        begin = 10 + sum(byte << 7 * i for i, byte in enumerate(reversed(head[6:10])))
        head = _at(file, begin, 256)
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    at = max(head.find(b"Xing", 0, 64), head.find(b"Info", 0, 64))
    if at < 0 or len(head) < at + 16:
        return 0
    flags, first, second = struct.unpack_from(">III", head, at + 4)
    return begin + (second if flags & 1 else first) if flags & 2 else 0
