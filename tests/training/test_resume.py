import importlib.util
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.system.errors import TrainingError, UserError
from pipeline.training.checkpoint_io import SafetensorsIO
from pipeline.training.record import RunRecord
from pipeline.training.resume import Resumable, fingerprint

PACKAGE = Path(__file__).parents[2] / "pipeline"
FORK = multiprocessing.get_context("fork")


def fingerprint_of_code_in(folder):
    """Return the fingerprint that a process takes whose package lies in a folder."""
    code = "import pipeline.data.preparation; from pipeline.training.resume import fingerprint; print(fingerprint({}))"
    words = [sys.executable, "-c", code]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_other_data_or_params_start_a_training_of_their_own():
    assert fingerprint({"data": "a", "seed": 0}) == fingerprint({"seed": 0, "data": "a"})
    assert len({fingerprint({"data": data, "seed": seed}) for data in "ab" for seed in (0, 1)}) == 4


def test_code_that_changed_starts_a_training_of_its_own(tmp_path, monkeypatch):
    found = []
    for text in ("# as it was\n", "# changed\n", "# as it was\n"):
        (tmp_path / "more.py").write_text(text)
        spec = importlib.util.spec_from_file_location("pipeline.more", tmp_path / "more.py")
        monkeypatch.setitem(sys.modules, "pipeline.more", importlib.util.module_from_spec(spec))
        found.append(fingerprint({}))
    monkeypatch.delitem(sys.modules, "pipeline.more")
    assert found[0] == found[2] != found[1]
    assert fingerprint({}) not in found


