"""Stage `register`: makes the model a version in the registry, and the challenger."""

from __future__ import annotations

from pipeline import artefacts, models, project, registry, serving, tracking
from pipeline.artefacts import PreparedData, RunRecord
from pipeline.errors import run
from pipeline.params import Params

TOLD = ("fid_in_domain", "reconstruction_loss", "memorisation")
"""Scores that a version says of itself, with their intervals."""


def main() -> None:
    """Register model/ under register.name, and leave which version it is."""
    workspace = project.workspace()
    params, data = Params.load(workspace), PreparedData.open(workspace)
    name = data.registered_as(params.register_)
    scores = artefacts.read_json(workspace / artefacts.REPORTS / "evaluate" / "metrics.json")
    protocol = artefacts.read_json(workspace / artefacts.REPORTS / "evaluate" / "protocol.json")
    folder = workspace / artefacts.MODEL
    model = models.load(folder)
    about = model.about
    with tracking.resume(RunRecord.read(workspace), about) as tracked:
        tags = {
            "family": about.family,
            "content": about.content,
            "seed": about.params["seed"],
            "data_digest": data.digest,
            "params_digest": artefacts.digest_of(about.params),
            "extractor_digest": protocol["extractor_digest"],
            "run_id": tracked.id,
            **tracking.git(),
            "protocol_digest": protocol["digest"],
            **{name: f"{scores[name]:.6g}" for score in TOLD for name in (score, f"{score}_low", f"{score}_high")},
        }
        described = f"A {about.family} of {data.about['source']}, trained on {data.about['counts']['train']} items."
        with tracking.reaching():
            version = registry.register(tracked, name, folder, serving.signature(model), tags, described)
    left = {
        "name": name,
        "version": int(version.version),
        "run_id": tracked.id,
        "model_digest": artefacts.model_digest(folder),
    }
    artefacts.write_json(workspace / artefacts.REPORTS / "register" / "version.json", left)


if __name__ == "__main__":
    run(main)
