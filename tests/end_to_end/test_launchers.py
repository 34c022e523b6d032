"""Processes that torchrun or SLURM start instead of Lightning."""

import socket

import pytest
from workspace import STEPS, TRAIN, begin, digests, do, edit, history, own_copy, runs

MODULE = TRAIN[1:]


@pytest.fixture(scope="module")
def launched(vae, store, tmp_path_factory):
    """A workspace in which Lightning started the second process of a training."""
    made = own_copy(vae, store, tmp_path_factory.mktemp("launched"))
    edit(made, {"runtime.devices": 2})
    do(made, *TRAIN)
    return made


def assert_one_run_and_the_model_of(launched, folder):
    (run,) = runs(folder)
    assert run.info.status == "FINISHED"
    assert [step for step, _ in history(folder, run.info.run_id, "train/loss")] == list(range(STEPS))
    assert digests(folder, "model", "reports/train/curves") == digests(launched, "model", "reports/train/curves")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.mark.slow
def test_torchrun_makes_what_lightning_s_own_launch_makes(launched, copy):
    edit(copy, {"runtime.devices": 2})
    do(copy, "torchrun", "--nproc-per-node", "2", "--master-port", str(free_port()), *MODULE)
    assert_one_run_and_the_model_of(launched, copy)


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [1, 2])
def test_slurm_makes_what_lightning_s_own_launch_makes(launched, copy, nodes):
    edit(copy, {"runtime.devices": 2 // nodes, "runtime.nodes": nodes})
    job = {
        "SLURM_JOB_ID": "1234",
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": str(2 // nodes),
        "SLURM_NNODES": str(nodes),
        "SLURM_JOB_NUM_NODES": str(nodes),
        "SLURM_NODELIST": "127.0.0.1",
        "SLURM_JOB_NODELIST": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }
    tasks = []
    for rank in (0, 1):
        node, local = divmod(rank, 2 // nodes)
        place = {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(local), "SLURM_NODEID": str(node)}
        tasks.append(begin(copy, *TRAIN, **job, **place))
    try:
        for task in tasks:
            output = task.communicate(timeout=200)[1]
            assert task.returncode == 0, output
    finally:
        for task in tasks:
            task.kill()
            task.wait()
    assert_one_run_and_the_model_of(launched, copy)
