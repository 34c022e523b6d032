"""Comparison of two models, score by score, on the evidence of their evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.metrics.direction import HIGHER_IS_BETTER, LOWER_IS_BETTER
from pipeline.evaluation.metrics.estimates import LEVEL
from pipeline.system.errors import ArtifactError
from pipeline.system.rng import numpy_rng

Word = Literal["better", "worse", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """The comparison of b with a by one score.

    Attributes:
        score: name of the score.
        a: score of a.
        b: score of b.
        difference: b - a.
        low: lower bound of the difference's interval.
        high: upper bound of the difference's interval.
        probability: bootstrap probability that b is better.
        word: "better" or "worse" if the interval excludes 0, else "undecided".
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
    """Return a verdict for each score with a direction that both models have, paired over the same items and seeds.

    Raises:
        ArtifactError: the protocols of the two evaluations differ.
    """
    other = [name for name in a.protocol if name != "digest" and a.protocol[name] != b.protocol.get(name)]
    if other:
        values = "; ".join(f"{name} is {a.protocol[name]} and {b.protocol.get(name)}" for name in other)
        raise ArtifactError(
            f"scores of different protocols cannot be compared ({values}); evaluate both by the same one"
        )
    shared = [name for name in a.estimates if name in b.estimates and name in LOWER_IS_BETTER | HIGHER_IS_BETTER]
    return [_verdict(name, a, b) for name in shared]


def _verdict(score: str, a: Evidence, b: Evidence, level: float = LEVEL) -> Verdict:
    difference = b.estimates[score] - a.estimates[score]
    moved = difference.value + difference.deviations(numpy_rng(a.protocol["seed"], "comparison"))
    low, high = (float(bound) for bound in np.quantile(moved, [(1 - level) / 2, (1 + level) / 2]))
    better = moved < 0 if score in LOWER_IS_BETTER else moved > 0
    # a tie counts half, so that equal models get 0.5
    probability = float(np.mean(better) + np.mean(moved == 0) / 2)
    word: Word = "undecided" if low <= 0 <= high else "better" if probability > 0.5 else "worse"
    values = a.estimates[score].value, b.estimates[score].value
    return Verdict(score, *values, difference.value, low, high, probability, word)


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (name, value in a, value in b) for each param that differs, by name; a missing value is empty."""
    names = sorted({*a, *b})
    rows = [(name, str(a.get(name, "")), str(b.get(name, ""))) for name in names]
    return [row for row in rows if row[1] != row[2]]
