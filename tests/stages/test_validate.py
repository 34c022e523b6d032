import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.stages import validate
from pipeline.system.errors import ParamsError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def gate(tmp_path, monkeypatch):
    """Return a function that validates the shipped params with another gate."""
    shutil.copyfile(ROOT / "dvc.yaml", tmp_path / "dvc.yaml")
    monkeypatch.chdir(tmp_path)

    def run(**rules):
        params = yaml.safe_load((ROOT / "params.yaml").read_text())
        params["gate"] |= rules
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        validate.main()

    return run


@pytest.mark.parametrize(
    "rules",
    [
        {"decides": ["fid_in_domian"]},
        {"decides": ["fid_in_domain", "kl"]},
        {"must_not_fall": ["recal"]},
        {"must_not_fall": ["kl"]},
        {"at_most": {"memorization": 0.1}},
        {"at_least": {"": 0.1}},
        {"at_least": {"x" * 5000: 0.1}},
        {"at_least": {"a\nb": 0.1}},
    ],
)
def test_a_gate_with_an_unknown_score_is_one_line_that_names_the_known_ones(gate, rules):
    with pytest.raises(ParamsError) as caught:
        gate(**rules)
    assert f"gate.{next(iter(rules))} names" in str(caught.value)
    assert "fid_in_domain, " in str(caught.value)
    assert len(str(caught.value)) < 1500
    assert "\n" not in str(caught.value)


def test_a_gate_may_set_limits_on_scores_without_a_better_direction(gate, tmp_path):
    gate(at_least={"active_units": 2, "recall": 0.1})
    assert (tmp_path / "reports/validate/code/train.json").is_file()
