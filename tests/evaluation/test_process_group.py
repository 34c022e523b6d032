"""Division of work among processes, and the rows that real processes gather."""

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.evaluation.process_group import ProcessGroup, assemble
from pipeline.params import RuntimeParams

JOIN = """
import json, sys
import numpy as np
import torch.distributed as dist
from pipeline.evaluation.process_group import ProcessGroup
rank, size, store, sizes = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
group, whole = ProcessGroup(rank, size), []
for n, chunk, width in sizes:
    rows = np.arange(n * width, dtype=np.float32).reshape(n, width)
    first, own = group.part(n, chunk)
    found = group.join(rows[first : first + own], n, chunk)
    whole.append(found.shape == rows.shape and bool((found == rows).all()))
dist.destroy_process_group()
print(json.dumps(whole))
"""
RUNTIME = RuntimeParams(accelerator="cpu", devices=1, nodes=1, precision="32-true", checkpoint_seconds=60)


@given(n=st.integers(0, 5000), chunk=st.integers(1, 600), size=st.integers(1, 40))
@example(n=512, chunk=256, size=4)
def test_parts_are_whole_chunks_that_cover_everything_once(n, chunk, size):
    parts = [ProcessGroup(rank, size).part(n, chunk) for rank in range(size)]
    assert all(own >= 0 for _, own in parts)
    assert [item for first, own in parts for item in range(first, first + own)] == list(range(n))
    assert all(first % chunk == 0 for first, own in parts if own)
    assert all((first + own) % chunk == 0 or first + own == n for first, own in parts)


@given(n=st.integers(0, 5000), chunk=st.integers(1, 600), size=st.integers(1, 40))
def test_no_part_has_more_than_one_chunk_more_than_another(n, chunk, size):
    chunks = [-(-ProcessGroup(rank, size).part(n, chunk)[1] // chunk) for rank in range(size)]
    assert max(chunks) - min(chunks) <= 1


@given(n=st.integers(0, 500), chunk=st.integers(1, 60), size=st.integers(1, 9), rank=st.integers(0, 8))
def test_a_process_knows_the_part_of_any_other(n, chunk, size, rank):
    other = rank % size
    assert ProcessGroup(0, size).part(n, chunk, other) == ProcessGroup(other, size).part(n, chunk)


@given(n=st.integers(1, 5000), chunk=st.integers(1, 600), size=st.integers(1, 40))
def test_the_leading_process_has_the_first_items(n, chunk, size):
    # its samples are those in the pictures
    first, own = ProcessGroup(0, size).part(n, chunk)
    assert first == 0
    assert own >= min(n, chunk)


def test_parts_follow_the_order_of_the_processes():
    firsts = [ProcessGroup(rank, 3).part(1000, 100)[0] for rank in range(3)]
    assert all(one < other for one, other in pairwise(firsts))


def test_one_process_has_everything_and_gathers_nothing():
    rows = np.ones((5, 2), np.float32)
    assert ProcessGroup().part(5, 2) == (0, 5)
    assert ProcessGroup().join(rows, 5, 2) is rows


def test_a_runtime_of_one_process_starts_no_other():
    assert assemble(RUNTIME) == ProcessGroup(0, 1)


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_rows_of_real_processes_come_in_order_even_if_one_has_none(tmp_path, size):
    # (n, chunk, width): as many as chunks allow, an uneven rest, one chunk alone, one row alone
    sizes = [(8, 2, 3), (11, 2, 1), (5, 5, 4), (1, 5, 2), (3, 1, 1)]
    words = [str(size), str(tmp_path / "store"), json.dumps(sizes)]
    members = [
        subprocess.Popen([sys.executable, "-c", JOIN, str(rank), *words], stdout=subprocess.PIPE, text=True)
        for rank in range(size)
    ]
    outputs = [member.communicate(timeout=120)[0] for member in members]
    assert [member.returncode for member in members] == [0] * size
    assert [json.loads(each) for each in outputs] == [[True] * len(sizes)] * size
