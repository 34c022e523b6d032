"""Pictures, texts and sounds that a person inspects beside the scores of a model."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image

from pipeline.contents.base import Raws, Stored
from pipeline.evaluation.metrics.memorisation import Copies
from pipeline.evaluation.traversals import STEPS as WALKED
from pipeline.evaluation.traversals import traverse
from pipeline.models.storage import Model
from pipeline.system.rng import torch_rng

SHOWN, COLUMNS = 128, 16
PAIRS, PATHS, STEPS = 16, 8, 16
READ = 16
"""Items shown on a page as text or audio."""


def draw(
    model: Model, train: Stored, originals: Raws, x_hat: Raws, rows: NDArray[np.int64], copied: Copies, seed: int
) -> dict[str, Image]:
    """Return pictures by name: samples, reconstructions, interpolations, latent traversals, and nearest neighbours.

    `rows` are the indices in train of the items with which samples were compared.
    """
    content = model.content
    walks = traverse(model.family, torch_rng(seed, "traverse"))
    return {
        "samples": content.show(content.decode(model.sample(SHOWN, seed)), COLUMNS),
        "reconstructions": content.show([*originals[:PAIRS], *x_hat[:PAIRS]], PAIRS),
        "interpolation": content.show(content.decode(_between(model, seed)), STEPS),
        "traversals": content.show(content.decode(content.spec.quantise(walks.x)), WALKED, walks.captions),
        "nearest": _nearest(model, seed, train, rows, copied),
    }


def read(model: Model, originals: Raws, x_hat: Raws, seed: int) -> dict[str, str]:
    """Return samples and reconstructions as HTML by name, for contents that are better read or heard than pictured."""
    content = model.content
    found = {
        "samples": content.html(content.decode(model.sample(READ, seed))),
        "reconstructions": content.html(originals[:READ], x_hat[:READ]),
    }
    return {name: part for name, part in found.items() if part}


def _nearest(model: Model, seed: int, train: Stored, rows: NDArray[np.int64], copied: Copies) -> Image:
    """Return the samples that are nearest to an item of train, in order of distance, with that item below each."""
    order = np.argsort(copied.distances)[:PAIRS]
    samples = np.concatenate([model.sample(1, seed, int(i)) for i in order])
    sources = train[rows[copied.sources[order]]]
    return model.content.show(model.content.decode(np.concatenate([samples, sources])), PAIRS)


@torch.no_grad()
def _between(model: Model, seed: int) -> Stored:
    """Return interpolations between pairs of samples along great circles (White 2016), one path per row."""
    z = model.family.latents(2 * PATHS, torch_rng(seed, "interpolate"))
    start, end = z[:PATHS, None], z[PATHS:, None]
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=-1)[..., None]
    angle = torch.arccos(cosine.clamp(-0.999, 0.999))
    at = torch.linspace(0, 1, STEPS)[None, :, None]
    path = (torch.sin((1 - at) * angle) * start + torch.sin(at * angle) * end) / torch.sin(angle)
    return model.content.spec.quantise(model.family.decode(path.flatten(0, 1)))
