"""Both families as pyfuncs; test_http.py tests them over HTTP."""

import base64
import io
import logging

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from PIL import Image
from served import as_pyfunc

from pipeline.models.families import FAMILIES
from pipeline.models.families.base import CHUNK
from pipeline.serving.sampler import MOST
from pipeline.system.rng import torch_rng


@pytest.fixture(scope="module", params=FAMILIES)
def served(request, toy, tmp_path_factory):
    """A model, and the same model as MLflow loads it."""
    return as_pyfunc(tmp_path_factory.mktemp(request.param), toy, request.param)


def drawn(model, n, seed):
    return model.content.decode(model.sample(n, seed))


def latents(model, n, seed):
    return model.family.latents(CHUNK, torch_rng(seed, "sample", 0))[:n].numpy()


def refused(pyfunc, rows=None, **params):
    with pytest.raises(MlflowException) as caught:
        pyfunc.predict([] if rows is None else rows, params=params)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    return caught.value.message


@pytest.mark.parametrize("nothing", [None, [], {}, np.empty((0, 4)), pd.DataFrame()])
def test_without_latents_samples_of_the_seed_are_drawn(served, nothing):
    model, pyfunc = served
    found = pyfunc.predict(nothing, params={"n": 3, "seed": 5})
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, drawn(model, 3, 5))


def test_a_request_that_asks_for_nothing_gets_the_first_sample_of_seed_0(served):
    model, pyfunc = served
    np.testing.assert_array_equal(pyfunc.predict([]), drawn(model, 1, 0))


def test_files_of_png_hold_the_pixels_of_the_array(served):
    model, pyfunc = served
    found = [
        Image.open(io.BytesIO(base64.b64decode(each))) for each in pyfunc.predict([], params={"n": 3, "format": "png"})
    ]
    assert [each.format for each in found] == ["PNG"] * 3
    np.testing.assert_array_equal([np.asarray(each)[..., None] for each in found], drawn(model, 3, 0))


@pytest.mark.parametrize("kind", [list, np.asarray, pd.DataFrame, lambda z: z.tolist()])
def test_latents_are_decoded_in_their_order(served, kind):
    model, pyfunc = served
    z = latents(model, 4, 7)[::-1]
    np.testing.assert_array_equal(pyfunc.predict(kind(z)), drawn(model, 4, 7)[::-1])


@pytest.mark.parametrize("n", [0, -1, MOST + 1, None])
def test_a_number_of_samples_out_of_its_bounds_is_refused(served, n):
    assert f"n is {n}; it must be a whole number from 1 to {MOST}" in refused(served[1], n=n)


def test_as_many_samples_as_are_allowed_are_drawn(served):
    assert len(served[1].predict([], params={"n": MOST})) == MOST


@pytest.mark.parametrize("seed", [-1, None, 2**63, 2**64])
def test_a_seed_that_is_none_is_refused(served, seed):
    assert f"seed is {seed}; it must be a whole number from 0 to {2**63 - 1}" in refused(served[1], seed=seed)


def test_a_seed_of_thousands_of_digits_is_refused_in_a_short_line(served):
    assert len(refused(served[1], seed=10**4000)) < 200


def test_the_largest_seed_is_one(served):
    model, pyfunc = served
    found = pyfunc.predict([], params={"n": 1, "seed": 2**63 - 1})
    np.testing.assert_array_equal(found, drawn(model, 1, 2**63 - 1))


def test_an_unknown_format_is_refused_with_those_there_are(served):
    assert "format is 'gif'; it must be array or png" in refused(served[1], format="gif")


def test_an_unknown_param_is_refused_with_those_there_are(served):
    assert "params ['sed']; params may be n, seed, format" in refused(served[1], sed=1)


def test_unknown_params_of_other_models_are_left_to_mlflow(served):
    said = "Unrecognized params ['a'] are ignored for inference. Supported params are: {'temperature', 'n'}."
    logger = logging.getLogger("mlflow.models.utils")
    assert logger.filters
    assert logger.filter(logging.makeLogRecord({"msg": said}))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1.0, 2.0]], "shape (1, 2); latents of this model must be (n, 4)"),
        ([1.0, 2.0, 3.0, 4.0], "shape (4,)"),
        ([[]], "shape (1, 0)"),
        (5, "shape ()"),
        (np.zeros((MOST + 1, 4)), f"with n from 1 to {MOST}"),
        (np.zeros((2, 2, 4)), "shape (2, 2, 4)"),
        ([["1", "2", "3", "4"]], "not all numbers"),
        ([[1.0, None, 3.0, 4.0]], "not all numbers"),
        ([[True] * 4], "not all numbers"),
        ([[1.0, float("nan"), 3.0, 4.0]], "not finite"),
        ([[1.0, float("inf"), 3.0, 4.0]], "not finite"),
        ([[1.0, 1e300, 3.0, 4.0]], "not finite"),
        ([[1e30] * 4], "not finite"),
        ({"n": [4], "seed": [0]}, "have the fields n, seed"),
        (pd.DataFrame({"n": [4], "seed": [0]}), "shape (1, 2)"),
    ],
)
def test_latents_that_are_none_are_refused(served, rows, said):
    assert said in refused(served[1], rows)
