"""The source `instruments`: synthesised sounds of five labelled classes, without a download."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pipeline.contents.audio.waves import Loudness, to_int16
from pipeline.contents.base import Item
from pipeline.contents.folders import Folder
from pipeline.system.rng import numpy_rng

ITEMS = 4000
TOP = 3600.0
"""Highest frequency of a sound in Hz, so that it is the same at every rate from 8000 Hz up."""
END = 0.01
"""Seconds of fade-out, so that no sound ends in a click."""
BAR = np.square(np.array([3.0112, 5, 7, 9, 11, 13]) / 3.0112)
"""Frequencies of the modes of a bar with free ends, over that of the first mode (Fletcher & Rossing 1998)."""
DRAWBARS = np.array([0.5, 1.5, 1, 2, 3, 4, 5, 6, 8])
"""Frequencies of an organ's nine drawbars over that of the key."""

Wave = NDArray[np.float64]


def read(source: Folder, samples: int, rate: int, loudness: Loudness) -> Iterator[Item] | None:
    """Return the synthesised sounds, or None where the folder has another name or holds files of its own."""
    if source.name != "instruments" or next(source.walk(), None) is not None:
        return None
    names = list(INSTRUMENTS)
    return (
        Item(to_int16(sound(i, samples, rate), loudness), f"sound {i}", names[i % len(names)]) for i in range(ITEMS)
    )


def sound(i: int, samples: int, rate: int) -> Wave:
    """Synthesise sound i, (samples,) in [-1, 1], a function of its arguments alone.

    Pitch, decay, brightness, detuning, onset and loudness vary; the class is i modulo the number of classes.
    """
    rng = numpy_rng(0, "instruments", i)
    play = list(INSTRUMENTS.values())[i % len(INSTRUMENTS)]
    onset = int(rng.uniform(0, 0.2) * samples)
    level = 10 ** (rng.uniform(-15, -1) / 20)
    pitch = 440 * 2 ** ((rng.integers(-21, 13) + rng.normal(0, 0.1)) / 12)  # C3 to A5, detuned by some ten cents
    played = play(rng, pitch, np.arange(samples - onset) / rate)
    out = np.concatenate([np.zeros(onset), played])
    out *= np.minimum(np.arange(samples)[::-1] / (END * rate), 1)
    return np.asarray(out * (level / max(np.abs(out).max(), 1e-9)))


def string(rng: Generator, pitch: float, t: Wave) -> Wave:
    """Synthesise a plucked string: a noise burst in a loop that delays and smooths it (Karplus & Strong 1983).

    An allpass filter tunes the loop to fractions of a sample (Jaffe & Smith 1983).
    """
    from scipy.signal import lfilter

    smoothing, seconds, place = 10 ** rng.uniform(-2.5, -1), rng.uniform(1, 5), rng.uniform(0.1, 0.5)
    delay = _rate(t) / pitch - 1  # the smoothing filter delays by one sample
    whole = int(delay - 0.1)
    tuning = (1 - (delay - whole)) / (1 + (delay - whole))
    smooth = 10 ** (-3 / (pitch * seconds)) * np.array([smoothing / 2, 1 - smoothing, smoothing / 2])
    loop = np.concatenate([[1, tuning], np.zeros(whole + 2)])
    loop[whole:] -= np.convolve(smooth, [tuning, 1])
    burst = rng.uniform(-1, 1, whole + 1)
    excitation = np.zeros(len(t))
    plucked = burst - np.roll(burst, max(int(place * len(burst)), 1))  # silences harmonics with a node at that place
    excitation[: len(plucked)] = plucked[: len(t)]
    return np.asarray(lfilter([1, tuning], loop, excitation))


def bar(rng: Generator, pitch: float, t: Wave) -> Wave:
    """Synthesise a struck bar: inharmonic modes, the higher of which decay sooner."""
    seconds, hardness, damping = rng.uniform(0.5, 2.5), rng.uniform(0.3, 1.2), rng.uniform(0.5, 1.2)
    ratios = BAR * rng.normal(1, 0.004, len(BAR))
    sizes = hardness ** np.arange(len(BAR)) * np.abs(np.cos(np.pi * rng.uniform(0, 0.35) * np.arange(len(BAR))))
    return _partials(t, pitch * ratios, sizes, np.exp(-6.9 * t * (ratios[:, None] ** damping) / seconds))


def bell(rng: Generator, pitch: float, t: Wave) -> Wave:
    """Synthesise a bell by frequency modulation whose index decays with its loudness (Chowning 1973)."""
    seconds, detuned = rng.uniform(0.8, 4), rng.normal(1, 0.003)
    modulator = pitch * 1.4 * detuned
    index = min(rng.uniform(2, 8), max((TOP - pitch) / modulator - 1, 0.5))  # Carson's rule keeps it below TOP
    envelope = np.exp(-6.9 * t / seconds)
    swing = index * envelope * np.sin(2 * np.pi * modulator * t)
    return envelope * np.sin(2 * np.pi * pitch * t + swing)


def organ(rng: Generator, pitch: float, t: Wave) -> Wave:
    """Synthesise an organ tone: drawbars in steps of 3 dB, two detuned ranks, and the release of the key."""
    drawn = rng.integers(0, 9, len(DRAWBARS))
    drawn[2] = 8
    sizes = np.where(drawn > 0, 10 ** (-3 * (8 - drawn) / 20), 0)
    beat, length, fade = rng.uniform(0, 0.006), rng.uniform(0.35, 1.0) * t[-1], rng.uniform(0.01, 0.06)
    ranks = sum(_partials(t, pitch * DRAWBARS * each, sizes, np.ones((1, len(t)))) for each in (1, 1 + beat))
    envelope = np.minimum(t / fade, 1) * (1 - (t - length) / fade).clip(0, 1)
    return np.asarray(ranks * envelope)


def noise(rng: Generator, pitch: float, t: Wave) -> Wave:
    """Synthesise percussion: one to three noise bursts in a band that follows the pitch."""
    from scipy.signal import butter, sosfilt

    rate = _rate(t)
    centre = min(pitch * rng.uniform(1, 6), TOP / 1.5)
    width = rng.uniform(1.2, 2.5)
    band = [centre / width, min(centre * width, TOP)]
    hiss = sosfilt(butter(2, band, "bandpass", fs=rate, output="sos"), rng.normal(size=len(t)))
    seconds, gap = rng.uniform(0.1, 0.8), rng.uniform(0.08, 0.25)
    since = t[None] - gap * np.arange(rng.integers(1, 4))[:, None]
    hits = np.exp(-6.9 * since.clip(0) / seconds) * (since >= 0)
    return np.asarray(hiss * hits.max(axis=0))


def _partials(t: Wave, frequencies: Wave, sizes: Wave, envelopes: Wave) -> Wave:
    """Return the sum of sines, without those above `TOP`."""
    heard = np.where(frequencies < TOP, sizes, 0)
    return np.asarray((heard[:, None] * envelopes * np.sin(2 * np.pi * frequencies[:, None] * t)).sum(axis=0))


def _rate(t: Wave) -> float:
    return 1 / float(t[1])


INSTRUMENTS: dict[str, Callable[[Generator, float, Wave], Wave]] = {
    "string": string,
    "bar": bar,
    "bell": bell,
    "organ": organ,
    "noise": noise,
}
"""The classes, in the order in which sounds cycle through them."""
