"""Waveforms from magnitudes in mel bands: first the magnitudes of all bins, then phases that fit them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipeline.contents.audio.log_mel import Floats, LogMel, Spectra

SPREADINGS = 20
STEPS = 12
MOMENTUM = 0.99
"""Of fast Griffin-Lim. docs/contents.md compares it, and both numbers of steps, with alternatives."""
GAMMA = 0.25645
"""Time-frequency ratio of the Gaussian closest to a Hann window, over the square of the window's length."""
TINY = np.float32(1e-9)


def waves(grid: LogMel, bands: Floats) -> Floats:
    """Return waveforms (n, samples) with given mean magnitudes in their bands, (n, frames, mels).

    Fast Griffin-Lim (Perraudin, Balazs & Sondergaard 2013). It is deterministic, and items do not affect each other.
    """
    sizes = magnitudes(grid, bands)
    spectra = sizes * phases(grid, sizes)
    before: Spectra | None = None
    for _ in range(STEPS):
        now = grid.spectra(grid.waves(spectra))
        spectra = now if before is None else now + np.float32(MOMENTUM) * (now - before)
        spectra = spectra * (sizes / np.maximum(np.abs(spectra), TINY))
        before = now
    return grid.waves(spectra)


def magnitudes(grid: LogMel, bands: Floats) -> Floats:
    """Return the magnitudes (n, frames, bins) whose means in the bands diverge least from the given ones.

    Multiplicative updates (Lee & Seung 2001, Kullback-Leibler), starting with each band spread evenly over its bins.
    """
    spread = grid.filters / np.maximum(grid.filters.sum(axis=0), TINY)
    found: Floats = bands @ spread
    for _ in range(SPREADINGS):
        found *= (bands / np.maximum(found @ grid.filters.T, TINY)) @ spread
    return found


def phases(grid: LogMel, sizes: Floats) -> Spectra:
    """Return initial phases for magnitudes (n, frames, bins), as numbers on the unit circle.

    From frame to frame they advance at the frequency given by the slope of log-magnitudes over bins (Prusa, Balazs &
    Sondergaard 2017), which holds for windows close to a Gaussian. Nothing is integrated over bins.
    """
    slope = np.gradient(np.log(np.maximum(sizes, 1e-7)), axis=2)
    turn = grid.hop / grid.size * (2 * np.pi * np.arange(sizes.shape[2]) + slope / GAMMA)
    angles = np.zeros(sizes.shape)
    angles[:, 1:] = np.cumsum((turn[:, 1:] + turn[:, :-1]) / 2, axis=1)
    circle: Spectra = np.exp(1j * (angles % (2 * np.pi)).astype(np.float32)).astype(np.complex64)
    return circle
