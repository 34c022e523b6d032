"""Stage `features`: make the extractor, and keep the features of real data as the reference."""

from __future__ import annotations

import math

import numpy as np

from pipeline.data.prepared import PreparedData
from pipeline.evaluation import baselines, extractors
from pipeline.evaluation.baselines import Baseline
from pipeline.evaluation.content_scores import BASELINES, Real
from pipeline.evaluation.extractors.base import Extractor
from pipeline.evaluation.metrics.features import compact
from pipeline.evaluation.metrics.frechet import distance, moments
from pipeline.evaluation.reference import PARAMS, Reference
from pipeline.params import Params
from pipeline.system import disk, progress, project
from pipeline.system.errors import run
from pipeline.system.rng import numpy_rng

SAMPLES = 2000
"""Maximum number of samples per baseline, which is at most that of test items: features may be expensive."""


def main() -> None:
    """Write features/ (extractor, reference, scores of baselines), and metrics: the extractor's and the floor."""
    workspace = project.workspace()
    params = Params.load(workspace)
    data = PreparedData.open(workspace, params.of_data)
    extractor = extractors.make(data, params.features, params.seed)
    content, train, test = data.content, data.array("train"), data.array("test")
    rows = numpy_rng(params.seed, "reference").permutation(len(train))[: extractor.kept]
    reference = Reference(extractor.features(test), extractor.features(train[rows]), rows)
    real = Real.measure(content, test, train, params.seed)
    scored = {
        name: _scored(model, data, extractor, reference, real, params.seed)
        for name, model in progress.bar(baselines.fitted(data).items(), desc="baselines")
    }
    with disk.replacing(workspace / project.FEATURES) as folder:
        extractor.save(folder)
        reference.write(folder)
        real.write(folder)
        disk.write_json(folder / BASELINES, scored)
        disk.write_json(folder / PARAMS, params.of_features)
    floor = distance(*map(moments, compact(reference.test, reference.floor)))
    metrics = {**extractor.metrics(data), f"{content.distance}_{extractor.name}_floor": floor}
    disk.write_json(workspace / project.REPORTS / "features" / "metrics.json", metrics)


def _scored(
    model: Baseline, data: PreparedData, extractor: Extractor, reference: Reference, real: Real, seed: int
) -> dict[str, float]:
    """Return the scores of a baseline, named as those of a model."""
    content, test = data.content, data.array("test")
    samples = model.sample(min(SAMPLES, len(test)), numpy_rng(seed, "baseline"))
    raws = content.decode(samples)
    drawn = extractor.features(np.stack([content.encode(raw) for raw in raws]))
    scores = {f"{content.distance}_{extractor.name}": distance(*map(moments, compact(reference.test, drawn)))}
    own = real.score(content, samples, data.array("train"))
    nats = model.nats(test)
    if nats is not None:
        scores[f"bits_per_{content.unit}"] = float(nats.sum() / content.units(test).sum() / math.log(2))
    return scores | {name: each.value for name, each in own.items() if not name.endswith("_floor")}


if __name__ == "__main__":
    run(main)
