"""Stage `evaluate`: scores the model on test, and draws what it makes."""

from __future__ import annotations

import csv
from dataclasses import asdict, replace
from typing import Any

from pipeline import artefacts, disk, evaluation, gallery, models, pictures, project, report, stale, team, tracking
from pipeline.artefacts import PreparedData, RunRecord
from pipeline.distributed import follow, leads
from pipeline.errors import run
from pipeline.ledger import CHAMPION
from pipeline.metrics.direction import COMPARED
from pipeline.own import BASELINES
from pipeline.params import Params, flatten
from pipeline.work import Work


def main() -> None:
    """Write reports/evaluate/, and log it to the run that train made."""
    workspace = project.workspace()
    params, features = Params.load(workspace), workspace / artefacts.FEATURES
    data, model = PreparedData.open(workspace, params.of_data), models.load(workspace / artefacts.MODEL)
    stale.refuse(artefacts.MODEL, model.about.params, params.of_model, "train")
    made = disk.read_json(features / artefacts.PARAMS, dict[str, Any])
    stale.refuse(artefacts.FEATURES, made, params.of_features, "features")
    baselines = disk.read_json(features / BASELINES, dict[str, dict[str, float]])
    members = team.assemble(params.runtime)
    if not leads():
        follow(lambda: evaluation.draw(model, features, params.evaluate, params.seed, members))
        return
    record = RunRecord.read(workspace)
    with tracking.resume(record, model.about) as tracked:
        found = evaluation.evaluate(model, data, features, params.evaluate, params.seed, members)
        folder = workspace / artefacts.REPORTS / "evaluate"
        disk.write_json(folder / artefacts.SCORES, found.scores)
        compared = {name: value for name, value in found.scores.items() if name in COMPARED}
        disk.write_json(folder / "metrics.json", compared)
        found.evidence.write(folder)
        for name, picture in found.pictures.items():
            picture.save(folder / f"{name}.png")
        with (folder / "classes.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["class", "samples", "test"])
            rows.writerows((name, f"{sampled:.4f}", f"{real:.4f}") for name, sampled, real in found.classes)
        with disk.replacing(folder / "gallery") as shown:
            gallery.write(model.content, model.content.decode(model.sample(pictures.READ, params.seed)), shown)
        lineage = {
            **asdict(replace(model.about, learnt={}, params=model.about.effective)),
            "model_digest": artefacts.model_digest(workspace / artefacts.MODEL),
        }
        name = data.registered_as(params.register_)
        champion = tracking.scored(tracked.client, f"models:/{name}@{CHAMPION}")
        curves = workspace / artefacts.REPORTS / "train" / "curves"
        report.write(folder, found.scores, found.parts, baselines, lineage, curves, champion)
        tracked.scores(found.scores)
        tracked.tags(flatten({"protocol": found.evidence.protocol}))
        tracked.files(folder, "evaluate")
        tracked.describe(report.markdown(tracking.folder_address(tracked.id, "evaluate")))
    # what train made is in DVC's cache by now, or evaluate would not run
    Work(record.training).retire()


if __name__ == "__main__":
    run(main)
