"""Quality and cost of decoding sounds, by the way that spectrograms are inverted.

The first row is the way of pipeline/contents/audio/griffin_lim.py; each other row changes one choice. The columns are
the scores of reconstruction, the levels off after encoding again, and milliseconds an item.
python benchmarks/inversion.py [--items 30] [--rate 8000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipeline.contents.audio.content import AudioContent
from pipeline.contents.audio.griffin_lim import MOMENTUM, STEPS, magnitudes, phases
from pipeline.contents.audio.instruments import sound
from pipeline.contents.audio.log_mel import LogMel
from pipeline.contents.audio.waves import to_float, to_int16

CHUNK, FIT = 8, 100
"""Items at a time, and steps of `least_squares`."""
Back = Callable[[LogMel, np.ndarray], np.ndarray]
Start = Callable[[np.ndarray], np.ndarray]


def linear_filters(grid: LogMel) -> np.ndarray:
    """Return filters of equal width in Hz."""
    bins = np.arange(grid.size // 2 + 1)
    width = bins[-1] / (grid.mels + 1)
    triangles = (1 - np.abs(bins / width - np.arange(1, grid.mels + 1)[:, None])).clip(0)
    return (triangles / triangles.sum(axis=1, keepdims=True)).astype(np.float32)


def pseudo_inverse(grid: LogMel, bands: np.ndarray) -> np.ndarray:
    """Return the magnitudes of least norm that have these bands, negative ones set to 0."""
    return (bands @ np.linalg.pinv(grid.filters).T.astype(np.float32)).clip(0)


def least_squares(grid: LogMel, bands: np.ndarray) -> np.ndarray:
    """Return the least-squares solution without negative magnitudes, by multiplicative steps (Lee & Seung 2001)."""
    found = bands @ (grid.filters / np.maximum(grid.filters.sum(axis=0), 1e-9))
    target, gram = bands @ grid.filters, grid.filters.T @ grid.filters
    for _ in range(FIT):
        found = found * target / np.maximum(found @ gram, 1e-12)
    return found


def griffin_lim(grid: LogMel, sizes: np.ndarray, phase: np.ndarray, steps: int, momentum: float) -> np.ndarray:
    """Return waveforms after so many steps of fast Griffin-Lim."""
    spectra = sizes * np.exp(1j * phase).astype(np.complex64)
    before = None
    for _ in range(steps):
        now = grid.spectra(grid.waves(spectra))
        spectra = now if before is None else now + np.float32(momentum) * (now - before)
        spectra, before = spectra * (sizes / np.maximum(np.abs(spectra), 1e-9)), now
    return grid.waves(spectra)


class Way(NamedTuple):
    """A way from levels to sound, by default that of the pipeline."""

    back: Back | None = magnitudes
    """The inversion of bands to magnitudes; None takes the original magnitudes."""
    start: Start | None = None
    """The initial phases; None takes those of the pipeline, integrated along time from the gradient of magnitudes."""
    steps: int = STEPS
    momentum: float = MOMENTUM
    linear: bool = False
    """Whether bands are of equal width."""


def noise(sizes: np.ndarray) -> np.ndarray:
    """Return random phases, the same for each item."""
    return np.random.default_rng(0).uniform(0, 2 * np.pi, sizes.shape[1:])


WAYS = {
    "as built": Way(),
    "magnitudes by pseudo-inverse": Way(back=pseudo_inverse),
    "magnitudes by least squares, 100 steps": Way(back=least_squares),
    "bands linear in frequency": Way(linear=True),
    f"phases from zeros, {STEPS} steps": Way(start=np.zeros_like),
    "phases from zeros, 100 steps": Way(start=np.zeros_like, steps=100),
    "phases from noise, 100 steps": Way(start=noise, steps=100),
    f"Griffin-Lim without momentum, {STEPS} steps": Way(momentum=0),
    "as built, 100 steps": Way(steps=100),
    "true magnitudes": Way(back=None),
}


def sounded(way: Way, raws: np.ndarray, content: AudioContent) -> tuple[np.ndarray, float]:
    """Encode and decode sounds, and return the decoded ones with the seconds of decoding an item."""
    rate, spent, decoded = content.grid.rate, 0.0, []
    grid = content.grid
    if way.linear:
        grid = LogMel(rate, raws.shape[1], content.grid.mels)
        grid.filters = linear_filters(grid)
    for i in range(0, len(raws), CHUNK):
        wave = to_float(raws[i : i + CHUNK])
        levels, original = grid.levels(wave), np.abs(grid.spectra(wave))
        begun = time.perf_counter()
        bands = grid.bands(levels)
        sizes = way.back(grid, bands) if way.back else original
        phase = way.start(sizes) if way.start else np.angle(phases(grid, sizes))
        decoded.append(to_int16(griffin_lim(grid, sizes, phase, way.steps, way.momentum)))
        spent += time.perf_counter() - begun
    return np.concatenate(decoded), spent / len(raws)


def main() -> None:
    """Measure each way, and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=30)
    parser.add_argument("--rate", type=int, default=8000)
    words = parser.parse_args()
    content = AudioContent(1.0, words.rate, 64, "none")
    raws = np.stack([to_int16(sound(i, words.rate, words.rate)) for i in range(words.items)])
    levels = content.grid.levels(to_float(raws)).astype(int)
    for name, way in WAYS.items():
        raws_hat, seconds = sounded(way, raws, content)
        loss, distance = (each.mean() for each in content.reconstruction_scores(raws, raws_hat).values())
        off = np.abs(content.grid.levels(to_float(raws_hat)).astype(int) - levels).mean()
        metrics = f"{loss:.3f} | {distance:.2f} dB | {off:.2f} levels | {seconds * 1e3:.1f} ms"
        print(f"| {name:42} | {metrics} |", flush=True)


if __name__ == "__main__":
    main()
