"""DVC experiments in a temporary copy, and queued for several workers."""

import json
import os
import signal
import sqlite3
from contextlib import closing

import psutil
import pytest
from waiting import wait_for
from workspace import NAME, attempt, checkpoints, client, digests, do, read, runs

SETTINGS = {"v1": ("vae", 1.0), "v2": ("vae", 2.0), "g1": ("gan", 1.0e-3), "g2": ("gan", 2.0e-3)}
FIELDS = {"vae": "vae.beta", "gan": "gan.learning_rate"}


def enqueue(folder, name, *more):
    family, value = SETTINGS[name]
    # with seed 0, v1 would equal the run that exists
    words = [f"family={family}", f"{FIELDS[family]}={value}", "seed=1", *more]
    do(folder, "dvc", "exp", "run", "--queue", "-n", name, *(each for word in words for each in ("-S", word)))


def start(folder, workers):
    # workers would keep a pipe of the test open, so they write to a file
    do(folder, "bash", "-c", f"dvc queue start -j {workers} > queue.log 2>&1")


def statuses(folder):
    """Return the status of each queued experiment, by its name."""
    output = do(folder, "dvc", "queue", "status")
    rows = [line.split() for line in output.splitlines()]
    return {row[1]: row[-1] for row in rows if len(row) > 2 and row[1] in SETTINGS}


def left_by(folder):
    """Return the work folders of trainings and the temporary copies that still exist."""
    return [*(folder / ".pipeline/work").iterdir(), *(folder / ".dvc/tmp/exps").glob("tmp*")]


def assert_whole(folder):
    with closing(sqlite3.connect(folder / "mlflow.db")) as base:
        assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def workers(folder):
    """Return the processes of DVC's queue that run in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(folder)) and {"queue-worker", "exec-run"} & set(process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.fixture
def queued(copy):
    """A workspace whose queue workers are killed at the end of the test."""
    yield copy
    for process in workers(copy):
        process.kill()


@pytest.mark.slow
def test_temporary_experiment_is_tracked_in_the_main_repository(copy):
    before = digests(copy, "model", "reports")
    do(copy, "dvc", "exp", "run", "--temp", "-S", "vae.beta=2.0")
    (run,) = runs(copy)
    assert run.data.params["vae.beta"] == "2.0"
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri == (copy / "mlartifacts" / NAME / run.info.run_id / "artifacts").as_uri()
    assert (copy / "mlartifacts" / NAME / run.info.run_id / "artifacts/evaluate/samples.png").is_file()
    assert [path for path in copy.rglob("mlflow.db") if path != copy / "mlflow.db"] == []
    (version,) = client(copy).search_model_versions(f"name = '{NAME}'")
    assert version.run_id == run.info.run_id
    assert digests(copy, "model", "reports") == before


@pytest.mark.slow
def test_queued_experiments_of_both_families_finish_side_by_side_and_leave_nothing(queued):
    for name in SETTINGS:
        enqueue(queued, name)
    start(queued, 2)
    seen, strays = set(), set()

    def ended():
        seen.update(path.name for path in (queued / ".pipeline/work").glob("*"))
        copies = queued / ".dvc/tmp/exps"
        strays.update(path for name in ("mlflow.db", "mlruns", "mlartifacts") for path in copies.glob(f"tmp*/{name}"))
        found = statuses(queued)
        assert "Failed" not in found.values(), do(queued, "dvc", "queue", "logs", min(found))
        return list(found.values()) == ["Success"] * 4

    wait_for(ended, 900, pause=1)
    assert strays == set()
    assert len(seen) == 4
    wait_for(lambda: not left_by(queued), 60)  # DVC says Success before it removes the copy
    found = runs(queued)
    assert [run.info.status for run in found] == ["FINISHED"] * 4
    assert len({run.info.run_id for run in found}) == 4
    assert {(run.data.params["family"], run.data.tags["dvc.experiment"]) for run in found} == {
        (family, name) for name, (family, _) in SETTINGS.items()
    }
    scores = {run.data.tags["dvc.experiment"]: run.data.metrics["fid_in_domain"] for run in found}
    assert shown(queued) == pytest.approx(scores)
    assert len(set(scores.values())) == 4
    assert len(client(queued).search_model_versions(f"name = '{NAME}'")) == 4
    assert_whole(queued)


def shown(folder):
    """Return fid_in_domain of each experiment, by its name, as `dvc exp show` reports it."""
    found = {}
    for baseline in json.loads(do(folder, "dvc", "exp", "show", "--json")):
        for experiment in baseline["experiments"] or []:
            (rev,) = experiment["revs"][:1]
            if experiment["name"] in SETTINGS:
                found[experiment["name"]] = rev["data"]["metrics"]["reports/evaluate/metrics.json"]["data"][
                    "fid_in_domain"
                ]
    return found


def commands(output):
    """Return the commands that the doctor gives to fix its findings."""
    return "\n".join(line for line in output.splitlines() if line.startswith("    "))


@pytest.mark.slow
def test_killed_worker_s_experiment_is_freed_and_resumes_in_its_run_while_the_others_finish(queued):
    for name in ("v1", "g1", "v2"):
        enqueue(queued, name, "runtime.checkpoint_seconds=0.1", "train.epochs=4")
    start(queued, 2)
    wait_for(lambda: checkpoints(queued), 200)
    (folder, *_) = {path.parents[1] for path in checkpoints(queued)}
    run = read(folder / "run.json")["run_id"]
    trainer = psutil.Process(int(client(queued).get_run(run).data.tags["process.pid"]))
    name = client(queued).get_run(run).data.tags["dvc.experiment"]
    os.killpg(os.getpgid(trainer.pid), signal.SIGKILL)  # its worker, the executor and itself
    others = {"v1", "g1", "v2"} - {name}
    wait_for(lambda: {each for each, status in statuses(queued).items() if status == "Success"} == others, 600, pause=1)
    done = attempt(queued, "pipeline", "doctor")
    assert done.returncode == 1
    assert f"{name} (" in done.stdout
    assert "is stuck" in done.stdout
    do(queued, "bash", "-euc", commands(done.stdout))
    after = attempt(queued, "pipeline", "doctor").stdout
    assert [line.split()[0] for line in after.splitlines() if " queue " in line] == ["OK"], after
    newest = max(path.name for path in (folder / "checkpoints").glob("*.ckpt"))
    enqueue(queued, name, "runtime.checkpoint_seconds=0.1", "train.epochs=4")
    start(queued, 1)
    wait_for(lambda: statuses(queued).get(name) == "Success", 400, pause=1)
    found = {each.data.tags["dvc.experiment"]: each for each in runs(queued)}
    assert len(runs(queued)) == 3
    assert (found[name].info.run_id, found[name].info.status) == (run, "FINISHED")
    assert int(newest.partition("-")[0]) > 0
    wait_for(lambda: not left_by(queued), 60)
    assert_whole(queued)
