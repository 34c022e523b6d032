from pathlib import Path

import pytest

from pipeline.params import Params, stale
from pipeline.system.errors import ArtifactError

PATH = Path("data/prepared")
PARAMS = Params.load(Path(__file__).parents[2])


def refused(made, params):
    with pytest.raises(ArtifactError) as caught:
        stale.refuse(PATH, made, params, "prepare")
    return str(caught.value)


@pytest.mark.parametrize("params", [PARAMS.of_data, PARAMS.of_features, PARAMS.of_model])
def test_what_the_params_made_is_taken_also_where_more_is_known_of_it(params):
    stale.refuse(PATH, params | {"more": 1}, params, "prepare")


def test_another_value_is_named_beside_that_of_the_file_with_the_stage_that_makes_it():
    made = PARAMS.of_data | {"image": {"side": 16, "channels": 1}}
    assert refused(made, PARAMS.of_data) == (
        "data/prepared was made with image.side 16, and params.yaml has 28: run `dvc repro -f prepare`"
    )


def test_a_value_that_is_not_on_record_is_refused():
    made = {name: value for name, value in PARAMS.of_data.items() if name != "seed"}
    assert "seed None, and params.yaml has 0" in refused(made, PARAMS.of_data)


def test_of_many_values_the_first_are_named():
    said = refused({}, PARAMS.of_model)
    assert said.count("params.yaml has") == stale.NAMED
    assert "; …: run" in said
