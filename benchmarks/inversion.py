"""How near decoded sounds are to the originals, and what that costs, by how spectrograms are inverted.

The first row is what pipeline/contents/audio/griffin_lim.py does; each other one changes one thing of it.
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

CHUNK = 8
Back = Callable[[LogMel, np.ndarray], np.ndarray]
Start = Callable[[np.ndarray, LogMel], np.ndarray]


def linear_filters(grid: LogMel) -> np.ndarray:
    """Return bands of equal width in Hz."""
    bins = np.arange(grid.size // 2 + 1)
    width = bins[-1] / (grid.mels + 1)
    triangles = (1 - np.abs(bins / width - np.arange(1, grid.mels + 1)[:, None])).clip(0)
    return (triangles / triangles.sum(axis=1, keepdims=True)).astype(np.float32)


def spread(grid: LogMel, bands: np.ndarray) -> np.ndarray:
    """Return each band's mean magnitude in all of its bins."""
    return bands @ (grid.filters / np.maximum(grid.filters.sum(axis=0), 1e-9))


def pseudo_inverse(grid: LogMel, bands: np.ndarray) -> np.ndarray:
    """Return the shortest magnitudes that have these bands, what is negative cut off."""
    return (bands @ np.linalg.pinv(grid.filters).T.astype(np.float32)).clip(0)


def least_squares(steps: int) -> Back:
    """Return the search for the least squares without negative magnitudes (Lee & Seung 2001)."""

    def search(grid: LogMel, bands: np.ndarray) -> np.ndarray:
        found, target, gram = spread(grid, bands), bands @ grid.filters, grid.filters.T @ grid.filters
        for _ in range(steps):
            found = found * target / np.maximum(found @ gram, 1e-12)
        return found

    return search


def zeros(sizes: np.ndarray, grid: LogMel) -> np.ndarray:
    """Return phases 0."""
    return np.zeros_like(sizes)


def noise(sizes: np.ndarray, grid: LogMel) -> np.ndarray:
    """Return random phases, the same of each item."""
    return np.random.default_rng(0).uniform(0, 2 * np.pi, sizes.shape[1:])


def gradient(sizes: np.ndarray, grid: LogMel) -> np.ndarray:
    """Return phases integrated along time from the slope of magnitudes."""
    return np.angle(phases(grid, sizes))


def peaks(sizes: np.ndarray, grid: LogMel) -> np.ndarray:
    """Return phases that go on at the frequency of the nearest peak (Beauregard, Harish & Wyse 2015)."""
    logs = np.log(np.maximum(sizes, 1e-7))
    a, b, c = logs[..., :-2], logs[..., 1:-1], logs[..., 2:]
    curve = np.minimum(a - 2 * b + c, -1e-6)
    top = np.pad((b >= a) & (b > c), [(0, 0), (0, 0), (1, 1)])
    bins = np.arange(sizes.shape[2])
    frequency = bins + np.pad((0.5 * (a - c) / curve).clip(-0.5, 0.5), [(0, 0), (0, 0), (1, 1)])
    left = np.maximum.accumulate(np.where(top, bins, -len(bins)), axis=-1)
    right = np.minimum.accumulate(np.where(top, bins, 3 * len(bins))[..., ::-1], axis=-1)[..., ::-1]
    nearest = np.where(bins - left <= right - bins, left, right)
    nearest = np.where((nearest < 0) | (nearest >= len(bins)), bins, nearest)
    turn = np.take_along_axis(frequency, nearest, -1) * (2 * np.pi * grid.hop / grid.size)
    phase = np.empty(sizes.shape)
    now = np.zeros((len(sizes), len(bins)))
    for t in range(sizes.shape[1]):
        now = np.take_along_axis(now, nearest[:, t], -1) + (turn[:, t] + turn[:, max(t - 1, 0)]) / 2
        phase[:, t] = now + np.pi * (bins - nearest[:, t])
    return phase


def griffin_lim(
    grid: LogMel, sizes: np.ndarray, phase: np.ndarray, steps: int, momentum: float, bands: np.ndarray | None
) -> np.ndarray:
    """Return waveforms after so many steps; with bands, magnitudes are free within what the bands say."""
    spectra = sizes * np.exp(1j * phase).astype(np.complex64)
    before = None
    for _ in range(steps):
        now = grid.spectra(grid.waves(spectra))
        spectra = now if before is None else now + np.float32(momentum) * (now - before)
        found = np.maximum(np.abs(spectra), 1e-9)
        if bands is not None:
            sizes = found * spread(grid, bands / np.maximum(found @ grid.filters.T, 1e-9))
        spectra, before = spectra * (sizes / found), now
    return grid.waves(spectra)


class Way(NamedTuple):
    """How levels become sound again: one thing of it is another than `pipeline` has."""

    back: Back | None = magnitudes
    """How bands become magnitudes; None takes those of the original."""
    start: Start = gradient
    steps: int = STEPS
    momentum: float = MOMENTUM
    free: bool = False
    """Whether magnitudes are free within their bands."""
    linear: bool = False
    """Whether bands are of equal width."""


WAYS = {
    "as it is": Way(),
    "magnitudes: pseudo-inverse": Way(back=pseudo_inverse),
    "magnitudes: spread over the bands": Way(back=spread),
    "magnitudes: least squares, 30 steps": Way(back=least_squares(30)),
    "magnitudes: least squares, 100 steps": Way(back=least_squares(100)),
    "linear bands": Way(linear=True),
    "linear bands, pseudo-inverse": Way(linear=True, back=pseudo_inverse),
    **{
        f"phases from: {start.__name__}{more}": Way(start=start, steps=steps)
        for start in (zeros, noise, peaks)
        for more, steps in (("", STEPS), (", no steps", 0), (", 100 steps", 100))
    },
    "plain Griffin-Lim": Way(momentum=0),
    "plain Griffin-Lim, 100 steps": Way(momentum=0, steps=100),
    "momentum 0.5": Way(momentum=0.5),
    "momentum 1.3": Way(momentum=1.3),
    **{f"{steps} steps": Way(steps=steps) for steps in (0, 6, 24, 100)},
    "magnitudes free within their bands": Way(free=True),
    "magnitudes free, 32 steps": Way(free=True, steps=32),
    "magnitudes as they were": Way(back=None),
}


def sounded(way: Way, raws: np.ndarray, content: AudioContent) -> tuple[np.ndarray, float]:
    """Return sounds as they come back from their levels, and the seconds that an item takes."""
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
        free = bands if way.free else None
        decoded.append(to_int16(griffin_lim(grid, sizes, way.start(sizes, grid), way.steps, way.momentum, free)))
        spent += time.perf_counter() - begun
    return np.concatenate(decoded), spent / len(raws)


def main() -> None:
    """Try each, and print a line of it."""
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
