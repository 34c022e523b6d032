"""The pages that a person sees in a browser: the report of an evaluation, and runs and versions in MLflow."""

import os
import signal
import socket
import subprocess

import pytest
from browser import SCROLLING, Visit, chromium
from waiting import answers, wait_for
from workspace import ENV, NAME, client, do, edit, own_copy, runs

from pipeline.tracking.ui import VIEW

pytestmark = pytest.mark.slow

UNREADABLE = """() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(each => each / 255)
      .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = light(getComputedStyle(document.body).backgroundColor);
  const contrast = element => {
    const [low, high] = [light(getComputedStyle(element).color), behind].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const hasText = element => [...element.childNodes].some(each => each.nodeType === 3 && each.textContent.trim());
  const found = [...document.body.querySelectorAll("*")].filter(hasText);
  if (found.length < 50) throw new Error("there is no text");
  return found.filter(each => contrast(each) < 4.5).map(each => each.outerHTML);
}"""
"""The elements whose text has less contrast than WCAG 2.2 requires (1.4.3, AA)."""


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def seen(vae, store, tmp_path_factory):
    """A workspace with two runs, the first one champion and the second one challenger."""
    copy = own_copy(vae, store, tmp_path_factory.mktemp("seen"))
    edit(copy, {"train.epochs": 2})
    do(copy, "dvc", "repro")
    do(copy, "pipeline", "promote")
    edit(copy, {"vae.latent_dim": 4})
    do(copy, "dvc", "repro")
    return copy


@pytest.fixture(scope="module")
def server(seen):
    """The address of MLflow's UI on that workspace."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["mlflow", "ui", "--backend-store-uri", f"sqlite:///{seen / 'mlflow.db'}", "--port", str(port)]
    process = subprocess.Popen(
        [*words, "--workers", "1"],
        cwd=seen,
        env=ENV | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"

    try:
        wait_for(lambda: answers(f"{address}/health"), 180, process, pause=0.5)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.fixture
def visit(browser, server):
    """A visit to MLflow's UI; the console must have no errors about the data of this pipeline.

    Errors of MLflow's own scripts, of its database of users, which this server does not have, and of blocked addresses
    are ignored.
    """
    found = Visit(browser)
    found.page.set_default_timeout(60_000)
    yield found
    others = (f"{server}/static-files/", f"{server}/ajax-api/2.0/mlflow/users/")
    here = [each for each in found.errors if each[0].startswith(server)]
    assert [each for each in here if not each[0].startswith(others)] == []
    found.page.close()


def shown(visit, *texts):
    for text in texts:
        visit.page.get_by_text(text, exact=True).first.wait_for()


def picture(visit, name):
    """Wait for a picture among the artifacts of a page, and return it."""
    found = visit.page.locator(f"img[src*='/{name}.png']").first
    found.wait_for()
    assert found.evaluate("each => each.decode().then(() => each.naturalWidth)") > 0
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
def test_the_page_of_an_evaluation_can_be_read_on_any_screen_and_requests_nothing(browser, seen, width, scheme):
    visit = Visit(browser, width, 900, scheme)
    page, address = visit.page, (seen / "reports/evaluate/report.html").as_uri()
    page.goto(address)
    assert {each for each in visit.requested if not each.startswith("data:")} == {address}
    assert visit.errors == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(SCROLLING) == []
    pictures = page.evaluate("[...document.images].map(each => [each.alt, each.naturalWidth])")
    assert len(pictures) == 5
    assert all(alt and loaded > 0 for alt, loaded in pictures)
    assert page.evaluate(UNREADABLE) == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    levels = [int(each) for each in background.removeprefix("rgb(").removesuffix(")").split(", ")]
    assert max(levels) < 64 if scheme == "dark" else min(levels) > 192
    assert page.locator(".other").count() > 1
    shown(visit, "the champion")
    page.close()


def test_runs_are_ticked_and_compared_by_their_scores_with_the_bounds_of_each(visit, server, seen):
    visit.page.goto(f"{server}/#/experiments/{runs(seen)[0].info.experiment_id}/runs{VIEW}")
    visit.page.get_by_text("2 matching runs").wait_for()
    shown(visit, "Model registry", "vae.latent_dim=4")  # columns of the view for trained models
    assert visit.page.get_by_text("Prompts", exact=True).count() == 0
    visit.page.get_by_label("Select all runs").check(force=True)
    visit.page.get_by_role("button", name="Compare").click()
    visit.page.get_by_text("Comparing 2 Runs").wait_for()
    shown(visit, "vae.latent_dim")
    for name in ("class_distance", "density", "fid_in_domain", "fid_in_domain_floor", "fid_in_domain_low"):
        visit.page.get_by_text(name, exact=True).last.scroll_into_view_if_needed()  # draws the rows below it


def test_pictures_of_a_run_follow_a_slider_over_epochs(visit, server, seen):
    run = runs(seen)[0].info
    visit.page.goto(f"{server}/#/experiments/{run.experiment_id}/runs/{run.run_id}/model-metrics")
    shown(visit, "pictures/samples", "pictures/reconstructions")
    sliders, images = visit.page.get_by_role("slider"), visit.page.locator("img[src*='pictures~']")
    images.nth(1).wait_for()
    assert sliders.count() == 2
    assert (sliders.first.get_attribute("aria-valuenow"), sliders.first.get_attribute("aria-valuemax")) == ("0", "2")
    sliders.first.press("ArrowRight")
    visit.page.locator("img[src*='reconstructions%2Bstep%2B1%2B']").wait_for()
    assert all(image.evaluate("each => each.naturalWidth") > 0 for image in images.all())


def test_a_version_shows_its_description_scores_and_aliases(visit, server, seen):
    visit.page.goto(f"{server}/#/models/{NAME}/versions/1")
    version = client(seen).get_model_version(NAME, "1")
    assert version.aliases == ["champion"]
    headings = [line.strip("# ") for line in version.description.splitlines() if line.startswith("#")]
    shown(visit, *headings, *version.tags, version.tags["fid_in_domain_low"], version.tags["model_digest"])
    visit.page.get_by_text("champion").first.wait_for()
    assert picture(visit, "samples").bounding_box()["y"] < 500


def test_the_page_of_a_run_shows_what_its_model_makes(visit, server, seen):
    run = runs(seen)[0].info
    visit.page.goto(f"{server}/#/experiments/{run.experiment_id}/runs/{run.run_id}{VIEW}")
    picture(visit, "samples")
