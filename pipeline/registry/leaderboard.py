"""The leaderboard of a model: its versions, the best first, and which cannot be distinguished from the best."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from pipeline import tracking
from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.metrics.direction import LOWER_IS_BETTER
from pipeline.registry import comparison, ledger

HEAD = ("", "version", "score", "95 %", "family", "protocol", "alias", "age", "experiment")
AGES = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class Row:
    """A version and the score that it is ranked by.

    `undecided` is whether it cannot be distinguished from the best of its protocol.
    """

    name: str
    version: str
    score: str
    value: float
    low: float
    high: float
    family: str
    protocol: str
    aliases: tuple[str, ...]
    registered: float
    experiment: str
    undecided: bool = field(default=False)

    @property
    def uri(self) -> str:
        """The version's models:/ URI."""
        return f"models:/{self.name}/{self.version}"

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of the version's row in the table."""
        span = f"{self.low:.3g} to {self.high:.3g}"
        mark, aliases = "*" if self.undecided else "", ", ".join(self.aliases)
        age = _age(time.time() - self.registered)
        return (
            mark,
            self.version,
            f"{self.value:.4g}",
            span,
            self.family,
            self.protocol[:8],
            aliases,
            age,
            self.experiment,
        )


def rows(client: MlflowClient, name: str, decides: Sequence[str]) -> list[Row]:
    """Return the versions that have a score in `decides`, by protocol, that of the newest version first.

    Within a protocol the best version is first; scores of different protocols cannot be compared.
    """
    with tracking.reaching():
        aliases = ledger.aliases(client, name)
        versions = client.search_model_versions(f'name = "{name}"')
    found = [row for each in versions if (row := _row(each, aliases, decides))]
    newest = {row.protocol: max(int(each.version) for each in found if each.protocol == row.protocol) for row in found}
    return sorted(
        found,
        key=lambda row: (-newest[row.protocol], row.score, row.value * (1 if row.score in LOWER_IS_BETTER else -1)),
    )


def evidence(client: MlflowClient, uri: str) -> Evidence:
    """Download the evidence of a version.

    Raises:
        UserError: it is missing or corrupt.
    """
    with tempfile.TemporaryDirectory() as temporary:
        return Evidence.read(tracking.evaluated(client, uri, Path(temporary)).folder)


def marked(client: MlflowClient, found: Sequence[Row]) -> list[Row]:
    """Return the rows with `undecided` set on those that `pipeline compare` cannot distinguish from their best."""
    done: list[Row] = []
    for _, group in groupby(found, key=lambda row: (row.protocol, row.score)):
        best, *others = group
        done.append(best)
        done += [Row(**{**vars(row), "undecided": _undecided(client, best, row)}) for row in others]
    return done


def table(found: Sequence[Row]) -> str:
    """Return the rows as text, an empty line between protocols."""
    if not found:
        return "no version has a score in gate.decides of params.yaml; name one that `pipeline summary` shows"
    lines = [HEAD, *(row.cells for row in found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    parts = [f"{found[0].name}, by {' and '.join(dict.fromkeys(row.score for row in found))}", aligned[0]]
    for row, before, line in zip(found, (found[0], *found), aligned[1:], strict=False):
        parts += [*([""] if row.protocol != before.protocol else []), line]
    if any(row.undecided for row in found):
        parts.append("* cannot be distinguished from the best of its protocol, item by item")
    return "\n".join(parts)


def _row(version: ModelVersion, aliases: dict[str, str], decides: Sequence[str]) -> Row | None:
    tags = version.tags
    score = next((each for each in decides if {each, f"{each}_low", f"{each}_high"} <= tags.keys()), None)
    if score is None:
        return None
    return Row(
        name=str(version.name),
        version=str(version.version),
        score=score,
        value=float(tags[score]),
        low=float(tags[f"{score}_low"]),
        high=float(tags[f"{score}_high"]),
        family=tags.get("family", ""),
        protocol=tags.get("protocol_digest", ""),
        aliases=tuple(alias for alias, at in sorted(aliases.items()) if at == str(version.version)),
        registered=version.creation_timestamp / 1000,
        experiment=tags.get(tracking.EXPERIMENT, ""),
    )


def _undecided(client: MlflowClient, best: Row, row: Row) -> bool:
    """Return whether two rows cannot be distinguished; disjoint intervals decide it without a download."""
    if row.low > best.high or best.low > row.high:
        return False
    verdicts = comparison.compare(evidence(client, best.uri), evidence(client, row.uri))
    return any(each.score == row.score and each.word == "undecided" for each in verdicts)


def _age(seconds: float) -> str:
    size, unit = next((each for each in AGES if seconds >= each[0]), AGES[-1])
    return f"{max(0, int(seconds // size))} {unit}"
