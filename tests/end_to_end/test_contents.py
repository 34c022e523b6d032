"""The whole pipeline on each kind of data, with tiny params."""

import base64
import re

import numpy as np
import pytest
from answering import answering, ask
from browser import SCROLLING, Visit, chromium
from workspace import ENV, ROOT, attempt, client, digests, do, edit, own_copy, ran, read

from pipeline.evaluation.metrics.direction import HIGHER_IS_BETTER, LOWER_IS_BETTER, NO_DIRECTION

TINY = {
    "evaluate.samples": 100,
    "evaluate.reconstructions": 16,
    "train.batch_size": 50,
    "vae.width": 8,
    "gan.width": 16,
}
CONTENTS = {
    "audio": {"prepare.source": "instruments", "audio.mels": 16, "audio.seconds": 0.25},
    "text": {"prepare.source": "python-topics", "text.length": 32, "text.most": 800},
    "code": {
        "prepare.source": str(ROOT / "pipeline"),
        "code.length": 32,
        "code.most": 800,
        "code.vocabulary": "bpe",
        "code.vocabulary_size": 400,
    },
}
LATENT = 8
OWN = {"audio": "centroid_distance", "text": "gram_distance", "code": "parses"}
BASELINE = {"audio": "class_mean", "text": "unigram", "code": "5-gram"}
SUFFIX = {"audio": ".wav", "text": ".txt", "code": ".py"}


@pytest.fixture(scope="module", params=CONTENTS)
def content(request):
    return request.param


@pytest.fixture(scope="module")
def place(fresh, store, content, tmp_path_factory):
    """A workspace in which a VAE of a content was trained; a test trains a GAN there too."""
    copy = own_copy(fresh, store, tmp_path_factory.mktemp(content))
    edit(copy, {"content": content, **CONTENTS[content], **TINY})
    do(copy, "git", "add", ".")
    do(copy, "git", "commit", "--quiet", "--message", content)
    assert ran(do(copy, "dvc", "repro")) == ["validate", "prepare", "features", "train", "evaluate", "register"]
    return copy


@pytest.mark.slow
def test_a_model_of_each_content_is_scored_by_its_own_scores_beside_baselines(place, content):
    scores = read(place / "reports/evaluate/scores.json")
    assert {"frechet_in_domain", "frechet_in_domain_floor", "memorisation", "reconstruction_loss"} <= scores.keys()
    assert {OWN[content], f"{OWN[content]}_floor"} <= scores.keys()
    assert ("bits_per_byte" if content != "audio" else "bits_per_dim") in scores
    assert not any(name.startswith("fid") for name in scores)
    (version,) = client(place).search_model_versions()
    assert "--out samples\n" in version.description
    assert {
        re.sub("_(low|high|floor)$", "", name) for name in scores
    } <= LOWER_IS_BETTER | HIGHER_IS_BETTER | NO_DIRECTION
    baselines = read(place / "features/baselines.json")
    assert {"frechet_in_domain", OWN[content]} <= baselines[BASELINE[content]].keys() <= scores.keys()
    assert f'<td data-head="{BASELINE[content]}">' in (place / "reports/evaluate/report.html").read_text()


@pytest.mark.slow
def test_the_page_of_each_content_is_no_wider_than_1200_pixels(place):
    with chromium() as browser:
        page = Visit(browser, 1200, 900).page
        page.goto((place / "reports/evaluate/report.html").as_uri())
        assert page.locator(".wide").count() >= 3
        assert page.evaluate(SCROLLING) == []


@pytest.mark.slow
def test_samples_are_written_as_files_of_the_contents_kind(place, content):
    shown = list((place / "reports/evaluate/gallery").iterdir())
    assert len(shown) == 16
    assert {path.suffix for path in shown} == {SUFFIX[content]}
    do(place, "pipeline", "sample", "model", "-n", "3", "--out", "drawn")
    assert sorted(path.name for path in (place / "drawn").iterdir()) == [
        f"sample-{i}{SUFFIX[content]}" for i in range(3)
    ]
    do(place, "pipeline", "sample", "model", "-n", "3", "--out", "drawn.png")
    assert (place / "drawn.png").stat().st_size > 500


@pytest.mark.slow
def test_the_version_of_each_content_answers_in_its_own_form(place, content):
    version = read(place / "reports/register/version.json")
    env = ENV | {"MLFLOW_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}"}
    with answering(place, f"models:/{version['name']}/{version['version']}", env) as url:
        status, answer = ask(url, {"inputs": [], "params": {"n": 2, "seed": 1}})
        assert status == 200, answer
        again = ask(url, {"inputs": [], "params": {"n": 2, "seed": 1}})
        one = ask(url, {"inputs": np.zeros((1, LATENT)).tolist()})
    assert again == (200, answer)
    for each in [*answer, *one[1]]:
        assert base64.b64decode(each).startswith(b"RIFF") if content == "audio" else isinstance(each, str)
    assert len(answer) == 2
    assert (one[0], len(one[1])) == (200, 1)


@pytest.mark.slow
def test_tokens_of_a_learnt_vocabulary_are_stored_in_two_bytes(place, content):
    data = np.load(place / "data/prepared/train.npy", mmap_mode="r")
    assert data.dtype == (np.uint16 if content == "code" else np.uint8)
    assert data.max() >= 256 or content != "code"


@pytest.mark.slow
def test_the_other_family_learns_the_same_content_without_preparing_it_again(place):
    stages = ran(do(place, "dvc", "exp", "run", "-S", "family=gan"))
    assert stages == ["validate", "train", "evaluate", "register"]
    assert read(place / "model/model.json")["family"] == "gan"
    name = read(place / "reports/register/version.json")["name"]
    assert len(client(place).search_model_versions(f"name='{name}'")) == 2


@pytest.mark.slow
def test_a_promotion_is_decided_by_the_scores_that_the_content_has(place):
    done = attempt(place, "pipeline", "promote")
    assert done.returncode in (0, 4), done.stderr
    assert "was not evaluated" not in done.stdout + done.stderr


@pytest.mark.slow
def test_the_same_params_prepare_the_same_bytes(place, content):
    before = digests(place, "data/prepared")
    assert ran(do(place, "dvc", "repro", "-s", "-f", "prepare")) == ["prepare"]
    assert digests(place, "data/prepared") == before
