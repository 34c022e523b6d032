"""The page that an evaluation leaves: scores, pictures, classes, curves, protocol and lineage, in one file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.evaluation import evidence
from pipeline.evaluation.metrics.direction import LESS, MORE
from pipeline.params import flatten
from pipeline.system import pages
from pipeline.system.pages import Drawing, Span
from pipeline.tracking import Scored

PICTURES = {
    "samples": ("Samples", "Drawn one after the other, none of them picked."),
    "reconstructions": ("Reconstructions", "Items of test, and under or beside each what the model makes of it."),
    "interpolation": ("Ways between samples", "Each row leads from one sample to another."),
    "traversals": (
        "Single dimensions of the latent",
        "Three samples. In each row one dimension goes from -3 to 3 standard deviations of what latents are drawn "
        "from, and the others stay. These dimensions change samples the most, the first one most of all.",
    ),
    "nearest": ("Nearest neighbours", "The samples that lie nearest to an item of train, and under each that item."),
}
FLOOR = "_floor"
BOUNDS = ("_low", "_high")


def write(
    folder: Path,
    scores: Mapping[str, float],
    read: Mapping[str, str],
    baselines: Mapping[str, Mapping[str, float]],
    lineage: Mapping[str, Any],
    curves: Path,
    champion: Scored | None,
) -> None:
    """Write report.html into a folder of an evaluation, from the files beside it and the curves of the training.

    `read` are parts of a page that stand for a picture of their name, `baselines` the scores of each of them, and
    `champion` is what the registry held when the model was evaluated.
    """
    protocol = evidence.protocol(folder)
    said, rival = _champion(champion, str(lineage["model_digest"]), protocol["digest"])
    kinds = {"own": "this model", "tick": "real items"} | ({"other": "the champion"} if rival else {})
    parts = [
        pages.heading("Scores on test"),
        pages.paragraph("Each with its interval of 95 %, on an axis of its own. ↓: less is better, ↑: more is better."),
        pages.paragraph(said),
        pages.key(kinds),
        pages.table(
            ("score", "value", "95 %", "real items", "champion" if rival else "", "", *baselines),
            _scores(scores, rival, baselines),
        ),
    ]
    for name, (title, caption) in PICTURES.items():
        shown = pages.paragraph(caption) + read[name] if name in read else ""
        parts += [pages.heading(title), shown or pages.pictures([(caption, folder / f"{name}.png")])]
    classes = _rows(folder / "classes.csv")
    if classes:
        parts += [
            pages.heading("Classes"),
            pages.key({"own": "samples", "other": "test"}),
            pages.table(("class", "samples", "test", ""), _classes(classes)),
        ]
    drawn = {path.relative_to(curves).with_suffix("").as_posix(): _rows(path) for path in sorted(curves.rglob("*.csv"))}
    parts += [
        pages.heading("Curves, an epoch a point"),
        pages.grid(pages.curve(name, [float(row[1]) for row in rows]) for name, rows in drawn.items()),
        pages.heading("How the scores were made"),
        pages.table(("protocol", ""), [(name, str(value)) for name, value in protocol.items()]),
        pages.heading("What the model was made of"),
        pages.table(("lineage", ""), [(name, str(value)) for name, value in flatten(dict(lineage)).items()]),
    ]
    (folder / "report.html").write_text(pages.page(f"A {lineage['family']}, evaluated", *parts))


def markdown(folder: str) -> str:
    """Return the pictures of the page in Markdown, by addresses that begin with `folder`."""
    return "\n\n".join(f"{title}:\n\n![{title}]({folder}{name}.png)" for name, (title, _) in PICTURES.items())


def _champion(champion: Scored | None, model_digest: str, protocol_digest: str) -> tuple[str, Mapping[str, float]]:
    """Return what is said of the champion, and its scores where they can be held against those of the model."""
    if champion is None:
        return "No champion was known when this model was evaluated.", {}
    called = f"version {champion.version} of {champion.name}"
    if champion.model_digest == model_digest:
        return f"When this model was evaluated, it was the champion: {called}.", {}
    stands = f"When this model was evaluated, the champion was {called}"
    if champion.protocol_digest != protocol_digest:
        return f"{stands}; other protocol: its scores cannot be held against these, and are not drawn.", {}
    compare = f"`pipeline compare models:/{champion.name}/{champion.version} .`"
    return f"{stands}. Which one is better, compared item by item, says {compare}", champion.scores


def _scores(
    scores: Mapping[str, float], rival: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]]
) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, value in scores.items():
        if name.endswith((FLOOR, *BOUNDS)):
            continue
        own, other = _span(name, scores), _span(name, rival)
        width, drawn = "", Drawing("")
        if own:
            width, drawn = f"{own[1]:.4g} to {own[2]:.4g}", pages.intervals(own, other, scores.get(f"{name}{FLOOR}"))
        better = " ↓" if name in LESS else " ↑" if name in MORE else ""
        theirs = f"{rival[name]:.4g}" if name in rival else ""
        others = [f"{known[name]:.4g}" if name in known else "" for known in baselines.values()]
        real = f"{scores[name + FLOOR]:.4g}" if name + FLOOR in scores else ""
        rows.append((name + better, f"{value:.4g}", width, real, theirs, drawn, *others))
    return rows


def _span(name: str, scores: Mapping[str, float]) -> Span | None:
    """Return a score with its bounds, if it has any."""
    value, low, high = (scores.get(f"{name}{end}") for end in ("", *BOUNDS))
    return None if value is None or low is None or high is None else (value, low, high)


def _classes(rows: list[list[str]]) -> list[tuple[str, ...]]:
    most = max(float(share) for _, *shares in rows for share in shares) or 1.0
    found: list[tuple[str, ...]] = []
    for name, *shares in rows:
        sampled, real = map(float, shares)
        found.append((name, f"{sampled:.1%}", f"{real:.1%}", pages.bars(sampled / most, real / most)))
    return found


def _rows(path: Path) -> list[list[str]]:
    """Return the rows of a table without its head."""
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]
