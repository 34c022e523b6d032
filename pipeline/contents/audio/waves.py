"""Waveforms of raw items: mono int16, with equalised loudness, and as WAV files."""

from __future__ import annotations

import io
import wave
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Loudness: TypeAlias = Literal["none", "peak", "rms"]
"""What is equalised between sounds: nothing, the largest sample, or the root mean square."""

FULL = 32768
PEAK = 10 ** (-3 / 20)
"""Largest sample after equalising peaks: -3 dB, which leaves headroom for decoded waveforms."""
RMS = 10 ** (-20 / 20)
"""Root mean square after equalising it: -20 dB, which leaves most sounds below `PEAK`."""


def to_int16(samples: NDArray[np.floating], loudness: Loudness = "none") -> NDArray[np.int16]:
    """Convert waveforms (..., samples) in [-1, 1] to int16 of equalised loudness; clip values beyond that range.

    With "rms", no sample is raised above `PEAK`: a click stays softer than a tone.
    """
    wide = np.asarray(samples, np.float64)
    if loudness != "none":
        peak = np.abs(wide).max(axis=-1, keepdims=True)
        rms = np.sqrt(np.square(wide).mean(axis=-1, keepdims=True))
        gain = PEAK / np.maximum(peak, 1 / FULL)
        wide = wide * (np.minimum(gain, RMS / np.maximum(rms, 1 / FULL)) if loudness == "rms" else gain)
    return np.rint(wide * FULL).clip(-FULL, FULL - 1).astype(np.int16)


def to_float(raws: NDArray[np.int16]) -> NDArray[np.float32]:
    """Convert int16 waveforms to floats in [-1, 1)."""
    return np.divide(raws, FULL, dtype=np.float32)


def wav(raw: NDArray[np.int16], rate: int) -> bytes:
    """Return a waveform (samples,) as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.asarray(raw, "<i2").tobytes())
    return file.getvalue()
