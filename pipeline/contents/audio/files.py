"""Any folder of sound files, read by libsndfile: WAV, FLAC, OGG, MP3 and others that say how long they are."""

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
"""Frames that are decoded at a time."""
LONGEST = 3600.0
"""Seconds: a longer file would take much memory, and is more often a mistake than a sound."""
FULL_SCALE = 32767 / 32768
CLIPPED = 0.01
"""Share of samples at full scale or beyond; a sine that just reaches it has half as many there."""
SILENT = 10 ** (-60 / 20)


def read(source: Folder, samples: int, rate: int, loudness: Loudness) -> Iterator[Item | Rejected]:
    """Yield every file below a folder as one item or more; its class is the name of the first subfolder it is in.

    A file longer than an item is cut into items that follow each other from its beginning, all of one group; the rest
    at its end is an item where it fills at least half of one. What is shorter is filled up with zeros at its end.
    Items that are silent within a file that is not are left out.
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
    """Return a file as a mono waveform (samples,) at a rate: channels are averaged, then resampled.

    Raises:
        UnusableError: it is empty, truncated, too long, clipped, silent, or has samples that are no numbers.
        Exception: whatever libsndfile raises of a file that it cannot read.
    """
    import soundfile

    if path.stat().st_size == 0:
        raise UnusableError("the file is empty")
    if truncated(path):
        raise UnusableError("truncated: it is shorter than it says")
    try:
        opened = soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, TypeError) as error:  # its own words name other causes
        raise UnusableError("not a sound file that libsndfile knows") from error
    with opened as file:
        if file.format not in FORMATS:
            raise UnusableError(f"{file.format_info}: nothing tells whether it is whole; convert it to WAV or FLAC")
        if file.frames == 0:
            raise UnusableError("it has no samples")
        if file.frames > LONGEST * file.samplerate:
            raise UnusableError(f"longer than {LONGEST:g} seconds; cut it into parts")
        wave = _mono(file, rate)
    if np.abs(wave).max(initial=0) < SILENT:
        raise UnusableError("silent: no sample is above -60 dB")
    return wave


def _mono(file: SoundFile, rate: int) -> NDArray[np.float32]:
    """Return what a file holds, decoded in blocks, so that only the result is ever whole in memory."""
    import soundfile
    import soxr

    resampler = soxr.ResampleStream(file.samplerate, rate, 1, dtype="float32")
    parts: list[NDArray[np.float32]] = []
    found = clipped = 0
    while found < file.frames:
        try:
            block = file.read(BLOCK, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise UnusableError(f"truncated or damaged after {found} of {file.frames} frames: {error}") from error
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
    """Return the items that a waveform is cut into, the last one filled up with zeros."""
    count, rest = divmod(len(wave), samples)
    count = max(count + (2 * rest >= samples), 1)
    filled = np.zeros(count * samples, np.float32)
    filled[: min(len(wave), len(filled))] = wave[: len(filled)]
    return list(filled.reshape(count, samples))
