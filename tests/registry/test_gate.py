from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.metrics.estimates import Estimate, mean
from pipeline.params import GateParams, Params
from pipeline.registry.gate import judge
from pipeline.system.errors import ParamsError

PROTOCOL = {"seed": 0, "samples": 100}
RULES = GateParams(
    decides=["ssim"], must_not_fall=["precision"], at_most={"psnr": 50.0, "memorisation": 0.1}, at_least={"ssim": 0.2}
)
HARD = np.random.default_rng(0).normal(0, 0.1, 200)


def evidence(ssim=0.5, precision=0.5, memorisation=0.0, protocol=PROTOCOL, psnr=20.0, spread=HARD):
    estimates = {
        "ssim": mean(ssim + spread, "test"),
        "precision": mean(precision + spread, "test"),
        "memorisation": mean(memorisation + spread, "test"),
        "psnr": Estimate(psnr),
    }
    return Evidence(protocol, estimates)


def test_without_a_champion_the_limits_alone_decide():
    assert judge(evidence(), None, RULES).outcome == "promoted"
    assert judge(evidence(psnr=51.0), None, RULES).outcome == "refused"


def test_a_better_challenger_is_promoted_for_what_it_does_better():
    found = judge(evidence(ssim=0.6), evidence(), RULES)
    assert found.outcome == "promoted"
    assert "ssim is better: 0.6" in found.reasons[0]


def test_of_scores_that_decide_those_count_that_the_content_has():
    rules = RULES.model_copy(update={"decides": ["fid_in_domain", "ssim"]})
    assert judge(evidence(ssim=0.6), evidence(), rules).outcome == "promoted"


@pytest.mark.parametrize("decides", [["ssim", "sism"], ["fid_in_domain"]])
def test_a_score_that_nobody_knows_or_none_that_is_there_cannot_decide(decides):
    found = judge(evidence(), None, RULES.model_copy(update={"decides": decides}))
    assert found.outcome == "refused"
    assert "was not evaluated" in found.reasons[0]


def test_an_equal_challenger_is_undecided():
    found = judge(evidence(), evidence(), RULES)
    assert found.outcome == "undecided"
    assert "ssim is undecided" in found.reasons[0]


@pytest.mark.parametrize("worse", [{"ssim": 0.4}, {"ssim": 0.6, "precision": 0.4}])
def test_a_challenger_that_is_worse_where_it_counts_is_refused_however_good_else(worse):
    found = judge(evidence(**worse), evidence(), RULES)
    assert found.outcome == "refused"
    assert all("is worse" in reason for reason in found.reasons)


def test_a_score_that_only_must_not_fall_promotes_nobody():
    assert judge(evidence(precision=0.7), evidence(), RULES).outcome == "undecided"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"psnr": 51.0}, "psnr is 51 (at least 51), above its limit of 50"),
        ({"ssim": 0.1}, "below its limit of 0.2"),
        ({"psnr": float("nan")}, "psnr is nan"),
        ({"memorisation": 0.5}, "memorisation is 0.5"),
    ],
)
def test_a_broken_limit_refuses_also_a_better_challenger(broken, said):
    found = judge(evidence(**{"ssim": 0.9} | broken), evidence(ssim=0.01), RULES)
    assert found.outcome == "refused"
    assert said in " ".join(found.reasons)


def test_copies_that_chance_may_make_are_let_through():
    noisy = np.random.default_rng(0).normal(0, 2, 200)
    assert judge(evidence(memorisation=0.15, spread=noisy - noisy.mean()), None, RULES).outcome == "promoted"


def test_a_limit_or_a_decision_on_what_was_not_evaluated_refuses():
    rules = RULES.model_copy(update={"decides": ["fid_in_domian"], "at_least": {"coverage": 0.5}})
    assert judge(evidence(), None, rules).reasons == (
        "fid_in_domian has a rule but was not evaluated",
        "coverage has a rule but was not evaluated",
    )


def test_scores_of_different_protocols_are_undecided_with_what_differs():
    found = judge(evidence(ssim=0.9), evidence(protocol=PROTOCOL | {"samples": 200}), RULES)
    assert found.outcome == "undecided"
    assert "samples is 200 and 100" in found.reasons[0]


def load(folder, extractor, gate):
    """Return the shipped params with another extractor and some rules."""
    tree = yaml.safe_load(Path(__file__).parents[2].joinpath("params.yaml").read_text())
    tree["features"]["extractor"] = extractor
    tree["gate"] |= gate
    (folder / "params.yaml").write_text(yaml.safe_dump(tree))
    return Params.load(folder)


@pytest.mark.parametrize(
    ("extractor", "gate", "said"),
    [
        ("inception", {}, "gate names fid_in_domain, but features.extractor is inception; name fid_inception there"),
        ("in_domain", {"at_most": {"fid_inception_floor": 1.0}}, "gate names fid_inception_floor, but"),
        ("in_domain", {"must_not_fall": ["kid_inception", "recall"]}, "; name kid_in_domain there"),
    ],
)
def test_rules_for_scores_of_another_extractor_are_one_line_that_says_what_to_name(tmp_path, extractor, gate, said):
    with pytest.raises(ParamsError) as caught:
        load(tmp_path, extractor, gate)
    assert str(caught.value).startswith("params.yaml: gate names")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rules_for_scores_of_the_extractor_are_taken(tmp_path):
    assert load(tmp_path, "inception", {"decides": ["fid_inception"]}).gate.decides == ["fid_inception"]


def test_rules_for_scores_of_other_contents_are_taken_with_either_extractor(tmp_path):
    decides = ["fid_inception", "frechet_in_domain"]
    assert load(tmp_path, "inception", {"decides": decides}).gate.decides == decides
