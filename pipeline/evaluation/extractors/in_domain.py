"""The in-domain feature extractor: a small classifier fitted to the data, whose last hidden layer gives the features.

If the data have no labels, or none that it can learn, it learns to predict by how many quarter turns an item was
rotated (Gidaris et al. 2018) or, for a sequence, in which order its parts are.
It shares no code with the families, so that tuning a model never changes the extractor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import PositiveInt
from torch import Tensor, nn

from pipeline.contents.base import DataSpec, Stored
from pipeline.data.batches import scaled
from pipeline.data.prepared import PreparedData, Split
from pipeline.evaluation.extractors import base
from pipeline.params import FeaturesParams
from pipeline.system import progress, tensors
from pipeline.system.errors import ArtifactError
from pipeline.system.rng import key, numpy_rng

BATCH, LEARNING_RATE = 128, 2e-3
COARSEST = 4
ORDERS = 4
"""Number of orders of an item, which an extractor without labels learns to distinguish."""
MIN_GAIN = 0.1
"""Share of the items outside the commonest class by which accuracy has to exceed always guessing that class."""
RUN = 8
"""Positions of a sequence that are moved together."""
Task = Literal["labels", "order"]


CONVOLUTIONS: dict[str, tuple[type[nn.Conv1d | nn.Conv2d], type[nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d]]] = {
    "grid": (nn.Conv2d, nn.AdaptiveAvgPool2d),
    "sequence": (nn.Conv1d, nn.AdaptiveAvgPool1d),
}


@dataclass(frozen=True)
class About:
    """Contents of extractor.json: the sizes of the network, and the task to which it was fitted."""

    shape: tuple[int, ...]
    width: PositiveInt
    dimensions: PositiveInt
    classes: PositiveInt
    task: Task


class InDomain(nn.Module):
    """Convolutions that halve the sides down to 4, one hidden layer of features, one linear layer of classes."""

    name = "in_domain"
    kept = 50_000

    def __init__(self, about: About, spec: DataSpec) -> None:
        """Build the network for data of this spec."""
        super().__init__()
        self.about, self.spec = about, spec
        self.protocol = {"resize": "none", "precision": "float32", "task": about.task}
        channels, *sides = spec.x_shape
        conv, pool = CONVOLUTIONS[spec.layout]
        layers: list[nn.Module] = []
        width, side = about.width, max(sides)
        while side > COARSEST:
            layers += [conv(channels, width, 3, stride=2, padding=1), nn.GroupNorm(8, width), nn.SiLU()]
            channels, width, side = width, min(2 * width, 4 * about.width), -(-side // 2)
        layers += [pool(COARSEST), nn.Flatten(), nn.Linear(channels * COARSEST ** len(sides), about.dimensions)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(about.dimensions, about.classes)

    @property
    def dimensions(self) -> int:
        """Number of features per item."""
        return self.about.dimensions

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of items (n, *spec.x_shape)."""
        logits: Tensor = self.head(F.silu(self.body(x)))
        return logits

    @torch.no_grad()
    def features(self, array: Stored) -> NDArray[np.float32]:
        """Return features (n, dimensions) of stored arrays (n, *shape)."""
        parts = [F.silu(self.body(x)).numpy() for x in scaled(array, self.spec)]
        found: NDArray[np.float32] = np.concatenate(parts)
        return found

    @torch.no_grad()
    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of each class, or order, for each row of features, (n, classes)."""
        found: NDArray[np.float32] = self.head(torch.from_numpy(features)).softmax(1).numpy()
        return found

    def class_probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return the probability of each class for each row of features, (n, classes); None if fitted to orders."""
        return self.probabilities(features) if self.about.task == "labels" else None

    def metrics(self, data: PreparedData) -> dict[str, float]:
        """Return the extractor's accuracy on val."""
        labels = _labels(data, "val") if self.about.task == "labels" else None
        return {"val_accuracy": accuracy(self, data.array("val"), labels)}

    def save(self, folder: Path) -> None:
        """Write extractor.safetensors and extractor.json."""
        base.write(folder, self.name, asdict(self.about), self.state_dict())

    @classmethod
    def make(cls, data: PreparedData, settings: FeaturesParams, seed: int) -> InDomain:
        """Return an extractor fitted to train: to labels if it can predict those of val, otherwise to orders."""
        items, labels = data.array("train"), _labels(data, "train")
        found = fit(items, labels, len(data.classes), data.spec, settings, seed)
        if labels is None or _separates_classes(found, data.array("val"), data.labels("val")):
            return found
        return fit(items, None, len(data.classes), data.spec, settings, seed)

    @classmethod
    def load(cls, folder: Path, spec: DataSpec) -> Self:
        """Read a saved extractor.

        Raises:
            ArtifactError: the extractor is missing or corrupt, or was made for data of another shape.
        """
        about, weights = base.read(folder, About)
        try:
            if about.shape != spec.shape:
                raise ValueError(f"shape is {about.shape}, but that of the data is {spec.shape}")
            extractor = tensors.filled(lambda: cls(about, spec), weights)
        except ValueError as error:
            raise ArtifactError(
                f"{folder / base.WEIGHTS}: does not fit {base.ABOUT} ({error}); {base.REMEDY}"
            ) from error
        return extractor.eval()


