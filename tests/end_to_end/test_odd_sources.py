"""Sources that DVC cannot digest."""

import os

import pytest
from workspace import attempt, edit, errors, own_copy


@pytest.mark.parametrize("kind", ["FIFO", "endless", "circle", "no UTF-8"])
def test_what_dvc_cannot_digest_is_one_line_before_it_tries(fresh, store, tmp_path, kind):
    copy = own_copy(fresh, store, tmp_path)
    source = tmp_path / "mine"
    source.mkdir()
    odd = source / ("odd\udcff" if kind == "no UTF-8" else "odd")
    {
        "FIFO": lambda: os.mkfifo(odd),
        "endless": lambda: odd.symlink_to("/dev/zero"),
        "circle": lambda: odd.symlink_to(odd),
        "no UTF-8": lambda: odd.touch(),
    }[kind]()
    edit(copy, {"prepare.source": str(source)})
    done = attempt(copy, "dvc", "repro", "prepare")
    assert done.returncode != 0
    (error,) = errors(done.stderr)
    assert "odd" in error
    assert "DVC cannot digest it" in error
    assert "\\udc" not in error
    assert "Traceback" not in done.stderr
