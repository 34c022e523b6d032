"""A spool that is full, or cannot be written or read."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.system.errors import TrackingError
from pipeline.training import spool
from pipeline.training.spool import Spool

ALL = 10**6
FILL = """
import resource, sys
from pathlib import Path
from pipeline.system.errors import TrackingError
from pipeline.training.spool import Spool
spool = Spool(Path(sys.argv[1]))
spool.add([("train/a", 1.0, 0)])
resource.setrlimit(resource.RLIMIT_FSIZE, (spool.path.stat().st_size + 4096,) * 2)
try:
    for step in range(1, 10**5):
        spool.add([("train/a", 1.0, step)])
        added = step
except TrackingError as error:
    print(added, error)
"""


@pytest.fixture
def kept(tmp_path):
    return Spool(tmp_path / "work" / "spool.db")


def metrics(spool):
    return [(item.name, item.value, item.step) for item in spool.waiting(ALL)]


def test_a_full_spool_drops_what_comes_says_so_once_and_goes_on_once_there_is_room(kept, monkeypatch, capsys):
    monkeypatch.setattr(spool, "MOST", 200_000)
    for step in range(20):
        kept.add_picture("samples", step, bytes(50_000))
    dropped = kept.count()
    assert 3 <= dropped <= 5
    assert kept.path.stat().st_size < 200_000 + 2 * 50_000
    kept.add([("train/loss", 1.0, 0)])
    assert kept.count() == dropped
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{kept.path} is full" in said
    kept.sent(kept.waiting(ALL))
    kept.add([("train/loss", 1.0, 1)])
    assert metrics(kept) == [("train/loss", 1.0, 1)]
    assert capsys.readouterr().err == ""


def test_a_spool_that_is_full_again_says_so_again(kept, monkeypatch, capsys):
    monkeypatch.setattr(spool, "MOST", 100_000)
    for life in range(2):
        for step in range(5):
            kept.add_picture("samples", 10 * life + step, bytes(50_000))
        assert capsys.readouterr().err.count("is full") == 1
        kept.sent(kept.waiting(ALL))


def test_metrics_that_are_sent_and_settled_make_room(kept, monkeypatch, capsys):
    monkeypatch.setattr(spool, "MOST", 100_000)
    for round_ in range(10):
        steps = range(1000 * round_, 1000 * round_ + 1000)
        kept.add([("train/loss", 1.0, step) for step in steps])
        assert len(kept.waiting(ALL)) == 1000
        kept.sent(kept.waiting(ALL))
        kept.forget(steps.stop)
    assert capsys.readouterr().err == ""


def test_a_full_disk_is_one_line_and_what_was_added_before_is_there(kept):
    words = [sys.executable, "-c", FILL, str(kept.path)]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    added, text = int(said.split()[0]), said.partition(" ")[2].strip()
    assert f"{kept.path}: metrics cannot be kept (" in text
    assert "\n" not in text
    assert [step for *_, step in metrics(kept)] == list(range(added + 1))
    kept.add([("train/a", 1.0, added + 1)])
    assert kept.count() == added + 2


@pytest.mark.parametrize("use", [lambda s: s.add([("a", 1.0, 0)]), lambda s: s.add_picture("a", 0, b"png")])
def test_a_folder_that_cannot_be_made_is_one_line_that_names_the_file(tmp_path, use):
    (tmp_path / "file").write_text("in the way")
    broken = Spool(tmp_path / "file" / "spool.db")
    with pytest.raises(TrackingError, match=r"spool\.db: metrics cannot be kept") as caught:
        use(broken)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_spool_is_one_line_that_names_it(kept):
    kept.path.parent.mkdir()
    kept.path.write_bytes(b"no database" * 1000)
    for use in (lambda: kept.add([("a", 1.0, 0)]), kept.count, lambda: kept.waiting(1), lambda: kept.status):
        with pytest.raises(TrackingError, match=r"spool\.db: .*not a database"):
            use()
    assert Path(kept.path).read_bytes().startswith(b"no database")
