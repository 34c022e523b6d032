"""Bodies of requests, passed to MLflow's function that answers them; test_http.py sends them over HTTP."""

import io
import json
import logging

import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from served import as_pyfunc

from pipeline.serving import requests
from pipeline.serving.sampler import MOST

WIDTH = 4
"""Dimensions of the model's latents."""


@pytest.fixture(scope="module")
def pyfunc(toy, tmp_path_factory):
    return as_pyfunc(tmp_path_factory.mktemp("served"), toy, "vae")[1]


def asked(pyfunc, data, kind="application/json"):
    return scoring_server.invocations(data, kind, pyfunc, pyfunc.metadata.get_input_schema())


def refused(pyfunc, data, kind="application/json"):
    with pytest.raises(MlflowException) as caught:
        asked(pyfunc, data, kind)
    assert caught.value.get_http_status_code() == 400
    answer = json.loads(caught.value.serialize_as_json())
    assert "stack_trace" not in answer
    assert "\n" not in answer["message"]
    assert len(answer["message"]) <= requests.LONGEST + 3
    return answer["message"]


def parquet():
    file = io.BytesIO()
    pd.DataFrame({"a": [1.0]}).to_parquet(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"inputs": [], "params": {"n": 2}}', "application/json"),
        (b'{"inputs": []}', "application/json; charset=utf-8"),
        (json.dumps({"inputs": [[-0.123456789012345678] * WIDTH] * MOST}, indent=8).encode(), "application/json"),
        (json.dumps({"dataframe_records": [dict.fromkeys("abcd", 0.1)] * MOST}).encode(), "application/json"),
        (b"a,b,c,d\r\n" + b"-0.12345678901234567,1,2,3\r\n" * MOST, "text/csv"),
    ],
)
def test_what_a_model_takes_is_answered(pyfunc, data, kind):
    assert asked(pyfunc, data, kind).status == 200


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"inputs": [[' + b"1" * 5000 + b"]]}", "number out of range"),
        (b'{"inputs": [], "params": {"seed": ' + b"1" * 5000 + b"}}", "number out of range"),
        (b'{"inputs": [[' + b"1" * 4000 + b"]]}", "not all numbers"),
        (b'{"inputs": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "recursion limit"),
        (b'{"inputs": ' + b"[" * 900 + b"]" * 900 + b"}", "recursion limit"),
        (b'{"inputs": ' + b"[" * 80 + b"]" * 80 + b"}", "number of dimension"),
        (b'{"inputs": [], "params": ' + b'{"n": ' * 10_000 + b"1" + b"}" * 10_000 + b"}", "recursion limit"),
        (b'{"inputs": []}' + b" " * (1 << 20), "it may have 131072"),
        (b'{"inputs": [["\xff"]]}', "valid JSON"),
        (b"\xff\xfe{\x00}\x00", "valid JSON"),
        (b"", "valid JSON"),
        (b'{"inputs": ["' + b"x" * 100_000 + b'"]}', "not all numbers"),
        (b'{"inputs": [], "params": {"format": "' + b"x" * 100_000 + b'"}}', "it must be array or png"),
        (
            json.dumps({"inputs": [], "params": dict.fromkeys(map(str, range(9000)), 1)}).encode(),
            "params may be n, seed",
        ),
        (json.dumps({"dataframe_records": [{str(i): 1} for i in range(9000)]}).encode(), "9000 rows"),
        (json.dumps({"dataframe_records": [dict.fromkeys(map(str, range(9000)), 1)]}).encode(), "9000 columns"),
        (json.dumps({"dataframe_split": {"columns": [{}], "data": [[1]]}}).encode(), "not a table"),
        (json.dumps({"dataframe_records": 5}).encode(), ""),
        (b"5", ""),
        (b"[]", ""),
    ],
)
def test_json_that_cannot_be_read_in_a_moment_is_refused_in_a_short_line(pyfunc, data, said):
    assert said in refused(pyfunc, data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a" + b",a" * 50_000, "50001 columns"),
        (b"a\n1" + b",1" * 50_000, "50001 columns"),
        (b"a\r1" + b",1" * 50_000, "50001 columns"),
        (b'"a\n1', ""),
        (b"", ""),
        (b"\n" * 100_000, ""),
        (b"\xff", "UTF-8"),
    ],
)
def test_csv_that_is_no_table_of_latents_is_refused_in_a_short_line(pyfunc, data, said):
    assert said in refused(pyfunc, data, "text/csv")


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/vnd.apache.parquet"])
def test_other_kinds_of_bodies_are_refused_with_those_there_are(pyfunc, kind):
    assert refused(pyfunc, parquet(), kind).endswith("it must be application/json or text/csv")


def test_what_fails_within_the_model_is_logged_where_it_is_served(pyfunc, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(pyfunc._model_impl, "_drawn", broken)
    with caplog.at_level(logging.WARNING):
        refused(pyfunc, b'{"inputs": []}')
    assert "ZeroDivisionError" in caplog.text


def test_the_newest_model_of_a_process_sets_the_limits_of_requests(pyfunc):
    before = scoring_server.invocations
    requests.check(1, 2)
    assert scoring_server.invocations.answer is before.answer
    assert (scoring_server.invocations.rows, scoring_server.invocations.width) == (1, 2)
    requests.check(before.rows, before.width)
