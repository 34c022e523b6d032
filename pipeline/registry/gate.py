"""The promotion gate: whether a challenger may replace the champion, by the evidence of both and `gate:` in params."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.metrics.direction import HIGHER_IS_BETTER, LOWER_IS_BETTER
from pipeline.params import GateParams
from pipeline.registry.comparison import Verdict, compare
from pipeline.system.errors import ArtifactError

Outcome = Literal["promoted", "undecided", "refused"]


@dataclass(frozen=True)
class Judgement:
    """The gate's outcome, its reasons, and the verdicts that it rests on."""

    outcome: Outcome
    reasons: tuple[str, ...]
    verdicts: tuple[Verdict, ...] = ()


def judge(challenger: Evidence, champion: Evidence | None, rules: GateParams) -> Judgement:
    """Check a challenger against the limits, then against the champion if there is one.

    - Refused: a limit is broken, a metric is not finite, or a score in `decides` or `must_not_fall` is worse.
    - Promoted: none of that, and a score in `decides` is better or there is no champion.
    - Undecided: no score in `decides` is better, or the protocols of the two evaluations differ.

    Known scores in `decides` that the content does not have are ignored.
    """
    broken = _broken(challenger, rules)
    if broken:
        return Judgement("refused", broken)
    if champion is None:
        return Judgement("promoted", ("there is no champion yet, and all limits hold",))
    try:
        verdicts = {verdict.score: verdict for verdict in compare(champion, challenger)}
    except ArtifactError as error:
        return Judgement("undecided", (str(error),))
    watched = [verdicts[name] for name in dict.fromkeys([*rules.decides, *rules.must_not_fall]) if name in verdicts]
    worse = tuple(_sentence(verdict) for verdict in watched if verdict.word == "worse")
    better = tuple(
        _sentence(verdict) for verdict in watched if verdict.word == "better" and verdict.score in rules.decides
    )
    if worse:
        return Judgement("refused", worse, tuple(watched))
    if better:
        return Judgement("promoted", better, tuple(watched))
    none = tuple(_sentence(verdict) for verdict in watched if verdict.score in rules.decides)
    return Judgement("undecided", none or ("the versions share no score of gate.decides",), tuple(watched))


def _broken(challenger: Evidence, rules: GateParams) -> tuple[str, ...]:
    """Return the rules that a challenger breaks by itself; a limit is broken if the whole interval lies beyond it."""
    known = challenger.estimates
    found = [f"{name} is {known[name].value}" for name in known if not math.isfinite(known[name].value)]
    # a content has only some of the scores that can decide: one is enough
    without = [name for name in rules.decides if name not in LOWER_IS_BETTER | HIGHER_IS_BETTER]
    other = without if known.keys() & rules.decides else rules.decides
    asked = dict.fromkeys([*other, *rules.at_most, *rules.at_least])
    found += [f"{name} has a rule but was not evaluated" for name in asked if name not in known]
    if found:
        return tuple(found)
    for name, limit in rules.at_most.items():
        low, _ = challenger.interval(name)
        if low > limit:
            found.append(f"{name} is {known[name].value:.4g} (at least {low:.4g}), above its limit of {limit:g}")
    for name, limit in rules.at_least.items():
        _, high = challenger.interval(name)
        if high < limit:
            found.append(f"{name} is {known[name].value:.4g} (at most {high:.4g}), below its limit of {limit:g}")
    return tuple(found)


def _sentence(verdict: Verdict) -> str:
    return (
        f"{verdict.score} is {verdict.word}: {verdict.b:.4g} against {verdict.a:.4g}, a difference of "
        f"{verdict.difference:.3g} ({verdict.low:.3g} to {verdict.high:.3g})"
    )