def fit(
    items: Stored,
    labels: NDArray[np.int32] | None,
    classes: int,
    spec: DataSpec,
    settings: FeaturesParams,
    seed: int,
) -> InDomain:
    """Fit an extractor to items (n, *shape): to their labels or, if there are none, to the order of each item."""
    task: Task = "order" if labels is None else "labels"
    outputs = ORDERS if labels is None else classes
    about = About(spec.shape, settings.width, settings.dimensions, outputs, task)
    with torch.random.fork_rng():
        torch.manual_seed(key(seed, "extractor"))
        extractor = InDomain(about, spec)
    steps = settings.epochs * -(-len(items) // BATCH)
    optimiser = torch.optim.AdamW(extractor.parameters(), LEARNING_RATE, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    bar = progress.bar(total=steps, desc="features", unit=" steps", mininterval=1.0)
    for epoch in range(settings.epochs):
        for x, y in _batches(items, labels, spec, seed, epoch):
            loss = F.cross_entropy(extractor(x), y)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
            bar.update()
        bar.set_postfix(epoch=epoch + 1, loss=f"{loss.item():.3f}")
    bar.close()
    return extractor.eval()


def accuracy(extractor: InDomain, items: Stored, labels: NDArray[np.int32] | None) -> float:
    """Return the share of items whose class or, without labels, order the extractor predicts correctly."""
    if labels is None:
        items, labels = _reordered(items, extractor.spec)
    return float((extractor.probabilities(extractor.features(items)).argmax(1) == labels).mean())


def _separates_classes(extractor: InDomain, items: Stored, labels: NDArray[np.int32]) -> bool:
    """Return whether an extractor's accuracy exceeds that of guessing the commonest class by MIN_GAIN of the rest."""
    commonest = float(np.bincount(labels).max() / len(labels))
    return accuracy(extractor, items, labels) > commonest + MIN_GAIN * (1 - commonest)


def _labels(data: PreparedData, split: Split) -> NDArray[np.int32] | None:
    return data.labels(split) if len(data.classes) > 1 else None


def _batches(
    items: Stored, labels: NDArray[np.int32] | None, spec: DataSpec, seed: int, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    order = numpy_rng(seed, "extractor order", epoch).permutation(len(items))
    for start in range(0, len(order), BATCH):
        chosen = np.sort(order[start : start + BATCH])
        array, targets = (items[chosen], labels[chosen]) if labels is not None else _reordered(items[chosen], spec)
        yield spec.scale(torch.from_numpy(array)), torch.from_numpy(targets).long()


def _reordered(items: Stored, spec: DataSpec) -> tuple[Stored, NDArray[np.int32]]:
    """Return items in all orders, and the index of each one's order.

    A square grid is rotated by quarter turns. Any other grid is unchanged, mirrored along either axis, and along both.
    A sequence is unchanged, reversed, with neighbouring positions swapped, and with neighbouring runs of 8 swapped.
    """
    if spec.layout == "grid" and spec.shape[1] == spec.shape[2]:
        found = [np.rot90(items, turn, axes=(-2, -1)) for turn in range(ORDERS)]
    elif spec.layout == "grid":
        found = [items[..., ::up, ::along] for up in (1, -1) for along in (1, -1)]
    else:
        place = np.arange(items.shape[-1])
        swapped = [np.where(place ^ bit < len(place), place ^ bit, place) for bit in (1, RUN)]
        found = [items[..., order] for order in (place, place[::-1], *swapped)]
    return np.concatenate(found), np.repeat(np.arange(ORDERS, dtype=np.int32), len(items))