@pytest.mark.slow
def test_changed_code_starts_a_training_of_its_own_and_code_that_is_not_imported_does_not(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    first = fingerprint_of_code_in(tmp_path)
    with (tmp_path / "pipeline" / "cli" / "main.py").open("a") as file:
        file.write("# not imported\n")
    assert fingerprint_of_code_in(tmp_path) == first
    with (tmp_path / "pipeline" / "data" / "preparation.py").open("a") as file:
        file.write("# changed\n")
    assert fingerprint_of_code_in(tmp_path) != first


@pytest.fixture(autouse=True)
def main(tmp_path, monkeypatch):
    """The main repository in which the trainings lie."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


def train(name, said):
    with Resumable(name).alone():
        said.send("at work")
        time.sleep(600)


@contextmanager
def trainer(name):
    """Give a process that is at a training."""
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=train, args=(name, theirs))
    process.start()
    try:
        assert ours.poll(60)
        yield process
    finally:
        process.kill()
        process.join()


def begin_on_a_full_disk(name, said):
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        with Resumable(name).alone():
            said.send("a lock that names nobody")
    except UserError as error:
        said.send(str(error))
    except OSError as error:
        said.send(repr(error))


def test_what_belongs_to_a_training_lies_in_its_folder_in_the_main_repository(main):
    work = Resumable("a")
    assert work.folder == main / ".pipeline" / "work" / "a"
    assert {work.checkpoints.parent, work.spool.path.parent} == {work.folder}
    assert not work.folder.exists()


def test_the_run_of_a_killed_training_is_known_until_the_training_is_whole():
    assert Resumable("a").record is None
    record = RunRecord("0123", "fashion", "a")
    Resumable("a").record = record
    assert Resumable("a").record == record
    assert Resumable("b").record is None
    assert Resumable("a").clear()
    assert Resumable("a").record is None


def test_a_ticket_stays_the_same_until_the_training_is_whole_and_is_its_own():
    ticket = Resumable("a").ticket()
    assert Resumable("a").ticket() == ticket
    assert Resumable("b").ticket() != ticket
    Resumable("a").clear()
    assert Resumable("a").ticket() != ticket


def test_all_trainings_are_those_whose_folders_lie_there(main):
    assert Resumable.all() == []
    for name in ("b", "a"):
        Resumable(name).ticket()
    (main / ".pipeline" / "work" / "a file").touch()
    assert [work.name for work in Resumable.all()] == ["a", "b"]


def test_a_training_that_another_process_is_at_is_refused_in_one_line_that_says_how_to_stop_it():
    with trainer("a") as process:
        assert Resumable("a").trainer.pid == process.pid
        with pytest.raises(TrainingError, match=f"`kill {process.pid}`") as caught, Resumable("a").alone():
            pytest.fail("two trainers are at one training")
        assert "\n" not in str(caught.value)
        with Resumable("b").alone():
            pass


def test_a_training_whose_trainer_was_killed_can_be_taken_up_at_once():
    with trainer("a") as process:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert Resumable("a").trainer is None
        with Resumable("a").alone():
            assert Resumable("a").trainer.pid == os.getpid()
    assert Resumable("a").trainer is None


def test_a_trainer_that_has_not_named_itself_yet_is_not_to_be_stopped_by_a_number_that_is_none():
    with trainer("a"):
        (Resumable("a").folder / "lock").write_text("")
        with pytest.raises(TrainingError) as caught, Resumable("a").alone():
            pytest.fail("two trainers are at one training")
    # to a shell, `kill 0` is to kill everything that it began, and itself
    assert "kill 0" not in str(caught.value)


def test_a_full_disk_is_one_line_where_a_training_begins():
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=begin_on_a_full_disk, args=("a", theirs))
    process.start()
    process.join()
    assert str(Resumable("a").folder) in ours.recv()


def test_a_folder_that_cannot_be_made_is_one_line_where_a_training_begins(main):
    (main / ".pipeline").write_text("in the way")
    with pytest.raises(UserError, match=r"\.pipeline"), Resumable("a").alone():
        pytest.fail("a lock that is nowhere")


def test_a_training_that_is_whole_leaves_nothing():
    work = Resumable("a")
    work.record = RunRecord("0123", "fashion", "a")
    work.checkpoints.mkdir()
    work.spool.add([("train/loss", 1.0, 0)])
    work.spool.sent(work.spool.waiting(1))
    work.retire()
    assert not work.folder.exists()
    work.retire()
    assert not work.folder.exists()


def test_a_training_with_metrics_that_have_not_arrived_is_kept():
    work = Resumable("a")
    work.spool.add([("train/loss", 1.0, 0)])
    work.retire()
    assert work.spool.count() == 1


def test_a_training_whose_status_has_not_arrived_is_kept():
    work = Resumable("a")
    work.spool.status = "FINISHED"
    work.retire()
    assert work.spool.status == "FINISHED"
    work.spool.status = None
    work.retire()
    assert not work.folder.exists()


def test_a_training_that_a_process_is_at_is_not_removed():
    with trainer("a"):
        ticket = Resumable("a").ticket()
        assert not Resumable("a").clear()
        Resumable("a").retire()
        assert Resumable("a").ticket() == ticket
    assert Resumable("a").clear()
    assert not Resumable("a").folder.exists()


def test_the_size_of_a_training_is_that_of_all_its_files():
    work = Resumable("a")
    assert work.size == 0
    work.checkpoints.mkdir(parents=True)
    (work.checkpoints / "a").write_bytes(bytes(1000))
    (work.folder / "b").write_bytes(bytes(10))
    assert work.size == 1010


def test_a_training_is_idle_since_its_newest_file():
    work = Resumable("a")
    work.ticket()
    (work.folder / "old").touch()
    for path in work.folder.iterdir():
        os.utime(path, (0, 0))
    os.utime(work.folder, (0, 0))
    assert work.idle > 10**9
    (work.folder / "old").touch()
    assert work.idle < 1000


def test_the_steps_of_a_training_are_those_of_its_newest_checkpoint():
    work = Resumable("a")
    assert work.steps == 0
    for done in (10, 20):
        SafetensorsIO().save_checkpoint({"done": done}, work.checkpoints)
    assert work.steps == 20
