"""Which of two models is better, score by score, on the same evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.metrics.direction import LESS, MORE
from pipeline.evaluation.metrics.estimates import LEVEL
from pipeline.system.errors import ArtifactError
from pipeline.system.rng import numpy_rng

Word = Literal["better", "worse", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """What can be said of b against a by one score.

    Attributes:
        score: its name.
        a: the score of a.
        b: the score of b.
        difference: b - a.
        low: the lower bound of the difference's interval.
        high: the upper bound.
        probability: that b is better, as resampling has it.
        word: better or worse where the interval leaves 0 out.
    """

    score: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    probability: float
    word: Word


def compare(a: Evidence, b: Evidence) -> list[Verdict]:
    """Return a verdict for each score that both have and that has a better, paired over the same items and seeds.

    Raises:
        ArtifactError: the scores were made by different protocols.
    """
    other = [name for name in a.protocol if name != "digest" and a.protocol[name] != b.protocol.get(name)]
    if other:
        said = "; ".join(f"{name} is {a.protocol[name]} and {b.protocol.get(name)}" for name in other)
        raise ArtifactError(f"the scores were made by different protocols and cannot be compared: {said}")
    shared = [name for name in a.estimates if name in b.estimates and name in LESS | MORE]
    return [_verdict(name, a, b) for name in shared]


def _verdict(score: str, a: Evidence, b: Evidence, level: float = LEVEL) -> Verdict:
    difference = b.estimates[score] - a.estimates[score]
    moved = difference.value + difference.deviations(numpy_rng(a.protocol["seed"], "comparison"))
    low, high = (float(bound) for bound in np.quantile(moved, [(1 - level) / 2, (1 + level) / 2]))
    better = moved < 0 if score in LESS else moved > 0
    # two models that are the same have no better
    probability = float(np.mean(better) + np.mean(moved == 0) / 2)
    word: Word = "undecided" if low <= 0 <= high else "better" if probability > 0.5 else "worse"
    values = a.estimates[score].value, b.estimates[score].value
    return Verdict(score, *values, difference.value, low, high, probability, word)


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the params that differ, by name, as a and as b has them; what one of them lacks is empty."""
    names = sorted({*a, *b})
    rows = [(name, str(a.get(name, "")), str(b.get(name, ""))) for name in names]
    return [row for row in rows if row[1] != row[2]]
