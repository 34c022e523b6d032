import numpy as np
import pytest

from pipeline.errors import ArtefactError
from pipeline.evidence import Evidence
from pipeline.metrics.estimates import Estimate, mean


def written(folder):
    estimates = {"ssim": mean(np.arange(5.0), "test"), "fid": Estimate(3.5), "both": Estimate(1.0, {"a": np.ones(2)})}
    evidence = Evidence({"split": "test", "seed": 0}, estimates)
    evidence.write(folder)
    return evidence


def test_what_is_read_is_what_was_written(tmp_path):
    evidence = written(tmp_path)
    again = Evidence.read(tmp_path)
    assert again.protocol == evidence.protocol
    assert again.estimates.keys() == evidence.estimates.keys()
    for name, estimate in evidence.estimates.items():
        assert again.estimates[name].value == estimate.value
        assert again.estimates[name].parts.keys() == estimate.parts.keys()
        for population, part in estimate.parts.items():
            np.testing.assert_array_equal(again.estimates[name].parts[population], part)


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"no arrays")])
def test_influences_that_are_missing_or_damaged_are_one_line(tmp_path, damage):
    written(tmp_path)
    damage(tmp_path / "influences.safetensors")
    with pytest.raises(ArtefactError, match=r"influences\.safetensors: cannot be read .*dvc repro"):
        Evidence.read(tmp_path)


def test_the_bytes_depend_on_the_content_alone(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        written(tmp_path / name)
    assert (tmp_path / "a/influences.safetensors").read_bytes() == (tmp_path / "b/influences.safetensors").read_bytes()
