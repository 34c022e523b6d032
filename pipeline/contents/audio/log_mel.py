"""Conversion of waveforms to log-mel spectrograms of 8 bits and back."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

RANGE = 80.0
"""Decibels from level 0, silence, to level 255, a sine at full scale.

Hearing covers some 60 dB within a sound, and 16-bit recordings 96. A step is 0.31 dB, a third of what is just audible.
"""
SILENT = 8
"""Level below which a band is silent: a model's levels are rarely 0, and many faint bands would add up to hiss."""
HOP_SECONDS = 0.016
OVERLAP = 4
"""Hops in a window: at a quarter of a window, magnitudes determine phases up to a sign (Griffin & Lim 1984)."""

Floats = NDArray[np.float32]
Spectra = NDArray[np.complex64]


class LogMel:
    """Grids (mels, frames) of the levels of waveforms (samples,), with the lowest band and the first frame first."""

    def __init__(self, samples: int, rate: int, mels: int) -> None:
        """Set the length of waveforms and the number of bands; frames are padded to a multiple of four."""
        self.samples, self.rate, self.mels = samples, rate, mels
        self.hop = 2 ** round(math.log2(HOP_SECONDS * rate))
        self.size = OVERLAP * self.hop
        self.frames = 4 * -(-samples // (4 * self.hop))
        self.before = (self.size - self.hop) // 2
        self.window = np.hanning(self.size + 1)[:-1].astype(np.float32)
        self.filters = mel_filters(mels, self.size, rate)
        overlapping = self._add(np.broadcast_to(np.square(self.window), (1, self.frames, self.size)))
        self.weight = np.maximum(overlapping, 1e-3)

    def spectra(self, waves: Floats) -> Spectra:
        """Return short-time Fourier transforms (n, frames, bins), in which a sine at full scale has magnitude 1."""
        from scipy.fft import rfft

        n = len(waves)
        padded = np.zeros((n, self.frames + OVERLAP - 1, self.hop), np.float32)
        padded.reshape(n, -1)[:, self.before : self.before + self.samples] = waves
        windows = np.empty((n, self.frames, OVERLAP, self.hop), np.float32)
        for i in range(OVERLAP):
            windows[:, :, i] = padded[:, i : i + self.frames]
        scaled = self.window * (2 / self.window.sum())
        found: Spectra = rfft(np.multiply(windows.reshape(n, self.frames, self.size), scaled), overwrite_x=True)
        return found

    def waves(self, spectra: Spectra) -> Floats:
        """Return the waveforms (n, samples) whose windows are the least-squares fit to given spectra."""
        from scipy.fft import irfft

        windows = irfft(spectra, self.size) * (self.window * (self.window.sum() / 2))
        return np.divide(self._add(windows), self.weight, dtype=np.float32)

    def levels(self, waves: Floats) -> NDArray[np.uint8]:
        """Return the levels (n, mels, frames) of waveforms in [-1, 1]."""
        bands = np.abs(self.spectra(waves)) @ self.filters.T
        decibels = 20 * np.log10(np.maximum(bands, 1e-9))
        return np.rint((decibels / RANGE + 1) * 255).clip(0, 255).astype(np.uint8).transpose(0, 2, 1)

    def bands(self, levels: NDArray[np.uint8]) -> Floats:
        """Return the mean magnitudes (n, frames, mels) that levels (n, mels, frames) stand for."""
        table = 10 ** ((np.arange(256) / 255 - 1) * RANGE / 20)
        table[:SILENT] = 0
        return np.ascontiguousarray(table.astype(np.float32)[levels].transpose(0, 2, 1))

    def band_of(self, magnitudes: Floats) -> NDArray[np.int64]:
        """Return the mel band of each frame's mean frequency, (n, frames), for magnitudes (n, frames, bins)."""
        hertz = np.arange(magnitudes.shape[2]) * self.rate / self.size
        mean = magnitudes @ hertz / np.maximum(magnitudes.sum(axis=2), 1e-9)
        return (mel(mean) / mel(np.array(self.rate / 2)) * self.mels).astype(np.int64).clip(0, self.mels - 1)

    def _add(self, windows: Floats) -> Floats:
        """Overlap and add windows (n, frames, size), and remove the padding."""
        n = len(windows)
        parts = windows.reshape(n, self.frames, OVERLAP, self.hop)
        added = np.zeros((n, self.frames + OVERLAP - 1, self.hop), np.float32)
        for i in range(OVERLAP):
            added[:, i : i + self.frames] += parts[:, :, i]
        return added.reshape(n, -1)[:, self.before : self.before + self.samples]


def mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert frequencies to the mel scale (O'Shaughnessy 1987)."""
    return np.asarray(2595 * np.log10(1 + hertz / 700))


def mel_filters(mels: int, size: int, rate: int) -> Floats:
    """Return triangular filters (mels, bins), evenly spaced in mel, each with sum 1 and at least one bin wide."""
    edges = 700 * (10 ** (np.linspace(0, mel(np.array(rate / 2)), mels + 2) / 2595) - 1)
    bins = np.arange(size // 2 + 1) * rate / size
    below, centre, above = (edges[i : i + mels, None] for i in range(3))
    least = rate / size
    rising = (bins - centre) / np.maximum(centre - below, least)
    falling = (centre - bins) / np.maximum(above - centre, least)
    triangles = (1 + np.minimum(rising, falling)).clip(0)
    return np.asarray(triangles / triangles.sum(axis=1, keepdims=True), np.float32)
