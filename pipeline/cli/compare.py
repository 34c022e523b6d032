"""The verb `compare`: two models side by side, in the terminal and on an HTML page."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline import tracking
from pipeline.evaluation.evidence import Evidence
from pipeline.models.saved import SavedModel
from pipeline.params.effective import effective
from pipeline.registry import comparison
from pipeline.registry.comparison import Verdict
from pipeline.system import git, pages, project
from pipeline.system.errors import UserError

PICTURES = ("samples", "reconstructions", "nearest")
HEAD = ("score", "A", "B", "B - A", "95 %", "P(B better)", "verdict")


@dataclass(frozen=True)
class Contender:
    """A model to compare: its name as the user gave it, its params, and the folder of its evaluation."""

    name: str
    params: Mapping[str, str]
    folder: Path


def contender(name: str, temporary: Path) -> Contender:
    """Return the model that a user names: a workspace, or one fetched from git or the tracking store to `temporary`."""
    evaluation = project.REPORTS / "evaluate"
    place = Path(name) if Path(name).is_dir() else temporary
    if place == temporary:
        place.mkdir()
        if not git.fetch(project.workspace(), name, (project.MODEL, evaluation), place):
            found = tracking.evaluated(tracking.connect(), name, place)
            return Contender(name, effective(found.params), found.folder)
    about = SavedModel.read(place / project.MODEL)
    params = {key: str(value) for key, value in about.effective.items()}
    return Contender(name, params, place / evaluation)


def compare(a: str, b: str, out: Path) -> str:
    """Write an HTML page that compares two models, and return the same as text, without pictures."""
    with tempfile.TemporaryDirectory() as temporary:
        one, other = contender(a, Path(temporary, "a")), contender(b, Path(temporary, "b"))
        verdicts = comparison.compare(Evidence.read(one.folder), Evidence.read(other.folder))
        differing = comparison.differences(one.params, other.params)
        rows = [_row(verdict) for verdict in verdicts]
        parts = [
            pages.paragraph(f"A is {a}, B is {b}."),
            pages.heading("Params that differ"),
            pages.table(("param", "A", "B"), differing) if differing else pages.paragraph("None."),
            pages.heading("Scores on test"),
            pages.table(HEAD, rows),
        ]
        for name in PICTURES:
            shown = [
                (f"{which}: {each.name}", each.folder / f"{name}.png") for which, each in (("A", one), ("B", other))
            ]
            parts += [pages.heading(name.capitalize()), pages.pictures(shown)]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(pages.page(f"{a} and {b}", *parts))
    except OSError as error:
        raise UserError(f"--out is {out}, which cannot be written ({error}); name another file") from error
    params = _aligned([("param", "A", "B"), *differing]) if differing else "no params differ"
    return f"A  {a}\nB  {b}\n\n{params}\n\n{_aligned([HEAD, *rows])}\n\nside by side: {out}"


def _row(verdict: Verdict) -> tuple[str, ...]:
    metrics = (f"{value:.4g}" for value in (verdict.a, verdict.b, verdict.difference))
    interval, chance = f"{verdict.low:.3g} to {verdict.high:.3g}", f"{verdict.probability:.1%}"
    return (verdict.score, *metrics, interval, chance, verdict.word)


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
