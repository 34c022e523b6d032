"""Scoring of a model on test: its samples, reconstructions and likelihoods, with the protocol and pictures."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image

from pipeline.contents.base import Content, Raws, Stored
from pipeline.data.batches import scaled
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import extractors, pictures
from pipeline.evaluation.content_scores import Real
from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.extractors.base import digest
from pipeline.evaluation.metrics.classes import of_classes
from pipeline.evaluation.metrics.estimates import Estimate, mean
from pipeline.evaluation.metrics.features import TEST, compact
from pipeline.evaluation.metrics.frechet import distance, frechet, frechet_infinity, moments
from pipeline.evaluation.metrics.kernel import kid
from pipeline.evaluation.metrics.memorisation import copies
from pipeline.evaluation.metrics.prdc import prdc
from pipeline.evaluation.process_group import ProcessGroup
from pipeline.evaluation.reference import Reference
from pipeline.models import storage
from pipeline.models.families.base import CHUNK
from pipeline.models.storage import Model
from pipeline.params import EvaluateParams
from pipeline.system import disk, progress
from pipeline.system.rng import numpy_rng, torch_rng

PAIRWISE = 10_000
"""Items of test, and samples, that are compared pair by pair, at most."""
BOUNDED = 128
"""Items of test for which the expensive likelihood bounds are computed, at most."""
ALONE = ProcessGroup()
PIECE = 16 * CHUNK
"""Samples that a process holds at a time."""
PARTS = ("samples", "reconstructions", "metrics", "pictures")


@dataclass(frozen=True)
class Evaluation:
    """Scores and their protocol, pictures and page parts by name, and each class with its share in samples and test."""

    evidence: Evidence
    pictures: Mapping[str, Image]
    parts: Mapping[str, str]
    classes: list[tuple[str, float, float]]

    @property
    def scores(self) -> dict[str, float]:
        """Flat metrics: each score and, if computed over items, the bounds of its interval, `_low` and `_high`."""
        found: dict[str, float] = {}
        for name, estimate in self.evidence.estimates.items():
            found[name] = estimate.value
            if estimate.parts:
                found[f"{name}_low"], found[f"{name}_high"] = self.evidence.interval(name)
        return found


def draw(
    model: Model,
    features: Path,
    settings: EvaluateParams,
    seed: int,
    group: ProcessGroup,
    done: Callable[[float], None] = lambda share: None,
) -> NDArray[np.float32]:
    """Draw samples piece by piece, divided among the processes of a group, and return their features (n, d).

    A temporary file holds the features, so that memory does not grow with the number of samples. `done` is called with
    the share of samples drawn so far.
    """
    content, extractor, total = model.content, extractors.load(features, model.content.spec), settings.samples
    with tempfile.TemporaryFile() as file:
        # reserve the space: writing to a memory map on a full disk kills the process without an error
        os.posix_fallocate(file.fileno(), 0, max(1, 4 * total * extractor.dimensions))
        found = np.memmap(file, np.float32, "w+", shape=(total, extractor.dimensions))
    for start in range(0, total, PIECE * group.size):
        n = min(PIECE * group.size, total - start)
        first, mine = group.part(n, CHUNK)
        raws = content.decode(model.sample(mine, seed, start + first))
        stored = np.stack([content.encode(raw) for raw in raws]) if mine else model.sample(0, seed)
        found[start : start + n] = group.join(extractor.features(stored), n, CHUNK)
        done((start + n) / total)
    return found


def evaluate(
    model: Model, data: PreparedData, features: Path, settings: EvaluateParams, seed: int, group: ProcessGroup = ALONE
) -> Evaluation:
    """Score a model on test: the distribution of its samples, its reconstructions, and the scores of its family.

    The leading process of a group calls this, while the others call `draw`.
    """
    content, test, train = data.content, data.array("test"), data.array("train")
    extractor, reference, real = extractors.load(features, data.spec), Reference.read(features), Real.read(features)
    with progress.bar(
        total=len(PARTS), desc="evaluate", bar_format="{desc}: {bar:20} {n_fmt}/{total_fmt} {postfix}"
    ) as bar:

        def begin(part: str) -> None:
            bar.n = PARTS.index(part)
            bar.set_postfix_str(part)

        begin("samples")
        sampled = draw(
            model, features, settings, seed, group, lambda share: bar.set_postfix_str(f"samples {share:.0%}")
        )
        begin("reconstructions")
        chosen = np.sort(numpy_rng(seed, "reconstructions").permutation(len(test))[: settings.reconstructions])
        stored, entropy = _reconstruct(model, test[chosen], seed)
        originals, x_hat = content.decode(test[chosen]), content.decode(stored)
        begin("metrics")
        copied = copies(reference.train, reference.test, sampled[:PAIRWISE])
        estimates = {
            **_distances(content.distance, extractor.name, reference, sampled, seed),
            "memorisation": copied.share,
            **real.score(content, model.sample(min(real.items, settings.samples), seed), train),
            **_reconstructions(content, originals, x_hat),
            **entropy,
            **_likelihoods(model, test, chosen, seed),
        }
        of_test, of_samples = (extractor.class_probabilities(each) for each in (reference.test, sampled))
        if of_test is not None and of_samples is not None:
            estimates |= of_classes(of_test, of_samples)
        begin("pictures")
        drawn = pictures.draw(model, train, originals, x_hat, reference.rows, copied, seed)
        parts = pictures.read(model, originals, x_hat, seed)
        bar.n = len(PARTS)
    protocol: dict[str, Any] = {
        "split": "test",
        "extractor": extractor.name,
        "extractor_digest": digest(features),
        **extractor.protocol,
        "data_digest": data.digest,
        "code_digest": _code(),
        "real": len(test),
        "train": len(reference.train),
        "samples": settings.samples,
        "pairwise": PAIRWISE,
        "reconstructions": len(originals),
        "weights": "moving average",
        "seed": seed,
    }
    protocol["digest"] = disk.digest_of(protocol)
    return Evaluation(Evidence(protocol, estimates), drawn, parts, _classes(data.classes, of_test, of_samples))


def _distances(
    name: str, extractor: str, reference: Reference, sampled: NDArray[np.float32], seed: int
) -> dict[str, Estimate]:
    few = reference.test[:: -(-len(reference.test) // PAIRWISE)], sampled[:PAIRWISE]
    real, floor, drawn = compact(reference.test, reference.floor, sampled)
    plain = frechet(real, drawn)
    return {
        f"{name}_{extractor}": plain,
        f"{name}_{extractor}_floor": Estimate(distance(moments(real), moments(floor))),
        f"{name}_infinity_{extractor}": frechet_infinity(real, drawn, numpy_rng(seed, "infinity"), plain),
        f"kid_{extractor}": kid(*few),
        **prdc(*few),
    }


def _reconstructions(content: Content, originals: Raws, x_hat: Raws) -> dict[str, Estimate]:
    return {name: mean(each, TEST) for name, each in content.reconstruction_scores(originals, x_hat).items()}


def _likelihoods(model: Model, test: Stored, chosen: NDArray[np.int64], seed: int) -> dict[str, Estimate]:
    """Return the family's scores of test in nats and bits, and the expensive bounds of the first chosen items."""
    spec = model.content.spec
    own = model.family.score(scaled(test, spec), torch_rng(seed, "score"))
    few = torch.cat(list(scaled(test[chosen[:BOUNDED]], spec)))
    own |= storage.bits(model.family, own, model.content, test)
    own |= model.family.bounds(few, torch_rng(seed, "bounds"))
    metrics = {name: values.double().cpu().numpy() for name, values in own.items()}
    return {name: mean(each, TEST) if each.ndim else Estimate(float(each)) for name, each in metrics.items()}


