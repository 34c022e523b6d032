"""Stage `evaluate`: score the model on test, and draw its samples."""

from __future__ import annotations

import csv
from dataclasses import asdict, replace
from typing import Any

from pipeline import tracking
from pipeline.contents import display
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import pictures, process_group, report, scoring
from pipeline.evaluation.content_scores import BASELINES
from pipeline.evaluation.metrics.direction import COMPARED
from pipeline.evaluation.reference import PARAMS
from pipeline.evaluation.scores import SCORES
from pipeline.models import saved, storage
from pipeline.params import Params, flatten, stale
from pipeline.registry.ledger import CHAMPION
from pipeline.system import disk, project
from pipeline.system.distributed import follow, leads
from pipeline.system.errors import run
from pipeline.training.record import RunRecord
from pipeline.training.resume import Resumable


def main() -> None:
    """Write reports/evaluate/, and log it to the run of the training."""
    workspace = project.workspace()
    params, features = Params.load(workspace), workspace / project.FEATURES
    data, model = PreparedData.open(workspace, params.of_data), storage.load(workspace / project.MODEL)
    stale.refuse(project.MODEL, model.about.params, params.of_model, "train")
    made = disk.read_json(features / PARAMS, dict[str, Any])
    stale.refuse(project.FEATURES, made, params.of_features, "features")
    baselines = disk.read_json(features / BASELINES, dict[str, dict[str, float]])
    members = process_group.assemble(params.runtime)
    if not leads():
        follow(lambda: scoring.draw(model, features, params.evaluate, params.seed, members))
        return
    record = RunRecord.read(workspace)
    with tracking.resume(record, model.about) as tracked:
        found = scoring.evaluate(model, data, features, params.evaluate, params.seed, members)
        folder = workspace / project.REPORTS / "evaluate"
        disk.write_json(folder / SCORES, found.scores)
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
            display.write_samples(model.content, model.content.decode(model.sample(pictures.READ, params.seed)), shown)
        lineage = {
            **asdict(replace(model.about, learnt={}, params=model.about.effective)),
            "model_digest": saved.model_digest(workspace / project.MODEL),
        }
        name = data.registered_as(params.register_)
        champion = tracking.scored(tracked.client, f"models:/{name}@{CHAMPION}")
        curves = workspace / project.REPORTS / "train" / "curves"
        report.write(folder, found.scores, found.parts, baselines, lineage, curves, champion)
        tracked.scores(found.scores)
        tracked.tags(flatten({"protocol": found.evidence.protocol}))
        tracked.files(folder, "evaluate")
        tracked.describe(report.markdown(tracking.folder_address(tracked.id, "evaluate")))
    # DVC has cached the outputs of train by now, or evaluate would not run
    Resumable(record.training).retire()


if __name__ == "__main__":
    run(main)
