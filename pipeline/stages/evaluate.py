"""Stage `evaluate`: scores the model on test, and draws what it makes."""

from __future__ import annotations

import csv

from pipeline import artefacts, models, project, tracking
from pipeline.artefacts import PreparedData, RunRecord
from pipeline.errors import run
from pipeline.evaluation import evaluate
from pipeline.params import Params, flatten


def main() -> None:
    """Write reports/evaluate/, and log it to the run that train made."""
    workspace = project.workspace()
    params, data = Params.load(workspace), PreparedData.open(workspace)
    model = models.load(workspace / artefacts.MODEL)
    found = evaluate(model, data, workspace / artefacts.FEATURES, params.evaluate, params.seed)
    report = workspace / artefacts.REPORTS / "evaluate"
    artefacts.write_json(report / "metrics.json", found.scores)
    artefacts.write_json(report / "protocol.json", found.protocol)
    for name, picture in found.pictures.items():
        picture.save(report / f"{name}.png")
    with (report / "classes.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["class", "samples", "test"])
        rows.writerows((name, f"{sampled:.4f}", f"{real:.4f}") for name, sampled, real in found.classes)
    with tracking.resume(RunRecord.read(workspace)) as tracked:
        tracked.scores(found.scores)
        tracked.tags(flatten({"protocol": found.protocol}))
        tracked.files(report, "evaluate")


if __name__ == "__main__":
    run(main)
