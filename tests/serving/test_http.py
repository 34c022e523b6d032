"""The champion behind `mlflow models serve`, queried over HTTP by processes without access to the repository."""

import base64
import io
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from answering import answering, ask
from mlflow import MlflowClient
from PIL import Image
from registered import ENV, NAME, attempt, challenger, do

from pipeline.models import storage
from pipeline.models.families.base import CHUNK
from pipeline.serving.sampler import MOST
from pipeline.system.rng import torch_rng

pytestmark = pytest.mark.slow

# Hides the installed package, so that only the code in the registered version can be imported
HIDING = """
import sys
sys.meta_path[:] = [each for each in sys.meta_path if "editable" not in getattr(each, "__module__", "")]
"""


@pytest.fixture(scope="module")
def url(registered, tmp_path_factory):
    """The address at which the champion is served."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "sitecustomize.py").write_text(HIDING)
    shutil.copyfile(registered / "mlflow.db", folder / "mlflow.db")
    store = f"sqlite:///{folder / 'mlflow.db'}"
    MlflowClient(store, store).set_registered_model_alias(NAME, "champion", challenger(registered).version)
    env = {"PYTHONPATH": str(folder), "MLFLOW_TRACKING_URI": store}
    assert "No module named 'pipeline'" in attempt(folder, "python", "-c", "import pipeline", **env).stderr
    with answering(folder, f"models:/{NAME}@champion", ENV | env) as url:
        yield url


def images(url, rows=(), **params):
    status, found = ask(url, {"inputs": list(rows), "params": params})
    assert status == 200, found
    return found


def test_a_seed_gives_the_pixels_of_the_verb_sample(url, registered, tmp_path):
    found = np.array(images(url, n=9, seed=5), np.uint8)
    assert found.shape == (9, 28, 28, 1)
    do(registered, "pipeline", "sample", "model", "-n", "9", "--seed", "5", "--out", str(tmp_path / "grid.png"))
    picture = storage.load(registered / "model").content.show(found, columns=3)
    with Image.open(tmp_path / "grid.png") as drawn:
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(drawn))


def test_the_formats_hold_the_same_pixels(url):
    files = [Image.open(io.BytesIO(base64.b64decode(each))) for each in images(url, n=4, seed=1, format="png")]
    assert {(each.format, each.mode, each.size) for each in files} == {("PNG", "L", (28, 28))}
    np.testing.assert_array_equal([np.asarray(each)[..., None] for each in files], images(url, n=4, seed=1))


def test_a_param_that_is_not_given_has_its_default(url):
    assert ask(url, {"inputs": []}) == (200, images(url, n=1, seed=0, format="array"))
    assert images(url, n=4)[:1] == images(url)
    assert images(url, seed=1) != images(url)


@pytest.mark.parametrize("way", ["inputs", "instances", "dataframe_split", "csv"])
def test_latents_are_decoded_in_their_order(url, registered, way):
    family = storage.load(registered / "model").family
    z = family.latents(CHUNK, torch_rng(7, "sample", 0))[:3].tolist()[::-1]
    csv = "\n".join(",".join(map(str, row)) for row in [range(4), *z])
    body = {"dataframe_split": {"columns": ["a", "b", "c", "d"], "data": z}, "csv": csv}.get(way, {way: z})
    if way == "dataframe_split":
        body = {way: body}
    status, found = ask(url, body, "text/csv" if way == "csv" else "application/json")
    assert status == 200, found
    assert found == images(url, n=3, seed=7)[::-1]


def test_as_many_as_are_allowed_are_answered(url):
    assert len(images(url, n=MOST, format="png")) == MOST


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ({"inputs": [], "params": {"n": MOST + 1}}, [f"n is {MOST + 1}", f"from 1 to {MOST}"]),
        ({"inputs": [], "params": {"n": 0}}, ["n is 0", f"from 1 to {MOST}"]),
        ({"inputs": [], "params": {"n": -3}}, ["n is -3", f"from 1 to {MOST}"]),
        ({"inputs": [], "params": {"n": None}}, ["n is None", f"from 1 to {MOST}"]),
        ({"inputs": [], "params": {"n": "many"}}, ["'n': long (default: 1)", "many"]),
        ({"inputs": [], "params": {"n": 2.5}}, ["'n': long (default: 1)", "2.5"]),
        ({"inputs": [], "params": {"n": [4]}}, ["'n': long (default: 1)", "[4]"]),
        ({"inputs": [], "params": {"seed": -1}}, ["seed is -1", "from 0 to"]),
        ({"inputs": [], "params": {"seed": "x"}}, ["'seed': long (default: 0)", "x"]),
        ({"inputs": [], "params": {"format": "gif"}}, ["format is 'gif'", "array or png"]),
        ({"inputs": [], "params": {"format": 1}}, ["'format': string (default: array)"]),
        ({"inputs": [], "params": {"sed": 1, "n": 2}}, ["['sed']", "n, seed, format"]),
        ({"inputs": [], "params": [4]}, ["must be a dictionary"]),
        ({"inputs": [[1, 2]]}, ["shape (1, 2)", "(n, 4)"]),
        ({"inputs": [1, 2, 3, 4]}, ["shape (4,)", "(n, 4)"]),
        ({"inputs": [[1, 2, 3, 4]] * (MOST + 1)}, [f"from 1 to {MOST}"]),
        ({"inputs": [[1, 2, 3, 4], [1, 2]]}, ["inhomogeneous"]),
        ({"inputs": [["a", "b", "c", "d"]]}, ["not all numbers"]),
        ({"inputs": {"n": [4], "seed": [0]}}, ["fields n, seed", "rows of latents"]),
        ({"dataframe_split": {"columns": ["n", "seed"], "data": [[4, 0]]}}, ["shape (1, 2)", "(n, 4)"]),
        ('{"inputs": [[1, NaN, 3, 4]]}', ["not finite"]),
        ('{"inputs": [[1, 1e999, 3, 4]]}', ["not finite"]),
        ({"params": {"n": 4}}, ["exactly one of the input fields"]),
        ("n=4", ["valid JSON"]),
        ({"inputs": [], "params": {"seed": 2**63}}, [f"seed is {2**63}", f"from 0 to {2**63 - 1}"]),
        ('{"inputs": [[' + "1" * 5000 + "]]}", ["the body is not valid JSON", "out of range"]),
        ('{"inputs": ' + "[" * 50_000 + "]" * 50_000 + "}", ["the body is not valid JSON", "recursion limit"]),
        ('{"inputs": []}' + " " * (1 << 20), ["it may have 131072"]),
    ],
)
def test_what_cannot_be_answered_is_refused_with_what_was_wrong_and_what_is_allowed(url, body, parts):
    status, said = ask(url, body)
    assert status == 400
    for part in parts:
        assert part in said
    assert "Traceback" not in said


def test_requests_at_once_do_not_disturb_each_other(url):
    seeds = [0, 1, 2, 3] * 4
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda seed: images(url, n=3, seed=seed), seeds))
    alone = [images(url, n=3, seed=seed) for seed in range(4)]
    assert found == [alone[seed] for seed in seeds]
