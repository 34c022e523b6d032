"""Content `audio`: short mono sounds, as log-mel spectrograms."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.contents.audio import files, griffin_lim, instruments, pages
from pipeline.contents.audio.log_mel import RANGE, LogMel
from pipeline.contents.audio.waves import Loudness, to_float, to_int16, wav
from pipeline.contents.base import DataSpec, Item, Raw, Raws, Rejected, Stored
from pipeline.contents.display import sheet
from pipeline.contents.folders import Folder

CHUNK = 8
"""Sounds processed at once: few enough that their arrays stay in a processor's cache."""
FLOOR = 10 ** (-RANGE / 20)
HEARD = 60.0
"""Decibels below the loudest frame down to which frames have a centroid; softer ones are noise of decoding."""
LOUDNESS_STEP = 4.0
"""Width of a loudness bin in decibels."""


class AudioContent:
    """Sounds of `seconds` at `rate`; a raw item is (samples,) int16."""

    name = "audio"
    formats: tuple[str, ...] = ("wav", "array")
    suffix = ".wav"
    distance: Literal["fid", "frechet"] = "frechet"
    unit: Literal["dim", "byte"] = "dim"

    def __init__(self, seconds: float, rate: int, mels: int, loudness: Loudness) -> None:
        """Set the length and rate (Hz) of waveforms, the number of mel bands, and how loudness is equalised."""
        self.samples, self.rate, self.loudness = round(seconds * rate), rate, loudness
        self.grid = LogMel(self.samples, rate, mels)
        self.spec = DataSpec(shape=(1, mels, self.grid.frames), layout="grid")

    def learn(self, source: Folder) -> Mapping[str, Any]:
        """Return nothing: levels are in decibels below full scale, whatever the source."""
        return {}

    def read(self, source: Folder) -> Iterator[Item | Rejected]:
        """Yield the synthesised instruments, or the sounds of any folder of files."""
        found = instruments.read(source, self.samples, self.rate, self.loudness)
        return files.read(source, self.samples, self.rate, self.loudness) if found is None else found

    def encode(self, raw: Raw) -> Stored:
        """Return the levels of mean magnitudes in mel bands, (1, mels, frames): lowest band and first frame first.

        A longer waveform is cut at its end, a shorter one padded there with zeros.
        """
        whole = np.zeros((1, self.samples), np.int16)
        whole[0, : len(raw)] = raw[: self.samples]
        return np.ascontiguousarray(self.grid.levels(to_float(whole)))

    def decode(self, arrays: Stored) -> Raws:
        """Return waveforms (n, samples) int16, with phases estimated from the levels."""
        raws = np.empty((len(arrays), self.samples), np.int16)
        for part in _chunks(len(arrays)):
            bands = self.grid.bands(arrays[part, 0].astype(np.uint8, copy=False))
            raws[part] = to_int16(griffin_lim.waves(self.grid, bands))
        return raws

    def units(self, arrays: Stored) -> NDArray[np.float64]:
        """Return the number of values of each spectrogram."""
        return np.full(len(arrays), float(np.prod(self.spec.shape)))

    def reconstruction_scores(self, raws: Raws, raws_hat: Raws) -> dict[str, NDArray[np.float64]]:
        """Return how far the magnitudes of each sound's short-time Fourier transform are off.

        `reconstruction_loss` is the spectral convergence: the Frobenius norm of the differences over that of the
        original's magnitudes (Sturmel & Daudet 2011). `log_spectral_distance`, in dB, is the mean over frames of the
        root mean square over bins, with magnitudes raised to at least 80 dB below a sine at full scale.
        """
        loss, distance = np.empty(len(raws)), np.empty(len(raws))
        for part, a in self._magnitudes(raws):
            ((_, b),) = self._magnitudes(raws_hat[part])
            size = np.maximum(np.linalg.norm(a, axis=(1, 2)), FLOOR)
            loss[part] = np.linalg.norm(a - b, axis=(1, 2)) / size
            decibels = 20 * np.log10(np.maximum(a, FLOOR) / np.maximum(b, FLOOR))
            distance[part] = np.sqrt(np.square(decibels).mean(axis=2)).mean(axis=1)
        return {"reconstruction_loss": loss, "log_spectral_distance": distance}

    def scores(self, raws: Raws, train: Callable[[], Raws]) -> dict[str, NDArray[np.float64]]:
        """Return no scores: features cover everything."""
        return {}

    def histograms(self, raws: Raws) -> dict[str, Any]:
        """Return how many frames of each sound have their spectral centroid in each mel band, and each loudness.

        Bins of loudness are 4 dB wide, from a sine at full scale downwards; the last one holds all frames softer than
        -80 dB. Silent frames, and those 60 dB or more below the loudest of their sound, have no centroid.
        """
        from scipy.sparse import csr_array

        bins = int(RANGE / LOUDNESS_STEP) + 1
        centroid = np.zeros((len(raws), self.grid.mels), np.int64)
        loudness = np.zeros((len(raws), bins), np.int64)
        for part, sizes in self._magnitudes(raws):
            power = np.square(sizes).sum(axis=2) / 1.5  # a Hann window spreads a sine over bins whose powers sum to 1.5
            decibels = 10 * np.log10(np.maximum(power, 1e-12))
            at = np.floor(-decibels / LOUDNESS_STEP).clip(0, bins - 1).astype(int)
            band = self.grid.band_of(sizes)
            heard = decibels > np.maximum(decibels.max(axis=1, keepdims=True) - HEARD, -RANGE)
            rows = np.broadcast_to(np.arange(part.start, part.start + len(sizes))[:, None], at.shape)
            np.add.at(loudness, (rows, at), 1)
            np.add.at(centroid, (rows[heard], band[heard]), 1)
        return {"centroid": csr_array(centroid), "loudness": csr_array(loudness)}

    def show(self, raws: Raws, columns: int, captions: Iterable[str] = ()) -> Image.Image:
        """Return a grid of spectrograms: time to the right, frequency upwards, brighter where louder."""
        return sheet([pages.picture(each) for each in self._spectrograms(raws)], columns, list(captions))

    def html(self, raws: Raws, raws_hat: Raws | None = None) -> str:
        """Return sounds to play, each below its spectrogram; a reconstruction stands beside its original."""
        groups = [raws] if raws_hat is None else [raws, raws_hat]
        rows = [
            [(picture, wav(raw, self.rate)) for picture, raw in zip(self._spectrograms(each), each, strict=True)]
            for each in groups
        ]
        return pages.contact_sheet(list(zip(*rows, strict=True)))

    def save(self, raw: Raw, path: Path) -> None:
        """Write a WAV file."""
        path.write_bytes(wav(raw, self.rate))

    def serialise(self, raws: Raws, form: str) -> NDArray[Any] | list[str]:
        """Return sounds as one array (n, samples) int16, or each as a WAV file in base64."""
        if form == "array":
            return np.ascontiguousarray(raws)
        return [base64.b64encode(wav(raw, self.rate)).decode() for raw in raws]

    def _magnitudes(self, raws: Raws) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the sounds of each chunk, as a slice, and their magnitudes (n, frames, bins)."""
        for part in _chunks(len(raws)):
            yield part, np.abs(self.grid.spectra(to_float(np.asarray(raws[part]))))

    def _spectrograms(self, raws: Raws) -> list[NDArray[np.uint8]]:
        return [self.encode(raw)[0] for raw in raws]


def _chunks(n: int) -> list[slice]:
    return [slice(i, min(i + CHUNK, n)) for i in range(0, n, CHUNK)]
