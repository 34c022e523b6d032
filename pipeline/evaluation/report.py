"""The report of an evaluation: scores, pictures, classes, curves, protocol and lineage on one HTML page."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.evaluation import evidence
from pipeline.evaluation.metrics.direction import HIGHER_IS_BETTER, LOWER_IS_BETTER
from pipeline.params import flatten
from pipeline.system import pages
from pipeline.system.pages import Drawing, Span
from pipeline.tracking import Scored

PICTURES = {
    "samples": ("Samples", "Consecutive draws, not hand-picked."),
    "reconstructions": ("Reconstructions", "Items of test, each with its reconstruction below or beside it."),
    "interpolation": ("Interpolations", "Each row interpolates from one sample to another."),
    "traversals": (
        "Latent traversals",
        "Three samples. Each row varies one dimension of the latent from -3 to 3 standard deviations of the latents "
        "that the model draws, and keeps the others fixed. These dimensions change samples most, in this order.",
    ),
    "nearest": ("Nearest neighbours", "The samples nearest to an item of train, each above that item."),
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
    """Write report.html into the folder of an evaluation, from the files beside it and the curves of the training.

    `read` holds HTML by the name of the picture that it replaces, `baselines` the scores of each baseline, and
    `champion` the champion in the registry at the time of the evaluation.
    """
    protocol = evidence.protocol(folder)
    about_champion, rival = _champion(champion, str(lineage["model_digest"]), protocol["digest"])
    kinds = {"own": "this model", "tick": "real items"} | ({"other": "the champion"} if rival else {})
    parts = [
        pages.heading("Scores on test"),
        pages.paragraph("Each with its 95 % interval, on its own axis. ↓: lower is better, ↑: higher is better."),
        pages.paragraph(about_champion),
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
        pages.heading("Curves, one point per epoch"),
        pages.grid(pages.curve(name, [float(row[1]) for row in rows]) for name, rows in drawn.items()),
        pages.heading("Protocol of the scores"),
        pages.table(("protocol", ""), [(name, str(value)) for name, value in protocol.items()]),
        pages.heading("Lineage of the model"),
        pages.table(("lineage", ""), [(name, str(value)) for name, value in flatten(dict(lineage)).items()]),
    ]
    (folder / "report.html").write_text(pages.page(f"Evaluation of a model ({lineage['family']})", *parts))


def markdown(folder: str) -> str:
    """Return the pictures of the page as Markdown, with addresses that begin with `folder`."""
    return "\n\n".join(f"{title}:\n\n![{title}]({folder}{name}.png)" for name, (title, _) in PICTURES.items())


def _champion(champion: Scored | None, model_digest: str, protocol_digest: str) -> tuple[str, Mapping[str, float]]:
    """Return a sentence about the champion, and its scores if they are comparable to those of the model."""
    if champion is None:
        return "No champion was known when this model was evaluated.", {}
    called = f"version {champion.version} of {champion.name}"
    if champion.model_digest == model_digest:
        return f"When this model was evaluated, it was the champion: {called}.", {}
    stands = f"When this model was evaluated, the champion was {called}"
    if champion.protocol_digest != protocol_digest:
        return f"{stands}. It was scored by another protocol, so its scores are not comparable and not shown.", {}
    compare = f"`pipeline compare models:/{champion.name}/{champion.version} .`"
    return f"{stands}. To compare the two item by item, run {compare}", champion.scores


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
        better = " ↓" if name in LOWER_IS_BETTER else " ↑" if name in HIGHER_IS_BETTER else ""
        theirs = f"{rival[name]:.4g}" if name in rival else ""
        others = [f"{known[name]:.4g}" if name in known else "" for known in baselines.values()]
        real = f"{scores[name + FLOOR]:.4g}" if name + FLOOR in scores else ""
        rows.append((name + better, f"{value:.4g}", width, real, theirs, drawn, *others))
    return rows


def _span(name: str, scores: Mapping[str, float]) -> Span | None:
    """Return a score with the bounds of its interval, or None if it has none."""
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
    """Return the rows of a CSV file without its header."""
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]
