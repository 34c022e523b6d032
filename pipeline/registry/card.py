"""The model card of a version, in Markdown: use and limits, data, training, scores, and how to reproduce it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.data.prepared import SPLITS
from pipeline.models.saved import SavedModel
from pipeline.training.record import RunRecord

MEANINGS = {
    "fid_in_domain": "Frechet distance between samples and test, in features of a classifier of these data",
    "fid_in_domain_floor": "the same for real images of train: what a perfect model scores",
    "frechet_in_domain": "Frechet distance between samples and test, in features of a network fitted to these data",
    "frechet_in_domain_floor": "the same for real items of train: what a perfect model scores",
    "fid_inception": "Frechet distance between samples and test, in features of Inception-v3",
    "fid_inception_floor": "the same for real images of train: what a perfect model scores",
    "precision": "share of samples within the manifold of real items",
    "recall": "share of real items within the manifold of samples",
    "memorisation": "share of samples that are copies of train items; 0 is the chance level",
    "reconstruction_loss": "error between items of test and their reconstructions; docs/metrics.md defines it",
    "bits_per_dim": "upper bound of the bits per value that the model needs for test",
    "bits_per_byte": "upper bound of the bits per byte that the model needs for test",
    "gram_distance": "Jensen-Shannon distance between the 4-grams of samples and of test",
    "parses": "share of samples that parse",
    "centroid_distance": "Jensen-Shannon distance between the spectral centroids of samples and of test",
}
"""The headline scores, and what they mean."""
CAPTIONS = {
    "samples": "Samples",
    "reconstructions": "Items of test above their reconstructions",
    "nearest": "The samples nearest to train, each above its nearest item of train",
}
USE = (
    "The model draws new items that resemble its data, for illustration, teaching and comparing generative models. It "
    "has the gaps and the bias of these data: a sample documents nothing real and is no evidence. Scores hold for this "
    "dataset and protocol; do not compare them across datasets. Before you share samples, check the licence of the "
    "data and memorisation."
)


@dataclass(frozen=True)
class Subject:
    """The content of a card.

    `data` is dataset.json, `committed` the committed params, flat, `tags` are those of the version, and `out` is the
    default path for its samples.
    """

    name: str
    model: SavedModel
    data: Mapping[str, Any]
    scores: Mapping[str, float]
    training: RunRecord
    environment: Mapping[str, Any]
    committed: Mapping[str, Any]
    tags: Mapping[str, Any]
    out: str


def shown(scores: Mapping[str, float]) -> list[str]:
    """Return the names of the scores that a version shows: those in MEANINGS that have an interval."""
    return [name for name in MEANINGS if {name, f"{name}_low", f"{name}_high"} <= scores.keys()]


def spans(scores: Iterable[str]) -> list[str]:
    """Return the names of scores and of their interval bounds."""
    return [f"{name}{end}" for name in scores for end in ("", "_low", "_high")]


def text(subject: Subject, pictures: Mapping[str, str]) -> str:
    """Return the card; `pictures` maps names in CAPTIONS to addresses.

    Pictures come first, and the long table of params last.
    """
    model, data = subject.model, subject.data
    parts = [
        f"# {subject.name}: a {model.family} trained on {data['title'] or data['source']}",
        *_pictures(pictures),
        "## Use and limits",
        USE,
        "## Data",
        _data(data),
        "## Training",
        _training(subject),
        "## Scores on test",
        f"With 95 % intervals over items of test and samples. This evaluation was registered at "
        f"{subject.tags['evaluated']}.",
        _scores(subject.scores),
        "## Memorisation",
        _memorisation(subject.scores),
        "## Load",
        _load(subject),
        "## Reproduce",
        f"```sh\npipeline reproduce {_champion(subject.name)}\n```",
        "This retrains the version in a temporary clone of the repository, from the commit, diff, params and data "
        "below, and reports whether the bytes are the same.",
        "## Lineage",
        _table(("", ""), ((name, str(value)) for name, value in subject.tags.items() if _traces(name))),
        "## Params",
        _params(subject),
    ]
    return "\n\n".join(parts) + "\n"


def _data(data: Mapping[str, Any]) -> str:
    rows = {
        "source": data["source"],
        "homepage": data["homepage"] or "unknown",
        "licence": data["licence"] or "unknown: ask the publisher of the data",
        "items": ", ".join(f"{data['counts'][split]} {split}" for split in SPLITS),
        "left out": f"{data['duplicates']} duplicates, {data['rejected']} unusable",
        "classes": len(data["classes"]) if len(data["classes"]) > 1 else "none",
        "digest": data["digest"],
    }
    return _table(("", ""), ((name, str(value)) for name, value in rows.items()))


def _training(subject: Subject) -> str:
    model, training, environment = subject.model, subject.training, subject.environment
    settings, items = model.params["train"], subject.data["counts"]["train"]
    steps = -(-items // settings["batch_size"]) * settings["epochs"]
    began = datetime.fromtimestamp(training.began, UTC).isoformat(" ", "minutes").removesuffix("+00:00")
    return (
        f"{steps} steps of {settings['batch_size']} items (epochs: {settings['epochs']}). Started {began} UTC, ended "
        f"{training.ended - training.began:.0f} seconds later, with interruptions. Ran on {environment['accelerator']} "
        f"({environment['cpu']}; threads: {environment['threads']}, processes: {environment['runtime']['devices']}), "
        f"Python {environment['python']}, torch {environment['torch']}."
    )


def _params(subject: Subject) -> str:
    rows = []
    for name, value in subject.model.effective.items():
        default = subject.committed.get(name, value)
        rows.append((name, str(value), "" if default == value else str(default)))
    return _table(("param", "value", "committed value"), rows)


def _scores(scores: Mapping[str, float]) -> str:
    rows = []
    for name in shown(scores):
        low, high, floor = scores[f"{name}_low"], scores[f"{name}_high"], scores.get(f"{name}_floor")
        real = "" if floor is None else f"; floor: {floor:.4g}, from real items of train"
        rows.append((name, f"{scores[name]:.4g}", f"{low:.4g} to {high:.4g}", MEANINGS[name] + real))
    return _table(("score", "value", "95 %", "meaning"), rows)


def _memorisation(scores: Mapping[str, float]) -> str:
    low, high = scores["memorisation_low"], scores["memorisation_high"]
    sign = "lies above 0: a sign of copying" if low > 0 else "does not lie above 0: no sign of copying"
    return (
        f"Share of samples that are copies of train: {scores['memorisation']:.1%} ({low:.1%} to {high:.1%}). "
        f"The interval {sign}."
    )


def _pictures(addresses: Mapping[str, str]) -> list[str]:
    return [f"{CAPTIONS[name]}:\n\n![{CAPTIONS[name]}]({address})" for name, address in addresses.items()]


def _load(subject: Subject) -> str:
    name = subject.name
    return (
        f'```python\nimport mlflow\n\nmodel = mlflow.pyfunc.load_model("models:/{name}@champion")\n'
        'items = model.predict([], params={"n": 16, "seed": 0})\n```\n\n'
        f"```sh\npipeline sample {_champion(name)} -n 64 --seed 0 --out {subject.out}\n```\n\n"
        "If this version is not the champion, write `@challenger` or `/VERSION` instead of `@champion`."
    )


def _champion(name: str) -> str:
    """Return the champion's URI, quoted for a shell."""
    return shlex.quote(f"models:/{name}@champion")


def _traces(tag: str) -> bool:
    return tag.startswith("git.") or tag.endswith("_digest") or tag in ("run_id", "lineage")


def _table(head: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = tuple(head)
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
