"""A trained model on disk: weights.safetensors, and model.json, which describes their network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors
from torch import Tensor

from pipeline import contents
from pipeline.contents.base import UNLABELLED, Content, Stored
from pipeline.data.description import FORMAT, REMEDY
from pipeline.models import families
from pipeline.models.families.base import Family
from pipeline.models.saved import SavedModel
from pipeline.system import tensors
from pipeline.system.errors import ArtifactError


@dataclass(frozen=True)
class Model:
    """A family with its weights, and the content that its samples are of."""

    family: Family
    content: Content
    about: SavedModel

    def sample(self, n: int, seed: int, first: int = 0, label: int = UNLABELLED) -> Stored:
        """Return n samples from number `first`, as stored (n, *spec.shape); sample i is a function of seed and i.

        Raises:
            ArtifactError: they are not finite.
        """
        x = self.family.sample(n, seed, first, label)
        if not x.isfinite().all():
            raise ArtifactError(f"the {self.about.family} draws samples that are not finite; {REMEDY}")
        return self.content.spec.quantise(x)


def bits(family: Family, metrics: Mapping[str, Tensor], content: Content, items: Stored) -> dict[str, Tensor]:
    """Return an upper bound of the bits per unit of data that a family needs for stored items, (n,), given its ELBO.

    Their mean is the sum of all bits divided by the sum of all units; each is its item's contribution to that ratio.
    """
    if not family.exact:
        return {}
    bits = metrics["elbo"].cpu() / -math.log(2)
    units = torch.from_numpy(content.units(items))
    ratio = bits.mean() / units.mean()
    return {f"bits_per_{content.unit}": ratio + (bits - ratio * units) / units.mean()}


def save(folder: Path, family: Family, about: SavedModel) -> None:
    """Write a model: the weights that sampling and reconstruction need, on the CPU and in one memory layout."""
    kept = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in sorted(family.state_dict().items())
        if not name.startswith(tuple(f"{each}." for each in family.training_only))
    }
    (folder / "weights.safetensors").write_bytes(save_tensors(kept))
    about.write(folder)


def load(folder: Path) -> Model:
    """Read a model, ready to sample.

    Raises:
        ArtifactError: a file is missing or corrupt, the weights do not belong to the description or are those of no
            model, or another version of this package means something else by them.
    """
    about, path = SavedModel.read(folder), folder / "weights.safetensors"
    if about.format != FORMAT:
        raise ArtifactError(
            f"{folder}: a model of format {about.format}, and this version of the package reads format {FORMAT}; "
            "train it again, or load it as a registered version, which carries its own code"
        )
    content = contents.build(about.content, about.content_settings, about.learnt)
    try:
        family = tensors.filled(lambda: _without_training(about, content), load_file(path))
        family.check()
    except (OSError, SafetensorError, ValueError) as error:
        raise ArtifactError(f"{path}: does not fit model.json ({error}); {REMEDY}") from error
    return Model(family.requires_grad_(False).eval(), content, about)


def _without_training(about: SavedModel, content: Content) -> Family:
    family = families.build(about.family, about.settings, content.spec)
    for name in family.training_only:
        delattr(family, name)
    return family
