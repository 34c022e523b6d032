import numpy as np
import pytest

from pipeline.evaluation import content_scores
from pipeline.evaluation.content_scores import Real
from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.metrics.estimates import Estimate, mean
from pipeline.evaluation.reference import Reference
from pipeline.system import sealed
from pipeline.system.errors import ArtifactError


def written(folder):
    estimates = {"ssim": mean(np.arange(5.0), "test"), "fid": Estimate(3.5), "both": Estimate(1.0, {"a": np.ones(2)})}
    evidence = Evidence({"split": "test", "seed": 0}, estimates)
    evidence.write(folder)
    return evidence


def test_evidence_is_read_as_written(tmp_path):
    evidence = written(tmp_path)
    again = Evidence.read(tmp_path)
    assert again.protocol == evidence.protocol
    assert again.estimates.keys() == evidence.estimates.keys()
    for name, estimate in evidence.estimates.items():
        assert again.estimates[name].value == estimate.value
        assert again.estimates[name].parts.keys() == estimate.parts.keys()
        for population, part in estimate.parts.items():
            np.testing.assert_array_equal(again.estimates[name].parts[population], part)


@pytest.mark.parametrize("corruption", [lambda path: path.unlink(), lambda path: path.write_bytes(b"no arrays")])
def test_influences_that_are_missing_or_corrupt_are_one_line(tmp_path, corruption):
    written(tmp_path)
    corruption(tmp_path / "influences.safetensors")
    with pytest.raises(ArtifactError, match=r"influences\.safetensors: cannot be read .*dvc repro"):
        Evidence.read(tmp_path)


def test_the_bytes_depend_on_the_content_alone(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        written(tmp_path / name)
    assert (tmp_path / "a/influences.safetensors").read_bytes() == (tmp_path / "b/influences.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("arrays", "about"),
    [
        ({}, {}),
        ({}, []),
        ({}, {"protocol": {}, "scores": {}}),
        ({}, {"protocol": {"seed": "x"}, "scores": {}}),
        ({}, {"protocol": {"seed": 0}, "scores": {"fid": []}}),
        ({"fid/test": np.ones(2)}, {"protocol": {"seed": 0}, "scores": {}}),
    ],
)
def test_influences_with_other_contents_are_one_line(tmp_path, arrays, about):
    sealed.write(tmp_path / "influences.safetensors", arrays, about)
    with pytest.raises(ArtifactError, match=r"influences\.safetensors: cannot be read .*dvc repro"):
        Evidence.read(tmp_path)


@pytest.mark.parametrize(
    ("arrays", "about"),
    [
        ({}, {}),
        ({}, "x"),
        ({}, {"floors": {"a": None}, "bins": {}, "items": 1}),
        ({}, {"floors": {}, "bins": {"gram": 4}, "items": 1}),
        ({f"gram/{part}": np.arange(3) for part in ("data", "indices", "indptr")}, {"bins": {"gram": 4}}),
        (
            {f"gram/{part}": np.ones((2, 2)) for part in ("data", "indices", "indptr")},
            {"floors": {}, "bins": {"gram": 4}, "items": 1},
        ),
    ],
)
def test_invalid_histograms_of_real_items_are_one_line(tmp_path, arrays, about):
    sealed.write(tmp_path / content_scores.FILE, arrays, about)
    with pytest.raises(ArtifactError, match=r"own\.safetensors: cannot be read .*dvc repro"):
        Real.read(tmp_path)


def test_features_under_other_names_are_one_line(tmp_path):
    sealed.write(tmp_path / "reference.safetensors", {"other": np.ones(2)})
    with pytest.raises(ArtifactError, match=r"reference\.safetensors: cannot be read .*dvc repro"):
        Reference.read(tmp_path)
