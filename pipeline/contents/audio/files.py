"""Folders of sound files, read by libsndfile: WAV, FLAC, OGG, MP3 and other formats that state their length."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.contents import folders
from pipeline.contents.audio.headers import FORMATS, truncated
from pipeline.contents.audio.waves import Loudness, to_int16
from pipeline.contents.base import Item, Rejected
from pipeline.contents.folders import Folder, UnusableError

if TYPE_CHECKING:
    from soundfile import SoundFile

BLOCK = 1 << 16
"""Frames decoded at a time."""
LONGEST = 3600.0
"""Seconds: a longer file takes much memory, and is more often a mistake than a sound."""
FULL_SCALE = 32767 / 32768
CLIPPED = 0.01
"""Largest share of samples at full scale or beyond; a sine that just reaches full scale has half of it."""
SILENT = 10 ** (-60 / 20)


def read(source: Folder, samples: int, rate: int, loudness: Loudness) -> Iterator[Item | Rejected]:
    """Yield every file below a folder as one or more items; its class is the name of its first subfolder.

    A file longer than an item is cut into consecutive items of one group; the rest at its end becomes an item if it
    fills at least half of one. Shorter parts are padded with zeros at their end. Silent items of a file that is not
    silent as a whole are left out.
    """
    for found in folders.decoded(source, partial(decode, rate=rate)):
        if isinstance(found, Rejected):
            yield found
            continue
        path, wave = found
        origin = source.origin(path)
        parts = _parts(wave, samples)
        for i, part in enumerate(parts):
            if np.abs(part).max() >= SILENT:
                name, group = (f"{origin}[{i}]", origin) if len(parts) > 1 else (origin, None)
                yield Item(to_int16(part, loudness), name, source.label(path), group=group)


def decode(path: Path, rate: int) -> NDArray[np.float32]:
    """Decode a file to a mono waveform (samples,) at a rate: average its channels, then resample.

    Raises:
        UnusableError: it is empty, truncated, too long, clipped, silent, of a format that states no length, no sound
            file at all, or has samples that are NaN or infinite.
        Exception: libsndfile cannot read it.
    """
    import soundfile

    if path.stat().st_size == 0:
        raise UnusableError("the file is empty")
    if truncated(path):
        raise UnusableError("truncated: it is shorter than its header states")
    try:
        opened = soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, TypeError) as error:  # their messages name other causes
        raise UnusableError("not a sound file that libsndfile can read") from error
    with opened as file:
        if file.format not in FORMATS:
            raise UnusableError(
                f"{file.format_info}: this format cannot be checked for truncation; convert it to WAV or FLAC"
            )
        if file.frames == 0:
            raise UnusableError("it has no samples")
        if file.frames > LONGEST * file.samplerate:
            raise UnusableError(f"longer than {LONGEST:g} seconds; cut it into parts")
        wave = _mono(file, rate)
    if np.abs(wave).max(initial=0) < SILENT:
        raise UnusableError("silent: no sample is above -60 dB")
    return wave


def _mono(file: SoundFile, rate: int) -> NDArray[np.float32]:
    """Decode a file in blocks, so that memory holds only the result as a whole."""
    import soundfile
    import soxr

    resampler = soxr.ResampleStream(file.samplerate, rate, 1, dtype="float32")
    parts: list[NDArray[np.float32]] = []
    found = clipped = 0
    while found < file.frames:
        try:
            block = file.read(BLOCK, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise UnusableError(f"truncated or corrupt after {found} of {file.frames} frames: {error}") from error
        if not len(block):
            raise UnusableError(f"truncated: it has {found} of {file.frames} frames")
        if not np.isfinite(block).all():
            raise UnusableError("it has samples that are NaN or infinite")
        found += len(block)
        clipped += int((np.abs(block) >= FULL_SCALE).sum())
        parts.append(resampler.resample_chunk(block.mean(axis=1), last=found >= file.frames))
    share = clipped / (found * file.channels)
    if share > CLIPPED:
        raise UnusableError(f"clipped: {share:.1%} of its samples are at full scale or beyond, more than {CLIPPED:.0%}")
    return np.concatenate(parts)


def _parts(wave: NDArray[np.float32], samples: int) -> list[NDArray[np.float32]]:
    """Cut a waveform into items, the last one padded with zeros."""
    count, rest = divmod(len(wave), samples)
    count = max(count + (2 * rest >= samples), 1)
    filled = np.zeros(count * samples, np.float32)
    filled[: min(len(wave), len(filled))] = wave[: len(filled)]
    return list(filled.reshape(count, samples))
