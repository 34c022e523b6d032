import numpy as np
import pytest

from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.metrics.estimates import Estimate, mean
from pipeline.registry.comparison import compare, differences
from pipeline.system.errors import ArtifactError

PROTOCOL = {"seed": 0, "samples": 100, "extractor": "in_domain", "digest": "one"}


def evidence(protocol=PROTOCOL, **scores):
    return Evidence(protocol, {name: mean(np.array(values), "test") for name, values in scores.items()})


def values(seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, 300)


def words(a, b):
    return {verdict.score: verdict.word for verdict in compare(a, b)}


def test_less_loss_is_better_and_less_similarity_is_worse():
    x = values()
    less = x - 0.2
    assert words(evidence(reconstruction_loss=x, ssim=x), evidence(reconstruction_loss=less, ssim=less)) == {
        "reconstruction_loss": "better",
        "ssim": "worse",
    }


def test_a_difference_that_chance_may_make_is_undecided():
    (verdict,) = compare(evidence(ssim=values(0)), evidence(ssim=values(1)))
    assert verdict.word == "undecided"
    assert verdict.low < 0 < verdict.high
    assert 0.025 < verdict.probability < 0.975


def test_a_model_against_itself_is_undecided_at_even_odds():
    (verdict,) = compare(evidence(ssim=values()), evidence(ssim=values()))
    assert (verdict.word, verdict.difference, verdict.probability) == ("undecided", 0, 0.5)


def test_turning_the_comparison_round_turns_the_verdict_round():
    a, b = evidence(ssim=values()), evidence(ssim=values() + 0.01)
    (there,), (back,) = compare(a, b), compare(b, a)
    assert (there.word, back.word) == ("better", "worse")
    assert there.difference == pytest.approx(-back.difference)
    assert there.probability == pytest.approx(1 - back.probability)


def test_scores_without_a_better_and_those_that_only_one_has_get_no_verdict():
    a, b = evidence(kl=values(), ssim=values(), elbo=values()), evidence(kl=values(), ssim=values(), psnr=values())
    assert words(a, b) == {"ssim": "undecided"}


def test_scores_of_different_protocols_are_refused_with_what_differs():
    other = PROTOCOL | {"samples": 200, "digest": "two"}
    with pytest.raises(ArtifactError, match=r"samples is 100 and 200") as error:
        compare(evidence(ssim=values()), evidence(other, ssim=values()))
    assert "digest" not in str(error.value)


def test_two_equal_models_are_rarely_distinguished():
    distinguished = 0
    for seed in range(300):
        hard = values(seed)
        a, b = (evidence(ssim=hard + values(seed + 1000 * side)) for side in (1, 2))
        distinguished += words(a, b)["ssim"] != "undecided"
    assert distinguished / 300 <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5


def test_scores_of_the_same_items_are_compared_item_by_item():
    hard = 100 * values()
    assert words(evidence(ssim=hard), evidence(ssim=hard + 0.1 + 0.1 * values(1))) == {"ssim": "better"}


def test_a_score_that_is_not_over_items_is_decided_by_its_value():
    one, other = (Evidence(PROTOCOL, {"precision": Estimate(value)}) for value in (0.5, 0.6))
    assert words(one, other) == {"precision": "better"}


def test_params_that_differ_are_listed_and_others_are_not():
    assert differences({"a": 1, "b": 2, "c": 3}, {"a": "1", "b": 5, "d": 0}) == [
        ("b", "2", "5"),
        ("c", "3", ""),
        ("d", "", "0"),
    ]
