"""The worked example of docs/adding-a-content.md, executed literally."""

import re
import shutil

import numpy as np
import pytest
import workspace
from workspace import ROOT, do, edit, own_copy, ran, read

PAGE = (ROOT / "docs/adding-a-content.md").read_text()
TINY = workspace.TINY | {"train.epochs": 2, "train.batch_size": 50, "evaluate.samples": 100}
# the installed command imports the repository's package, which lacks the page's content
PIPELINE = "from pipeline.cli.main import main; main()"


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def place(fresh, store, tmp_path_factory):
    """A workspace with the content that the page adds, and its dataset."""
    copy = own_copy(fresh, store, tmp_path_factory.mktemp("table"))
    content, data = blocks("python")
    (copy / "pipeline/contents/table.py").write_text(content)
    (copy / "changes.diff").write_text(blocks("diff")[0])
    shutil.copyfile(ROOT / "params.yaml", copy / "params.yaml")
    do(copy, "git", "apply", "-C1", "changes.diff")
    do(copy, "python", "-c", data)
    edit(copy, TINY)
    do(copy, "git", "add", ".")
    do(copy, "git", "commit", "--quiet", "--message", "table")
    return copy


@pytest.mark.slow
def test_the_content_of_the_page_passes_the_checks_of_code(place):
    do(place, "ruff", "check", "pipeline")
    do(place, "ruff", "format", "--check", "pipeline")
    do(place, "mypy", "pipeline/contents/table.py")
    do(place, "python", "docs/write_params.py", PYTHONPATH=".")
    assert "`table.columns`" in (place / "docs/params.md").read_text()
    do(place, "python", "-m", "pytest", "-q", "tests/test_contracts.py")
    do(
        place,
        "python",
        "-m",
        "pytest",
        "-q",
        "tests/params/test_params.py",
        "-k",
        "table or unknown or allow or section",
    )


@pytest.mark.slow
def test_both_families_learn_the_content_of_the_page(place):
    for family in ("vae", "gan"):
        (command,) = re.findall(rf"^dvc exp run -S content=table .*-S family={family}$", "\n".join(blocks("sh")), re.M)
        assert ran(do(place, *re.sub(r"-S train\.\S+ ", "", command).split()))[-3:] == ["train", "evaluate", "register"]
        scores = read(place / "reports/evaluate/scores.json")
        assert {"frechet_in_domain", "value_distance", "value_distance_floor"} <= scores.keys()
        do(place, "python", "-c", PIPELINE, "sample", "model", "-n", "2", "--out", family)
        rows = [(place / family / f"sample-{i}.csv").read_text().split(",") for i in range(2)]
        assert [len(row) for row in rows] == [30, 30]
        learnt = read(place / "model/model.json")["learnt"]
        for values in np.array(rows, float):
            np.testing.assert_allclose(values, values.clip(learnt["low"], learnt["high"]))
            assert values[3] > 100, "the mean area of a tumour is in the hundreds"
