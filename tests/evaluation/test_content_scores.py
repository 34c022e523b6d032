import numpy as np
import pytest

from pipeline.evaluation.content_scores import Real
from pipeline.system.errors import ArtifactError


@pytest.fixture
def real(words):
    return Real.measure(words.content, words.items(50), words.items(60, seed=1), seed=0)


def test_a_saved_reference_gives_the_same_scores(words, real, tmp_path):
    real.write(tmp_path)
    samples = words.items(40, seed=2)
    first, again = (each.score(words.content, samples, words.items(3)) for each in (real, Real.read(tmp_path)))
    assert first.keys() == again.keys() >= {"gram_distance", "gram_distance_floor", "distinct_1", "longest_copy"}
    for name in first:
        assert first[name].value == again[name].value
        for population, part in first[name].parts.items():
            np.testing.assert_array_equal(part, again[name].parts[population])


def test_real_items_are_nearer_to_test_than_other_texts(words, real):
    strange = np.full((40, 16), ord("z"), np.uint8)
    scores = real.score(words.content, strange, words.items(3))
    assert scores["gram_distance"].value == pytest.approx(1)
    assert scores["gram_distance_floor"].value < scores["gram_distance"].value - 0.02


def test_a_model_of_empty_texts_has_the_largest_distance(words, real):
    scores = real.score(words.content, np.zeros((40, 16), np.uint8), words.items(3))
    assert scores["gram_distance"].value == 1
    assert all(np.isfinite(each.value) for each in scores.values())


def test_a_content_without_scores_of_its_own_has_none(toy, tmp_path):
    found = Real.measure(toy.content, toy.items(5), toy.items(5, seed=1), seed=0)
    found.write(tmp_path)
    assert Real.read(tmp_path).score(toy.content, toy.items(5), toy.items(5)) == {}


def test_a_corrupt_file_is_refused(real, tmp_path):
    real.write(tmp_path)
    path = tmp_path / "own.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ArtifactError, match="own"):
        Real.read(tmp_path)


def test_scores_use_as_many_samples_as_real_items(words, real):
    few, many = (real.score(words.content, words.items(n, seed=3), words.items(3)) for n in (50, 400))
    assert few["distinct_1"].value == many["distinct_1"].value
    assert len(many["gram_distance"].parts["samples"]) == 50
