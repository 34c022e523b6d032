"""The in-domain feature extractor: a small classifier of the data themselves, whose last hidden layer is the features.

Where the data have no labels it learns to tell by how many quarter turns an item was rotated (Gidaris et al. 2018).
It shares no code with the families, so that tuning a model never moves the yardstick.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from tqdm import tqdm

from pipeline import artefacts
from pipeline.batches import scaled
from pipeline.contents.base import DataSpec
from pipeline.errors import ArtefactError
from pipeline.params import FeaturesParams
from pipeline.rng import key, numpy_rng

BATCH, LEARNING_RATE, TURNS = 128, 2e-3, 4
COARSEST = 4


@dataclass(frozen=True)
class ExtractorAbout:
    """What extractor.json says: enough to build the network, and what it was fitted to."""

    shape: tuple[int, ...]
    width: int
    size: int
    classes: int
    task: str


class Extractor(nn.Module):
    """Convolutions that halve the sides down to four, one hidden layer of features, one linear layer of classes."""

    def __init__(self, about: ExtractorAbout, spec: DataSpec) -> None:
        """Set the sizes."""
        super().__init__()
        self.about, self.spec = about, spec
        channels, side = spec.shape[0], max(spec.shape[1:])
        layers: list[nn.Module] = []
        width = about.width
        while side > COARSEST:
            layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.GroupNorm(8, width), nn.SiLU()]
            channels, width, side = width, min(2 * width, 4 * about.width), -(-side // 2)
        layers += [nn.AdaptiveAvgPool2d(COARSEST), nn.Flatten(), nn.Linear(channels * COARSEST**2, about.size)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(about.size, about.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of items (n, *shape) in [-1, 1]."""
        return self.head(F.silu(self.body(x)))  # type: ignore[no-any-return]

    @torch.no_grad()
    def features(self, array: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return features (n, size) of stored arrays (n, *shape)."""
        parts = [F.silu(self.body(x)).numpy() for x in scaled(array, self.spec)]
        found: NDArray[np.float32] = np.concatenate(parts)
        return found

    @torch.no_grad()
    def predict(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the class of each row of features, (n,)."""
        found: NDArray[np.int64] = self.head(torch.from_numpy(features)).argmax(1).numpy()
        return found

    def save(self, folder: Path) -> None:
        """Write extractor.safetensors and extractor.json."""
        weights = {name: tensor.contiguous() for name, tensor in sorted(self.state_dict().items())}
        (folder / "extractor.safetensors").write_bytes(save(weights))
        artefacts.write_json(folder / "extractor.json", asdict(self.about) | {"weights_sha256": digest(folder)})

    @classmethod
    def load(cls, folder: Path, spec: DataSpec) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtefactError: it is missing or damaged.
        """
        tree, weights = artefacts.read_json(folder / "extractor.json"), folder / "extractor.safetensors"
        try:
            saved = tree.pop("weights_sha256")
            if not weights.is_file() or digest(folder) != saved:
                raise ArtefactError(
                    f"{weights}: missing or damaged, its digest is not in extractor.json; run `dvc repro`"
                )
            extractor = cls(ExtractorAbout(**tree | {"shape": tuple(tree["shape"])}), spec)
            extractor.load_state_dict(load_file(weights))
        except (AttributeError, KeyError, OSError, RuntimeError, SafetensorError, TypeError) as error:
            said = str(error).splitlines()[0]
            raise ArtefactError(f"{weights}: does not fit extractor.json ({said}); run `dvc repro`") from error
        return extractor.eval()


def digest(folder: Path) -> str:
    """Return the digest of a saved extractor's weights, which is part of every score's protocol."""
    return artefacts.sha256(folder / "extractor.safetensors")


def fit(
    items: NDArray[np.uint8],
    labels: NDArray[np.int32] | None,
    classes: int,
    spec: DataSpec,
    settings: FeaturesParams,
    seed: int,
) -> Extractor:
    """Fit an extractor to items (n, *shape): to their labels, or without them to rotations."""
    outputs, task = (TURNS, "rotation") if labels is None else (classes, "labels")
    about = ExtractorAbout(spec.shape, settings.width, settings.size, outputs, task)
    with torch.random.fork_rng():
        torch.manual_seed(key(seed, "extractor"))
        extractor = Extractor(about, spec)
    steps = settings.epochs * -(-len(items) // BATCH)
    optimiser = torch.optim.AdamW(extractor.parameters(), LEARNING_RATE, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    bar = tqdm(total=steps, desc="features", unit=" steps", mininterval=1.0)
    for epoch in range(settings.epochs):
        for x, y in _batches(items, labels, spec, seed, epoch):
            loss = F.cross_entropy(extractor(x), y)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            bar.update()
        bar.set_postfix(epoch=epoch + 1, loss=f"{loss.item():.3f}")
    bar.close()
    return extractor.eval()


def accuracy(extractor: Extractor, items: NDArray[np.uint8], labels: NDArray[np.int32] | None) -> float:
    """Return the share of items whose class (or rotation) the extractor tells."""
    if labels is None:
        items, labels = _turned(items)
    return float((extractor.predict(extractor.features(items)) == labels).mean())


def _batches(
    items: NDArray[np.uint8], labels: NDArray[np.int32] | None, spec: DataSpec, seed: int, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    order = numpy_rng(seed, "extractor order", epoch).permutation(len(items))
    for start in range(0, len(order), BATCH):
        chosen = np.sort(order[start : start + BATCH])
        array, targets = (items[chosen], labels[chosen]) if labels is not None else _turned(items[chosen])
        yield spec.scale(torch.from_numpy(array)), torch.from_numpy(targets).long()


def _turned(items: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return items in all four rotations, and which one each is."""
    turned = [np.rot90(items, turn, axes=(-2, -1)) for turn in range(TURNS)]
    return np.concatenate(turned), np.repeat(np.arange(TURNS, dtype=np.int32), len(items))
