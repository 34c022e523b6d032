"""From magnitudes in mel bands back to waveforms: magnitudes of all bins first, then phases to go with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipeline.contents.audio.log_mel import Floats, LogMel, Spectra

SPREADINGS = 20
STEPS = 12
MOMENTUM = 0.99
"""What benchmarks/inversion.py found: more steps bring little, and take time."""
GAMMA = 0.25645
"""Time-frequency ratio of the Gaussian that is most like a window of Hann, over the square of the window's length."""
TINY = np.float32(1e-9)


def waves(grid: LogMel, bands: Floats) -> Floats:
    """Return waveforms (n, samples) that have these mean magnitudes in their bands (n, frames, mels).

    Fast Griffin-Lim (Perraudin, Balazs & Sondergaard 2013). Nothing is drawn, and no item depends on the others.
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
    """Return magnitudes (n, frames, bins) whose means in the bands have the least divergence from those asked for.

    Multiplicative steps (Lee & Seung 2001, Kullback-Leibler), from each band spread evenly over its bins.
    """
    spread = grid.filters / np.maximum(grid.filters.sum(axis=0), TINY)
    found: Floats = bands @ spread
    for _ in range(SPREADINGS):
        found *= (bands / np.maximum(found @ grid.filters.T, TINY)) @ spread
    return found


def phases(grid: LogMel, sizes: Floats) -> Spectra:
    """Return first phases for magnitudes (n, frames, bins), as numbers on the unit circle.

    From frame to frame they turn at the frequency that the slope of the logarithms of magnitudes over bins tells
    (Prusa, Balazs & Sondergaard 2017), which holds for windows like a Gaussian; over bins nothing is integrated.
    """
    slope = np.gradient(np.log(np.maximum(sizes, 1e-7)), axis=2)
    turn = grid.hop / grid.size * (2 * np.pi * np.arange(sizes.shape[2]) + slope / GAMMA)
    angles = np.zeros(sizes.shape)
    angles[:, 1:] = np.cumsum((turn[:, 1:] + turn[:, :-1]) / 2, axis=1)
    circle: Spectra = np.exp(1j * (angles % (2 * np.pi)).astype(np.float32)).astype(np.complex64)
    return circle
