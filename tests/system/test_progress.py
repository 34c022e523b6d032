"""Progress bars where stderr is not a terminal: what they leave in a log."""

import pytest

from pipeline.system import progress


def moved(every, monkeypatch, **options):
    monkeypatch.setattr(progress, "EVERY", every)
    with progress.bar(total=200, desc="train", **options) as bar:
        for _ in range(200):
            bar.set_postfix_str("loss 1")
            bar.update()


@pytest.mark.parametrize("options", [{}, {"leave": False}])
def test_what_is_done_within_a_minute_leaves_nothing_in_a_log(monkeypatch, capfd, options):
    moved(60.0, monkeypatch, **options)
    assert list(progress.bar(range(3), desc="write", **options)) == [0, 1, 2]
    assert capfd.readouterr() == ("", "")


def test_what_takes_long_leaves_whole_lines_in_a_log(monkeypatch, capfd):
    moved(0.0, monkeypatch)
    said = capfd.readouterr().err
    assert "\r" not in said
    assert said.endswith("\n")
    assert all(line.startswith("train: ") for line in said.splitlines())
