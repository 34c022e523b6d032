"""The scores of a model on test, each with how it was made, and the pictures beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from tqdm import tqdm

from pipeline import extractor
from pipeline.artefacts import PreparedData
from pipeline.batches import scaled
from pipeline.contents.base import Content, Raw, Raws
from pipeline.extractor import Extractor
from pipeline.families.base import CHUNK
from pipeline.metrics.frechet import frechet
from pipeline.models import Model
from pipeline.params import EvaluateParams
from pipeline.reference import Reference
from pipeline.rng import numpy_rng, torch_rng
from pipeline.team import Team

SHOWN, COLUMNS = 128, 16
PAIRS, PATHS, STEPS = 16, 8, 16
ALONE = Team()
PARTS = ("samples", "features", "reconstructions", "figures", "pictures")


@dataclass(frozen=True)
class Evaluation:
    """Flat figures, how they were made, pictures by name, and the share of each class among samples and test."""

    scores: Mapping[str, float]
    protocol: Mapping[str, Any]
    pictures: Mapping[str, Image]
    classes: list[tuple[str, float, float]]


@dataclass(frozen=True)
class Drawn:
    """Samples that this process drew, raw, and the features (n, d) of the samples of all processes."""

    raws: Raws
    features: NDArray[np.float32]


def draw(
    model: Model,
    features: Path,
    settings: EvaluateParams,
    seed: int,
    team: Team,
    begin: Callable[[str], None] = lambda part: None,
) -> Drawn:
    """Draw samples and compute their features, divided among the processes of a team."""
    content, yardstick = model.content, Extractor.load(features, model.content.spec)
    begin("samples")
    first, n = team.part(settings.samples, CHUNK)
    raws = content.decode(model.sample(n, seed, first))
    begin("features")
    mine = yardstick.features(np.stack([content.encode(raw) for raw in raws]) if n else model.sample(0, seed))
    return Drawn(raws, team.join(mine, settings.samples, CHUNK))


def evaluate(
    model: Model, data: PreparedData, features: Path, settings: EvaluateParams, seed: int, team: Team = ALONE
) -> Evaluation:
    """Score a model on test: the distribution of its samples, its reconstructions, and what its family adds.

    The process that leads a team calls this, while the others call `draw`.
    """
    content, test = data.content, data.array("test")
    yardstick, reference = Extractor.load(features, data.spec), Reference.read(features)
    with tqdm(total=len(PARTS), desc="evaluate", bar_format="{desc}: {bar:20} {n_fmt}/{total_fmt} {postfix}") as bar:

        def begin(part: str) -> None:
            bar.n = PARTS.index(part)
            bar.set_postfix_str(part)

        drawn = draw(model, features, settings, seed, team, begin)
        raws, sampled = drawn.raws, drawn.features
        begin("reconstructions")
        chosen = np.sort(numpy_rng(seed, "reconstructions").permutation(len(test))[: settings.reconstructions])
        originals, x_hat = content.decode(test[chosen]), content.decode(_reconstruct(model, test[chosen], seed))
        begin("figures")
        own = model.family.score(scaled(test, data.spec), torch_rng(seed, "score"))
        begin("pictures")
        pictures = {
            "samples": content.show(raws[:SHOWN], COLUMNS),
            "reconstructions": content.show([*originals[:PAIRS], *x_hat[:PAIRS]], PAIRS),
            "interpolation": content.show(_interpolate(model, content, seed), STEPS),
        }
        bar.n = len(PARTS)
    scores = {
        **_distances(reference, sampled),
        "reconstruction_loss": float(content.reconstruction_loss(originals, x_hat).mean()),
        "reconstruction_loss_n": len(originals),
        **own,
        **({"likelihood_n": len(test)} if own else {}),
    }
    protocol = {
        "split": "test",
        "extractor": "in_domain",
        "extractor_digest": extractor.digest(features),
        "data_digest": data.digest,
        "samples": settings.samples,
        "reconstructions": len(originals),
        "resize": "none",
        "ema": model.about.params["train"]["ema"],
        "seed": seed,
    }
    return Evaluation(scores, protocol, pictures, _classes(yardstick, data, sampled, reference.test))


def _distances(reference: Reference, sampled: NDArray[np.float32]) -> dict[str, float]:
    return {
        "fid_in_domain": frechet(reference.test, sampled),
        "fid_in_domain_floor": frechet(reference.test, reference.train),
        "fid_in_domain_n": len(sampled),
        "fid_in_domain_n_real": len(reference.test),
    }


def _reconstruct(model: Model, items: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    spec, rng = model.content.spec, torch_rng(seed, "reconstruct")
    return np.concatenate([spec.quantise(model.family.reconstruct(x, rng)) for x in scaled(items, spec)])


@torch.no_grad()
def _interpolate(model: Model, content: Content, seed: int) -> list[Raw]:
    """Return paths between pairs of samples, on great circles (White 2016), a path a row."""
    z = model.family.latents(2 * PATHS, torch_rng(seed, "interpolate"))
    start, end = z[:PATHS, None], z[PATHS:, None]
    cosine = torch.nn.functional.cosine_similarity(start, end, dim=-1)[..., None]
    angle = torch.arccos(cosine.clamp(-0.999, 0.999))
    at = torch.linspace(0, 1, STEPS)[None, :, None]
    path = (torch.sin((1 - at) * angle) * start + torch.sin(at * angle) * end) / torch.sin(angle)
    return list(content.decode(content.spec.quantise(model.family.decode(path.flatten(0, 1)))))


def _classes(
    yardstick: Extractor, data: PreparedData, sampled: NDArray[np.float32], real: NDArray[np.float32]
) -> list[tuple[str, float, float]]:
    """Return each class with its share among samples and in test, as the extractor tells them; none without labels."""
    if yardstick.about.task != "labels":
        return []

    def shares(features: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.bincount(yardstick.predict(features), minlength=len(data.classes)) / len(features)

    return [(n, float(s), float(t)) for n, s, t in zip(data.classes, shares(sampled), shares(real), strict=True)]
