"""Stage `register`: register the model as a version, and make it the challenger."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import contents, tracking
from pipeline.contents import display
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import evidence
from pipeline.evaluation.scores import read_scores
from pipeline.models import saved
from pipeline.models.saved import SavedModel
from pipeline.params import Params, stale
from pipeline.registry import card, lineage, versions
from pipeline.registry.card import Subject
from pipeline.serving import pyfunc
from pipeline.system import disk, project
from pipeline.system.errors import run
from pipeline.system.git import Revision
from pipeline.training.environment import Environment
from pipeline.training.record import RunRecord


def main() -> None:
    """Register model/ under register.name with its lineage and card, and write which version it is."""
    workspace = project.workspace()
    params = Params.load(workspace)
    data = PreparedData.open(workspace, params.of_data)
    name = data.registered_as(params.register_)
    scores = read_scores(workspace)
    protocol = evidence.protocol(workspace / project.REPORTS / "evaluate")
    folder, record, revision = workspace / project.MODEL, RunRecord.read(workspace), Revision.of(workspace)
    about = SavedModel.read(folder)
    stale.refuse(project.MODEL, about.params, params.of_model, "train")
    wanted = params.evaluate.model_dump()
    wanted["reconstructions"] = min(wanted["reconstructions"], protocol["real"])
    scored = {"seed": protocol["seed"], "evaluate": {name: value for name, value in protocol.items() if name in wanted}}
    stale.refuse(project.REPORTS / "evaluate", scored, {"seed": params.seed, "evaluate": wanted}, "evaluate")
    content = contents.build(about.content, about.content_settings, about.learnt)
    signature = pyfunc.signature(content)
    with tracking.resume(record, about) as tracked, tempfile.TemporaryDirectory() as temporary:
        beside, digest = Path(temporary), saved.model_digest(folder)
        with tracking.reaching():
            known = versions.find(tracked.client, name, digest)
        if known is None:
            origin: dict[str, Any] = {
                "family": about.family,
                "content": about.content,
                "seed": about.params["seed"],
                "run_id": tracked.id,
                tracking.EXPERIMENT: os.environ.get("DVC_EXP_NAME", ""),
                **revision.tags,
                "data_digest": data.digest,
                "params_digest": disk.digest_of(about.params),
                versions.DIGEST: digest,
                **lineage.collect(workspace, revision, beside),
            }
        else:  # the same bytes keep their first origin
            beside = versions.kept(known, beside)
            origin = {key: value for key, value in known.tags.items() if key not in card.spans(card.MEANINGS)}
        tags = origin | {
            "extractor_digest": protocol["extractor_digest"],
            "protocol_digest": protocol["digest"],
            "evaluated": datetime.now(UTC).isoformat(timespec="seconds"),
            **lineage.evaluation(workspace, beside),
            **{key: f"{scores[key]:.6g}" for key in card.spans(card.shown(scores))},
        }
        environment = disk.read_json(beside / lineage.ENVIRONMENT, Environment)
        made = disk.read_json(beside / lineage.TRAINING, RunRecord)
        committed, out = lineage.committed(workspace), display.default_output(content)
        subject = Subject(name, about, data.about, scores, made, environment, committed, tags, out)
        (beside / "card.md").write_text(card.text(subject, {each: f"{each}.png" for each in card.CAPTIONS}))
        with tracking.reaching():
            at = tracking.folder_address(tags["run_id"], versions.folder_of(name))
            described = card.text(subject, {"samples": f"{at}samples.png"})  # registries take 5000 characters
            version = versions.register(tracked, name, folder, signature, tags, described, beside)
        tracked.tags({tracking.REGISTERED: f"models:/{name}/{version.version}"})
    lineage.Registered(name, int(version.version), tracked.id, tags[versions.DIGEST]).write(workspace)


if __name__ == "__main__":
    run(main)
