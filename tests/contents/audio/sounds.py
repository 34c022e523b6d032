"""Sound files that tests write, and the items read from them."""

import numpy as np
import soundfile
from whole import whole

from pipeline.contents.audio import files as audio_files
from pipeline.contents.base import Item, Rejected

RATE = 8000
KINDS = {
    "wav": "PCM_16",
    "flac": "PCM_16",
    "ogg": "VORBIS",
    "opus": "OPUS",
    "mp3": "MPEG_LAYER_III",
    "aiff": "PCM_16",
}


def tone(seconds=1.0, rate=RATE, hertz=440.0, level=0.5):
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write(path, samples, rate=RATE, subtype=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    form = {"opus": "OGG", "": "WAV"}.get(path.suffix[1:], path.suffix[1:].upper())
    soundfile.write(path, samples, rate, format=form, subtype=subtype or KINDS.get(path.suffix[1:], "PCM_16"))


def found(folder, loudness="none"):
    return sorted(audio_files.read(whole(folder), RATE, RATE, loudness), key=lambda each: each.origin)


def raw(folder, loudness="none"):
    (item,) = found(folder, loudness)
    assert isinstance(item, Item), item
    assert item.raw.dtype == np.int16
    assert item.raw.shape == (RATE,)
    return item.raw.astype(float) / 32768


def reason(folder):
    (rejected,) = found(folder)
    assert isinstance(rejected, Rejected)
    assert "\n" not in rejected.reason
    assert str(folder) not in rejected.reason
    return rejected.reason


def loudest_hertz(samples):
    return np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples)
