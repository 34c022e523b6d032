"""Both families as pyfuncs, for contents of tokens."""

import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from served import as_pyfunc

from pipeline.models.families import FAMILIES


@pytest.fixture(scope="module", params=FAMILIES)
def served(request, words, tmp_path_factory):
    """A model, and the same model as MLflow loads it."""
    return as_pyfunc(tmp_path_factory.mktemp(request.param), words, request.param)


def test_texts_of_a_seed_are_the_strings_that_the_model_draws(served):
    model, pyfunc = served
    found = pyfunc.predict([], params={"n": 5, "seed": 3})
    assert list(found) == list(model.content.decode(model.sample(5, 3)))
    assert all(isinstance(each, str) for each in found)


def test_texts_of_given_latents_are_the_likeliest_and_leave_nothing_to_chance(served):
    _, pyfunc = served
    z = np.zeros((4, 4), np.float32)
    assert len(set(pyfunc.predict(z))) == 1


def test_a_format_that_texts_have_not_is_refused(served):
    with pytest.raises(MlflowException, match="it must be text"):
        served[1].predict([], params={"format": "png"})


@pytest.mark.parametrize("size", [np.nan, np.inf, 3e38])
def test_latents_whose_texts_have_no_probability_are_refused(served, size):
    with pytest.raises(MlflowException, match="not finite, or so large"):
        served[1].predict(np.full((1, 4), size, np.float64))