def _code() -> str:
    """Return the digest of the code that scores depend on, without the code of the model."""
    package = Path(__file__).parents[1]
    folders = ("contents", "evaluation/extractors", "evaluation/metrics")
    files = ("evaluation/scoring.py", "evaluation/content_scores.py", "models/storage.py")
    found = [path for folder in folders for path in package.glob(f"{folder}/**/*.py")]
    return disk.sha256(*sorted([*found, *(package / name for name in files)]))


def _reconstruct(model: Model, items: Stored, seed: int) -> tuple[Stored, dict[str, Estimate]]:
    """Return reconstructions and, for tokens, the cross-entropy in nats per token given the latent of each item."""
    spec, rng, family = model.content.spec, torch_rng(seed, "reconstruct"), model.family
    found: list[Stored] = []
    nats: list[NDArray[np.float64]] = []
    for x in scaled(items, spec):
        z = family.project(x, rng)
        with torch.no_grad():
            found.append(spec.quantise(family.decode(z)))
        log_px_z = family.log_prob(x, z) if spec.kind == "tokens" else None
        if log_px_z is not None:
            nats.append(-log_px_z.double().cpu().numpy() / items.shape[1])
    return np.concatenate(found), {"cross_entropy": mean(np.concatenate(nats), TEST)} if nats else {}


def _classes(
    names: list[str], real: NDArray[np.float32] | None, sampled: NDArray[np.float32] | None
) -> list[tuple[str, float, float]]:
    """Return each class with its predicted share in samples and test; none if the extractor predicts no classes."""
    if real is None or sampled is None:
        return []
    shares = (np.bincount(each.argmax(1), minlength=len(names)) / len(each) for each in (sampled, real))
    return [(name, float(s), float(t)) for name, s, t in zip(names, *shares, strict=True)]
