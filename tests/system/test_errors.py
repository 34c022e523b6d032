import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from pipeline.system import errors
from pipeline.system.errors import UserError, run

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, UserError)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_users_mistake_is_one_line_on_stderr_and_exit_code_two(capsys, kind):
    def main():
        raise kind("params.yaml: seed is -1:\n  must be\tat least 0")

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: params.yaml: seed is -1: must be at least 0\n"


NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENOMEM, errno.EMFILE, errno.EIO)


@pytest.mark.parametrize("number", NUMBERS, ids=errno.errorcode.get)
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_the_machine_refuses_is_one_line_that_says_what_to_do(capsys, number, wrapped):
    def main():
        try:
            raise OSError(number, os.strerror(number), "/some/file")
        except OSError as error:
            if wrapped:
                raise ValueError("a library's own") from error
            raise

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert all(part in said for part in ("error: ", os.strerror(number), "/some/file", errors.REMEDIES[number]))


FILL = {
    "python": "open('file', 'wb').write(bytes(10**6))",
    "numpy": "import numpy; numpy.save('file.npy', numpy.zeros(10**6))",
    "safetensors": "import torch; from safetensors.torch import save_file\n"
    "    save_file({'a': torch.zeros(10**6)}, 'file')",
    "sqlite": "import sqlite3; base = sqlite3.connect('file'); base.execute('CREATE TABLE a (b)')\n"
    "    base.execute('INSERT INTO a VALUES (zeroblob(1000000))'); base.commit()",
    "stdout": "import sys; sys.stdout = open('file', 'w'); print('x' * 10**6)",
}


@pytest.mark.parametrize("by", FILL)
def test_a_full_disk_is_one_line_whoever_writes(tmp_path, by):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], check=False).returncode:
        pytest.skip("no right to mount a small file system")
    try:
        code = f"from pipeline.system import errors\ndef main():\n    {FILL[by]}\nerrors.run(main)\n"
        words = [sys.executable, "-c", code]
        done = subprocess.run(words, cwd=small, capture_output=True, text=True, timeout=60, check=False)
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert errors.NO_ROOM in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("by", ["bytearray(2 << 40)", "__import__('torch').zeros(1 << 41)"])
def test_too_little_memory_is_one_line(by):
    code = f"from pipeline.system import errors\nerrors.run(lambda: {by})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert errors.NO_MEMORY in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_command_that_succeeds_exits_with_zero_and_prints_nothing(capsys):
    with pytest.raises(SystemExit) as caught:
        run(lambda: None)
    assert caught.value.code == 0
    assert capsys.readouterr() == ("", "")


def test_a_command_that_succeeded_collects_no_garbage_while_python_exits():
    code = "import atexit, gc\nfrom pipeline.system import errors\n"
    code += "atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
    words = [sys.executable, "-c", code + "errors.run(lambda: None)"]
    assert subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout == "True\n"


def test_a_command_collects_garbage_but_not_in_what_was_imported():
    code = "import gc\ngc.disable()\nfrom pipeline.system import errors\n"
    said = "errors.run(lambda: print(gc.isenabled(), gc.get_freeze_count() > 0))"
    words = [sys.executable, "-c", code + said]
    assert subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout == "True True\n"


def test_an_interruption_is_no_traceback(capsys):
    def main():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminated_command_runs_its_cleanup(number):
    signal.signal(number, signal.SIG_DFL)
    ended = []

    def main():
        try:
            os.kill(os.getpid(), number)
            time.sleep(60)
        finally:
            ended.append(True)

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == 128 + number
    assert ended == [True]


def test_an_exit_that_a_finaliser_swallowed_comes_again(monkeypatch):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    monkeypatch.setattr(errors, "AGAIN", 0.2)
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)

    class Finalised:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)

    def main():
        Finalised()
        time.sleep(60)

    begin = time.monotonic()
    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == 128 + signal.SIGTERM
    assert time.monotonic() - begin < 30


SLOW_TO_FINALISE = """
import os, signal, time
from pipeline.system import errors
errors.AGAIN = 0.2
class Late:
    def __del__(self, sleep=time.sleep):
        sleep(1)
late = Late()
def main():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
errors.run(main)
"""


def test_an_exit_that_happens_is_not_tried_again_while_python_finalises():
    done = subprocess.run([sys.executable, "-c", SLOW_TO_FINALISE], timeout=60, check=False)
    assert done.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_cleanup_of_an_ending_command_is_not_interrupted_by_another_signal(number, monkeypatch):
    signal.signal(number, signal.SIG_DFL)
    monkeypatch.setattr(errors, "AGAIN", 0.05)
    said = []

    def main():
        try:
            os.kill(os.getpid(), number)
            time.sleep(60)
        finally:
            errors.undisturbed()
            os.kill(os.getpid(), number)
            time.sleep(0.2)
            said.append(True)

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert (caught.value.code, said) == (128 + number, [True])


def test_a_command_that_nohup_started_outlives_its_terminal():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with pytest.raises(SystemExit) as caught:
        run(lambda: os.kill(os.getpid(), signal.SIGHUP))
    assert caught.value.code == 0


def test_a_mistake_of_ours_keeps_its_traceback():
    def main():
        raise ZeroDivisionError("ours")

    with pytest.raises(ZeroDivisionError, match="ours"):
        run(main)
