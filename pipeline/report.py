"""The page that an evaluation leaves: scores, pictures, classes, curves, protocol and lineage, in one file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import artefacts, pages
from pipeline.metrics.direction import LESS, MORE
from pipeline.pages import Drawing
from pipeline.params import flatten

PICTURES = {
    "samples": "Samples",
    "reconstructions": "Test items above their reconstructions",
    "interpolation": "Ways between two samples, a way a row",
    "nearest": "The samples nearest to an item of train, above that item",
}
FLOOR = "_floor"


def write(folder: Path, scores: Mapping[str, float], lineage: Mapping[str, Any], curves: Path) -> None:
    """Write report.html into a folder of an evaluation, from the files beside it and the curves of the training."""
    protocol = [(name, str(value)) for name, value in artefacts.read_json(folder / "protocol.json").items()]
    parts = [
        pages.heading("Scores on test"),
        pages.paragraph("Each with its interval of 95 %, drawn from zero; the tick is what real items of train score."),
        pages.table(("score", "value", "95 %", "", "better"), _scores(scores)),
    ]
    for name, caption in PICTURES.items():
        parts += [pages.heading(caption), pages.pictures([(name, folder / f"{name}.png")])]
    classes = _rows(folder / "classes.csv")
    if classes:
        parts += [pages.heading("Classes"), pages.table(("class", "samples", "", "test", ""), _classes(classes))]
    drawn = {path.relative_to(curves).with_suffix("").as_posix(): _rows(path) for path in sorted(curves.rglob("*.csv"))}
    parts += [
        pages.heading("Curves, an epoch a point"),
        pages.grid(pages.curve(name, [float(row[1]) for row in rows]) for name, rows in drawn.items()),
        pages.heading("How the scores were made"),
        pages.table(("protocol", ""), protocol),
        pages.heading("What the model was made of"),
        pages.table(("lineage", ""), [(name, str(value)) for name, value in flatten(dict(lineage)).items()]),
    ]
    (folder / "report.html").write_text(pages.page(f"A {lineage['family']}, evaluated", *parts))


def _scores(scores: Mapping[str, float]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, value in scores.items():
        if name.endswith((FLOOR, "_low", "_high")):
            continue
        low, high, floor = (scores.get(f"{name}{end}") for end in ("_low", "_high", FLOOR))
        if low is None or high is None:
            width, drawn = "", Drawing("")
        else:
            width, drawn = f"{low:.4g} to {high:.4g}", pages.interval(value, low, high, floor)
        rows.append((name, f"{value:.4g}", width, drawn, "less" if name in LESS else "more" if name in MORE else ""))
    return rows


def _classes(rows: list[list[str]]) -> list[tuple[str, ...]]:
    most = max(float(share) for _, *shares in rows for share in shares) or 1.0
    found: list[tuple[str, ...]] = []
    for name, sampled, real in rows:
        bars = [pages.bar(float(share) / most) for share in (sampled, real)]
        found.append((name, f"{float(sampled):.1%}", bars[0], f"{float(real):.1%}", bars[1]))
    return found


def _rows(path: Path) -> list[list[str]]:
    """Return the rows of a table without its head."""
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]
