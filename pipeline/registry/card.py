"""The card of a version, in Markdown: what it is, what it is good for and how good, and how to make it again."""

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
    "fid_in_domain": "Frechet distance of samples from test, in the features of a classifier of these data",
    "fid_in_domain_floor": "the same of real images from train: what zero looks like",
    "frechet_in_domain": "Frechet distance of samples from test, in the features of a network fitted to these data",
    "frechet_in_domain_floor": "the same of real items from train: what zero looks like",
    "fid_inception": "Frechet distance of samples from test, in the features of Inception-v3",
    "fid_inception_floor": "the same of real images from train: what zero looks like",
    "precision": "share of samples that lie among real items",
    "recall": "share of real items that lie among samples",
    "memorisation": "share of samples that are copies of train; 0 is what chance makes",
    "reconstruction_loss": "how far items of test are from their reconstructions; docs/metrics.md says in what",
    "bits_per_dim": "bits a value that the model needs for test, at most",
    "bits_per_byte": "bits a byte that the model needs for test, at most",
    "gram_distance": "Jensen-Shannon distance of the 4-grams of samples from those of test",
    "parses": "share of samples that parse",
    "centroid_distance": "Jensen-Shannon distance of the spectral centroids of samples from those of test",
}
"""What the scores that are told first mean."""
CAPTIONS = {
    "samples": "Samples",
    "reconstructions": "Items of test above their reconstructions",
    "nearest": "The samples nearest to an item of train, above that item",
}
USE = (
    "It draws new items like those of its data, to look at, to learn from, and to compare generative models by. It "
    "knows these data alone, with their gaps and their bias: a sample shows nothing that happened, and is no evidence. "
    "Scores hold for these data and this protocol, and cannot be compared across datasets. Before samples are passed "
    "on, look at the licence of the data and at memorisation."
)


@dataclass(frozen=True)
class Subject:
    """What a card is about.

    `data` is what dataset.json says, `committed` the params of params.yaml as the commit has it, flat, and `tags` are
    those of the version. `out` is where its samples go by themselves.
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
    """Return the scores that a version tells of itself: those that have a meaning here, and an interval."""
    return [name for name in MEANINGS if {name, f"{name}_low", f"{name}_high"} <= scores.keys()]


def spans(scores: Iterable[str]) -> list[str]:
    """Return the names of scores and of their bounds."""
    return [f"{name}{end}" for name in scores for end in ("", "_low", "_high")]


def text(subject: Subject, pictures: Mapping[str, str]) -> str:
    """Return the card with pictures, whose addresses are given by their names in CAPTIONS.

    What a person looks at first stands first, and the list of params, which is long, last.
    """
    model, data = subject.model, subject.data
    parts = [
        f"# {subject.name}: a {model.family} of {data['title'] or data['source']}",
        *_pictures(pictures),
        "## Use and limits",
        USE,
        "## Data",
        _data(data),
        "## Training",
        _training(subject),
        "## Scores on test",
        f"Each with its interval of 95 %, over items of test and samples. This evaluation was registered "
        f"{subject.tags['evaluated']}.",
        _scores(subject.scores),
        "## Memorisation",
        _memorisation(subject.scores),
        "## Load",
        _load(subject),
        "## Make it again",
        f"```sh\npipeline reproduce {_champion(subject.name)}\n```",
        "This trains again in a temporary clone of the repository, from the commit, difference, params and data below, "
        "and says whether the bytes are the same.",
        "## Lineage",
        _table(("", ""), ((name, str(value)) for name, value in subject.tags.items() if _traces(name))),
        "## Params",
        _params(subject),
    ]
    return "\n\n".join(parts) + "\n"


def _data(data: Mapping[str, Any]) -> str:
    rows = {
        "source": data["source"],
        "home": data["homepage"] or "unknown",
        "licence": data["licence"] or "unknown: ask whoever made the data",
        "items": ", ".join(f"{data['counts'][split]} {split}" for split in SPLITS),
        "left out": f"{data['duplicates']} duplicates, {data['rejected']} that could not be used",
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
        f"{steps} steps of {settings['batch_size']} items (epochs: {settings['epochs']}). Began {began} UTC, ended "
        f"{training.ended - training.began:.0f} seconds later, pauses included. On {environment['accelerator']} "
        f"({environment['cpu']}; threads: {environment['threads']}, processes: {environment['runtime']['devices']}), "
        f"Python {environment['python']}, torch {environment['torch']}."
    )


def _params(subject: Subject) -> str:
    rows = []
    for name, value in subject.model.effective.items():
        default = subject.committed.get(name, value)
        rows.append((name, str(value), "" if default == value else str(default)))
    return _table(("param", "value", "the commit has"), rows)


def _scores(scores: Mapping[str, float]) -> str:
    rows = []
    for name in shown(scores):
        low, high, floor = scores[f"{name}_low"], scores[f"{name}_high"], scores.get(f"{name}_floor")
        real = "" if floor is None else f"; real items of train: {floor:.4g}"
        rows.append((name, f"{scores[name]:.4g}", f"{low:.4g} to {high:.4g}", MEANINGS[name] + real))
    return _table(("score", "value", "95 %", "what it is"), rows)


def _memorisation(scores: Mapping[str, float]) -> str:
    low, high = scores["memorisation_low"], scores["memorisation_high"]
    sign = "above 0: a sign of copying" if low > 0 else "not above 0: no sign of copying"
    return (
        f"Of its samples, {scores['memorisation']:.1%} are copies of train ({low:.1%} to {high:.1%}), which is {sign}."
    )


def _pictures(addresses: Mapping[str, str]) -> list[str]:
    return [f"{CAPTIONS[name]}:\n\n![{CAPTIONS[name]}]({address})" for name, address in addresses.items()]


def _load(subject: Subject) -> str:
    name = subject.name
    return (
        f'```python\nimport mlflow\n\nmodel = mlflow.pyfunc.load_model("models:/{name}@champion")\n'
        'items = model.predict([], params={"n": 16, "seed": 0})\n```\n\n'
        f"```sh\npipeline sample {_champion(name)} -n 64 --seed 0 --out {subject.out}\n```\n\n"
        "`@challenger`, or `/` and its number, where it is not the champion."
    )


def _champion(name: str) -> str:
    """Return the champion's URI as a shell takes it."""
    return shlex.quote(f"models:/{name}@champion")


def _traces(tag: str) -> bool:
    return tag.startswith("git.") or tag.endswith("_digest") or tag in ("run_id", "lineage")


def _table(head: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = tuple(head)
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
