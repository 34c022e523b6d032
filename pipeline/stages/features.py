"""Stage `features`: makes the extractor, and keeps the features of real data as the reference."""

from __future__ import annotations

from pipeline import artefacts, extractors, project
from pipeline.artefacts import PreparedData
from pipeline.errors import run
from pipeline.metrics.features import compact
from pipeline.metrics.frechet import distance, moments
from pipeline.params import Params
from pipeline.reference import Reference
from pipeline.rng import numpy_rng


def main() -> None:
    """Write features/ (extractor and reference), how well the extractor does, and what zero looks like."""
    workspace = project.workspace()
    params, data = Params.load(workspace), PreparedData.open(workspace)
    yardstick = extractors.make(data, params.features, params.seed)
    train = data.array("train")
    rows = numpy_rng(params.seed, "reference").permutation(len(train))[: yardstick.kept]
    reference = Reference(yardstick.features(data.array("test")), yardstick.features(train[rows]), rows)
    with artefacts.replacing(workspace / artefacts.FEATURES) as folder:
        yardstick.save(folder)
        reference.write(folder)
    floor = distance(*map(moments, compact(reference.test, reference.floor)))
    figures = {**yardstick.figures(data), f"fid_{yardstick.name}_floor": floor}
    artefacts.write_json(workspace / artefacts.REPORTS / "features" / "metrics.json", figures)


if __name__ == "__main__":
    run(main)
