"""Stage `features`: fits the in-domain extractor, and keeps the features of real data as the reference."""

from __future__ import annotations

from pipeline import artefacts, extractor, project
from pipeline.artefacts import PreparedData
from pipeline.errors import run
from pipeline.metrics.frechet import frechet
from pipeline.params import Params
from pipeline.reference import Reference
from pipeline.rng import numpy_rng

KEPT = 50_000
"""Items of train whose features are kept."""


def main() -> None:
    """Write features/ (extractor and reference), and how well the extractor does on val."""
    workspace = project.workspace()
    params, data = Params.load(workspace), PreparedData.open(workspace)
    labelled = len(data.classes) > 1
    train = data.array("train")
    fitted = extractor.fit(
        train, data.labels("train") if labelled else None, len(data.classes), data.spec, params.features, params.seed
    )
    test = data.array("test")
    rows = numpy_rng(params.seed, "reference").permutation(len(train))[:KEPT]
    reference = Reference(test=fitted.features(test), train=fitted.features(train[rows]), rows=rows)
    with artefacts.replacing(workspace / artefacts.FEATURES) as folder:
        fitted.save(folder)
        reference.write(folder)
    figures = {
        "val_accuracy": extractor.accuracy(fitted, data.array("val"), data.labels("val") if labelled else None),
        "fid_in_domain_floor": frechet(reference.test, reference.floor).value,
    }
    artefacts.write_json(workspace / artefacts.REPORTS / "features" / "metrics.json", figures)


if __name__ == "__main__":
    run(main)
