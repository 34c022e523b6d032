import csv

import pytest
from PIL import Image

from pipeline import artefacts, report

SCORES = {
    "fid_in_domain": 4.0,
    "fid_in_domain_low": 3.0,
    "fid_in_domain_high": 5.0,
    "fid_in_domain_floor": 0.9,
    "kl": 7,
}
LINEAGE = {"family": "vae", "params": {"vae": {"beta": 1.5}}, "model_digest": "abc"}


@pytest.fixture
def folder(tmp_path):
    for name in report.PICTURES:
        Image.new("RGB", (8, 8), "blue").save(tmp_path / f"{name}.png")
    artefacts.write_json(tmp_path / "protocol.json", {"split": "test", "samples": 2000})
    table(tmp_path / "classes.csv", ["class", "samples", "test"], ["Coat", "0.25", "0.5"], ["Bag", "0.75", "0.5"])
    table(tmp_path / "curves/val/elbo.csv", ["epoch", "value"], ["1", "-90"], ["2", "-80.5"])
    return tmp_path


def table(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def written(folder, scores=SCORES):
    report.write(folder, scores, LINEAGE, folder / "curves")
    return (folder / "report.html").read_text()


def test_the_page_names_scores_classes_curves_protocol_and_lineage(folder):
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
    assert text.count('class="tick"') == 1
    assert text.count('class="span"') == 1


def test_an_interval_is_drawn_in_its_order_within_the_drawing(folder):
    text = str(report.pages.interval(4.0, 3.0, 5.0, 0.9))
    places = [float(text.split(f'{name}="')[1].split('"')[0]) for name in ("x1", "cx")]
    low = float(text.split('class="span" x1="')[1].split('"')[0])
    high = float(text.split('class="span"')[1].split('x2="')[1].split('"')[0])
    assert 0 <= places[0] < low < places[1] < high <= report.pages.WIDTH


def test_data_without_classes_have_no_table_of_them(folder):
    table(folder / "classes.csv", ["class", "samples", "test"])
    assert "Classes" not in written(folder)


def test_a_curve_of_one_epoch_and_a_score_that_never_varies_are_drawn(folder):
    table(folder / "curves/val/elbo.csv", ["epoch", "value"], ["1", "-90"])
    assert "val/elbo: -90 to -90" in written(folder, {"a": 0.0, "a_low": 0.0, "a_high": 0.0})
