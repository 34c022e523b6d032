"""Stage `register`: makes the model a version in the registry, and the challenger."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import (
    artefacts,
    card,
    contents,
    disk,
    evidence,
    gallery,
    lineage,
    project,
    registry,
    serving,
    stale,
    tracking,
)
from pipeline.artefacts import PreparedData, RunRecord, SavedModel
from pipeline.card import Subject
from pipeline.environment import Environment
from pipeline.errors import run
from pipeline.params import Params
from pipeline.revision import Revision


def main() -> None:
    """Register model/ under register.name, with its lineage and its card, and leave which version it is."""
    workspace = project.workspace()
    params = Params.load(workspace)
    data = PreparedData.open(workspace, params.of_data)
    name = data.registered_as(params.register_)
    scores = artefacts.scores(workspace)
    protocol = evidence.protocol(workspace / artefacts.REPORTS / "evaluate")
    folder, record, revision = workspace / artefacts.MODEL, RunRecord.read(workspace), Revision.of(workspace)
    about = SavedModel.read(folder)
    stale.refuse(artefacts.MODEL, about.params, params.of_model, "train")
    wanted = params.evaluate.model_dump()
    wanted["reconstructions"] = min(wanted["reconstructions"], protocol["real"])
    scored = {"seed": protocol["seed"], "evaluate": {name: value for name, value in protocol.items() if name in wanted}}
    stale.refuse(artefacts.REPORTS / "evaluate", scored, {"seed": params.seed, "evaluate": wanted}, "evaluate")
    content = contents.build(about.content, about.content_settings, about.learnt)
    signature = serving.signature(content)
    with tracking.resume(record, about) as tracked, tempfile.TemporaryDirectory() as temporary:
        beside, digest = Path(temporary), artefacts.model_digest(folder)
        with tracking.reaching():
            known = registry.find(tracked.client, name, digest)
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
                registry.DIGEST: digest,
                **lineage.collect(workspace, revision, beside),
            }
        else:  # the same bytes go on saying where they came from first
            beside = registry.kept(known, beside)
            origin = {key: value for key, value in known.tags.items() if key not in card.spans(card.MEANINGS)}
        tags = origin | {
            "extractor_digest": protocol["extractor_digest"],
            "protocol_digest": protocol["digest"],
            "evaluated": datetime.now(UTC).isoformat(timespec="seconds"),
            **lineage.evaluation(workspace, beside),
            **{key: f"{scores[key]:.6g}" for key in card.spans(card.told(scores))},
        }
        environment = disk.read_json(beside / lineage.ENVIRONMENT, Environment)
        made = disk.read_json(beside / lineage.TRAINING, RunRecord)
        committed, out = lineage.committed(workspace), gallery.place(content)
        subject = Subject(name, about, data.about, scores, made, environment, committed, tags, out)
        (beside / "card.md").write_text(card.text(subject, {each: f"{each}.png" for each in card.CAPTIONS}))
        with tracking.reaching():
            at = tracking.folder_address(tags["run_id"], registry.folder_of(name))
            described = card.text(subject, {"samples": f"{at}samples.png"})  # registries take 5000 characters
            version = registry.register(tracked, name, folder, signature, tags, described, beside)
        tracked.tags({tracking.REGISTERED: f"models:/{name}/{version.version}"})
    lineage.Registered(name, int(version.version), tracked.id, tags[registry.DIGEST]).write(workspace)


if __name__ == "__main__":
    run(main)
