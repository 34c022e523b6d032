import csv
from dataclasses import replace

import pytest
from described import PROTOCOL
from PIL import Image

from pipeline.evaluation import report
from pipeline.system import disk
from pipeline.tracking import Scored

SCORES = {
    "fid_in_domain": 4.0,
    "fid_in_domain_low": 3.0,
    "fid_in_domain_high": 5.0,
    "fid_in_domain_floor": 0.9,
    "kl": 7,
}
CHAMPION = Scored("clothes", "3", "def", "p", {"fid_in_domain": 6.5, "fid_in_domain_low": 6, "fid_in_domain_high": 7})
LINEAGE = {"family": "vae", "params": {"vae": {"beta": 1.5}}, "model_digest": "abc"}


@pytest.fixture
def folder(tmp_path):
    for name in report.PICTURES:
        Image.new("RGB", (8, 8), "blue").save(tmp_path / f"{name}.png")
    disk.write_json(tmp_path / "protocol.json", PROTOCOL | {"split": "test"})
    table(tmp_path / "classes.csv", ["class", "samples", "test"], ["Coat", "0.25", "0.5"], ["Bag", "0.75", "0.5"])
    table(tmp_path / "curves/val/elbo.csv", ["epoch", "value"], ["1", "-90"], ["2", "-80.5"])
    return tmp_path


def table(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def written(folder, scores=SCORES, champion=None, read=None, baselines=None):
    report.write(folder, scores, read or {}, baselines or {}, LINEAGE, folder / "curves", champion)
    return (folder / "report.html").read_text()


def test_the_page_shows_scores_classes_curves_protocol_and_lineage(folder):
    text = written(folder)
    for part in (
        "fid_in_domain",
        "3 to 5",
        "Coat",
        "25.0%",
        "val/elbo: -90 to -80.5",
        "2000",
        "params.vae.beta",
        "1.5",
    ):
        assert part in text
    assert text.count("data:image/png;base64,") == len(report.PICTURES)
    assert "http" not in text


def test_bounds_and_floors_are_drawn_and_get_no_row_of_their_own(folder):
    text = written(folder)
    assert "fid_in_domain_low" not in text
    assert "fid_in_domain_floor" not in text
    assert text.count('<path class="tick"') == 1
    assert text.count("<circle") == 1


def test_the_champion_is_drawn_beside_the_model(folder):
    text = written(folder, champion=CHAMPION)
    assert "the champion was version 3 of clothes" in text
    assert ">6.5</td>" in text
    assert text.count('<g class="other">') == 1


@pytest.mark.parametrize(
    ("champion", "said"),
    [
        (None, "No champion was known"),
        (replace(CHAMPION, protocol_digest="q"), "version 3 of clothes. It was scored by another protocol"),
        (replace(CHAMPION, model_digest="abc"), "it was the champion: version 3 of clothes"),
    ],
    ids=["none", "of another protocol", "the model itself"],
)
def test_a_champion_that_is_not_comparable_is_named_and_not_drawn(folder, champion, said):
    text = written(folder, champion=champion)
    assert said in text
    assert '<g class="other">' not in text
    assert ">champion</th>" not in text


def test_data_without_classes_have_no_table_of_classes(folder):
    table(folder / "classes.csv", ["class", "samples", "test"])
    assert "Classes" not in written(folder)


def test_a_curve_of_one_epoch_and_a_score_that_never_varies_are_drawn(folder):
    table(folder / "curves/val/elbo.csv", ["epoch", "value"], ["1", "-90"])
    assert "val/elbo: -90 to -90" in written(folder, {"a": 0.0, "a_low": 0.0, "a_high": 0.0})


def test_scores_of_real_items_and_of_baselines_stand_beside_those_of_the_model(folder):
    text = written(folder, baselines={"unigram": {"fid_in_domain": 55.25}, "bigram": {}})
    assert '<td data-head="real items">0.9</td>' in text
    assert '<td data-head="unigram">55.25</td>' in text
    assert "<th>bigram</th>" in text


def test_text_or_audio_replaces_its_picture(folder):
    text = written(folder, read={"samples": "<audio></audio>"})
    assert "<audio></audio>" in text
    assert report.PICTURES["samples"][1] in text
    assert text.count("data:image/png;base64,") == len(report.PICTURES) - 1
