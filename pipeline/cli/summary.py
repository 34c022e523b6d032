"""The verb `summary`: what the last `dvc repro` made, its scores, and where to look."""

from __future__ import annotations

from pipeline.contents import display
from pipeline.data.prepared import PreparedData
from pipeline.evaluation.scores import read_scores
from pipeline.models.saved import SavedModel
from pipeline.registry.card import MEANINGS
from pipeline.registry.lineage import Registered
from pipeline.system import project


def summary() -> str:
    """Return the summary as text."""
    workspace = project.workspace()
    data = PreparedData.open(workspace)
    about = SavedModel.read(workspace / project.MODEL)
    scores = read_scores(workspace)
    version = Registered.read(workspace)
    counts = data.about["counts"]
    uri = f"models:/{version.name}/{version.version}"
    lines = [
        f"\nMade   a {about.family} trained on {counts['train']} items of {data.about['source']}",
        f"       version {version.version} of the registered model {version.name}, run {version.run_id}",
        f"Scores on {counts['test']} items of test, with 95 % intervals",
    ]
    for name, meaning in MEANINGS.items():
        if name in scores:
            bounds = [f"{scores[name + end]:.4g}" for end in ("_low", "_high") if name + end in scores]
            lines.append(f"       {name:20} {scores[name]:<9.4g} {' to '.join(bounds):18} {meaning}")
    return "\n".join(
        [
            *lines,
            "Look   reports/evaluate/report.html        scores, pictures and curves on one page",
            "       make ui            runs, curves and pictures in MLflow, at the address that it prints",
            "       dvc plots show     curves and pictures on one page",
            f"       pipeline sample {uri} -n 64 --seed 0 --out {display.default_output(data.content)}",
        ]
    )
