"""Whether a challenger may take the champion's place, and why: on the evidence of both evaluations, by params.yaml."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pipeline.comparison import Verdict, compare
from pipeline.errors import ArtefactError
from pipeline.evidence import Evidence
from pipeline.params import GateParams
from pipeline.rng import numpy_rng

Outcome = Literal["promoted", "undecided", "refused"]


@dataclass(frozen=True)
class Judgement:
    """What the gate says, each of the reasons for it, and the verdicts that it rests on."""

    outcome: Outcome
    reasons: tuple[str, ...]
    verdicts: tuple[Verdict, ...] = ()


def judge(challenger: Evidence, champion: Evidence | None, rules: GateParams) -> Judgement:
    """Hold a challenger to the limits, and then against the champion if there is one.

    Refused: a limit is broken, a figure is not finite, or a score that decides or must not fall is worse. Promoted: no
    such thing, and a score that decides is better, or there is no champion. Undecided: none of them is, or the scores
    of the two were made by different protocols.
    """
    broken = _broken(challenger, rules)
    if broken:
        return Judgement("refused", broken)
    if champion is None:
        return Judgement("promoted", ("there is no champion yet, and all limits hold",))
    try:
        verdicts = {verdict.score: verdict for verdict in compare(champion, challenger)}
    except ArtefactError as error:
        return Judgement("undecided", (str(error),))
    watched = [verdicts[name] for name in dict.fromkeys([*rules.decides, *rules.must_not_fall]) if name in verdicts]
    worse = tuple(_said(verdict) for verdict in watched if verdict.word == "worse")
    better = tuple(_said(verdict) for verdict in watched if verdict.word == "better" and verdict.score in rules.decides)
    if worse:
        return Judgement("refused", worse, tuple(watched))
    if better:
        return Judgement("promoted", better, tuple(watched))
    none = tuple(_said(verdict) for verdict in watched if verdict.score in rules.decides)
    return Judgement("undecided", none or ("no score that decides is known of both",), tuple(watched))


def _broken(challenger: Evidence, rules: GateParams) -> tuple[str, ...]:
    """Return which limits do not hold; a copier is one whose interval lies above the limit, since chance copies too."""
    found = []
    for name, estimate in challenger.estimates.items():
        if not math.isfinite(estimate.value):
            found.append(f"{name} is {estimate.value}")
    found += [f"{name} decides, and was not evaluated" for name in rules.decides if name not in challenger.estimates]
    for limits, fails, word in ((rules.at_most, float.__gt__, "above"), (rules.at_least, float.__lt__, "below")):
        for name, limit in limits.items():
            if name not in challenger.estimates:
                found.append(f"{name} has a limit, and was not evaluated")
            elif fails(challenger.estimates[name].value, float(limit)):
                found.append(f"{name} is {challenger.estimates[name].value:.4g}, {word} its limit of {limit:g}")
    copied = challenger.estimates.get("memorisation")
    if copied is None:
        found.append("memorisation was not evaluated")
    else:
        low, _ = copied.interval(numpy_rng(challenger.protocol["seed"], "interval"))
        if low > rules.memorisation:
            found.append(
                f"memorisation is {copied.value:.3g}, at least {low:.3g}, above its limit of {rules.memorisation:g}"
            )
    return tuple(found)


def _said(verdict: Verdict) -> str:
    return (
        f"{verdict.score} is {verdict.word}: {verdict.b:.4g} against {verdict.a:.4g}, a difference of "
        f"{verdict.difference:.3g} ({verdict.low:.3g} to {verdict.high:.3g})"
    )
