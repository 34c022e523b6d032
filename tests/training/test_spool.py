"""What a spool keeps, through repeats, kills and a full disk, in real files that real processes write."""

import math
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.training.spool import Spool

ALL = 10**6
ADD = """
import os, sys
from pathlib import Path
from pipeline.training.spool import Spool
spool, value = Spool(Path(sys.argv[1])), float(sys.argv[3])
for step in range(int(sys.argv[2]), 10**9):
    spool.add([("train/a", value, step), ("train/b", value, step)])
    os.write(1, f"{step}\\n".encode())
"""
NAMES, STEPS = st.sampled_from(["a", "b"]), st.integers(0, 6)
ACTIONS = st.lists(
    st.tuples(st.just("add"), st.lists(st.tuples(NAMES, st.floats(allow_nan=False), STEPS), max_size=4))
    | st.tuples(st.just("picture"), STEPS)
    | st.tuples(st.just("sent"), st.integers(0, 5))
    | st.tuples(st.just("forget"), STEPS),
    max_size=12,
)


@pytest.fixture
def kept(tmp_path):
    return Spool(tmp_path / "work" / "spool.db")


def metrics(spool, most=ALL):
    return [(item.name, item.value, item.step) for item in spool.waiting(most)]


def test_metrics_wait_in_the_order_they_came_in(kept):
    logged = [("train/loss", float(step), step) for step in (3, 1, 2)]
    kept.add(logged)
    kept.add([("val/elbo", -1.5, 0)])
    assert metrics(kept) == [*logged, ("val/elbo", -1.5, 0)]
    assert kept.count() == 4


def test_the_oldest_come_first_where_not_all_are_asked_for(kept):
    kept.add([("train/loss", float(step), step) for step in range(5)])
    assert metrics(kept, 2) == [("train/loss", 0.0, 0), ("train/loss", 1.0, 1)]


def test_a_metric_has_the_time_it_came_in(kept):
    before = int(time.time() * 1000)
    kept.add([("train/loss", 1.0, 0)])
    assert before <= kept.waiting(1)[0].time <= time.time() * 1000


def test_a_metric_that_is_added_again_keeps_its_first_value_and_time(kept):
    kept.add([("train/loss", 1.0, 0)])
    (first,) = kept.waiting(ALL)
    time.sleep(0.01)
    kept.add([("train/loss", 2.0, 0), ("train/loss", 3.0, 1)])
    again, other = kept.waiting(ALL)
    assert again == first
    assert (other.value, other.step) == (3.0, 1)


def test_a_metric_that_was_sent_and_is_added_again_is_not_sent_again(kept):
    kept.add([("train/loss", 1.0, 0)])
    kept.sent(kept.waiting(ALL))
    kept.add([("train/loss", 1.0, 0)])
    assert kept.waiting(ALL) == []
    assert kept.count() == 0


def test_a_metric_that_came_while_others_were_sent_waits(kept):
    kept.add([("train/loss", 1.0, 0)])
    items = kept.waiting(ALL)
    kept.add([("train/loss", 2.0, 1)])
    kept.sent(items)
    assert metrics(kept) == [("train/loss", 2.0, 1)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.1 + 0.2, 5e-324])
def test_every_value_comes_back_as_it_was(kept, value):
    kept.add([("train/loss", value, 0)])
    (item,) = kept.waiting(1)
    assert item.value == value or (math.isnan(item.value) and math.isnan(value))
    assert item.png is None


def test_a_picture_comes_back_byte_by_byte_and_takes_no_room_once_it_was_sent(kept):
    for step in range(3):
        data = os.urandom(300_000)
        kept.add_picture("samples", step, data)
        (item,) = kept.waiting(ALL)
        assert (item.name, item.step, item.png) == ("samples", step, data)
        kept.sent([item])
    assert kept.path.stat().st_size < 400_000
    kept.add_picture("samples", 2, b"another")
    assert kept.waiting(ALL) == []


def test_another_process_finds_what_one_added(kept):
    kept.add([("train/loss", 1.0, 0)])
    kept.status = "FAILED"
    code = (
        "import sys; from pathlib import Path; from pipeline.training.spool import Spool; "
        "s = Spool(Path(sys.argv[1])); print(s.count(), s.waiting(9)[0].value, s.status)"
    )
    words = [sys.executable, "-c", code, str(kept.path)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "1 1.0 FAILED\n"


def test_a_spool_that_nothing_came_to_is_no_file(kept):
    assert (kept.waiting(ALL), kept.count(), kept.status) == ([], 0, None)
    kept.forget(10)
    assert not kept.path.exists()


def test_a_status_stays_until_it_is_taken_back(kept):
    kept.status = "FINISHED"
    assert Spool(kept.path).status == "FINISHED"
    kept.status = None
    assert Spool(kept.path).status is None


def test_only_what_was_sent_of_the_steps_before_is_forgotten(kept):
    kept.add([("train/loss", float(step), step) for step in range(4)])
    kept.sent(kept.waiting(3))
    kept.add([("train/late", 9.0, 0)])
    kept.forget(2)
    assert metrics(kept) == [("train/loss", 3.0, 3), ("train/late", 9.0, 0)]
    kept.add([("train/loss", 7.0, step) for step in range(4)])
    assert [step for name, _, step in metrics(kept) if name == "train/loss"] == [3, 0, 1]


@settings(max_examples=40, deadline=None)
@given(actions=ACTIONS)
def test_nothing_waits_twice_is_lost_or_changes_whatever_is_done(tmp_path_factory, actions):
    kept = Spool(tmp_path_factory.mktemp("spool") / "spool.db")
    waiting, sent = {}, {}
    for action, what in actions:
        if action == "add":
            kept.add(what)
            for name, value, step in what:
                if (name, step) not in waiting | sent:
                    waiting[name, step] = value
        elif action == "picture":
            kept.add_picture("c", what, b"png")
            if ("c", what) not in waiting | sent:
                waiting["c", what] = b"png"
        elif action == "sent":
            kept.sent(kept.waiting(what))
            for key in list(waiting)[:what]:
                sent[key] = waiting.pop(key)
        else:
            kept.forget(what)
            sent = {key: value for key, value in sent.items() if key[1] >= what}
        found = [((item.name, item.step), item.value if item.png is None else item.png) for item in kept.waiting(ALL)]
        assert found == list(waiting.items())
        assert kept.count() == len(waiting)


def test_metrics_added_before_a_kill_are_kept_once_and_with_their_first_value(kept):
    rng, logged, arrived = random.Random(0), {}, []
    for life in range(8):
        begin = max(0, len(logged) - rng.randrange(20))  # as a training that goes on from a checkpoint
        words = [sys.executable, "-c", ADD, str(kept.path), str(begin), str(life)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            for _ in range(rng.randrange(1, 40)):
                step = int(process.stdout.readline())
                logged.setdefault(step, float(life))
            time.sleep(rng.random() * 0.01)  # so that the kill hits any moment of the next addition
            process.send_signal(signal.SIGKILL)
            for line in process.stdout:
                logged.setdefault(int(line), float(life))
        for item in kept.waiting(ALL):  # one more step may have been added, and not reported any more
            logged.setdefault(item.step, float(life))
        items = kept.waiting(rng.randrange(60))
        arrived += [(item.name, item.step, item.value) for item in items]
        kept.sent(items)
    arrived += [(item.name, item.step, item.value) for item in kept.waiting(ALL)]
    assert arrived == [(name, step, logged[step]) for step in sorted(logged) for name in ("train/a", "train/b")]
    assert sorted(logged) == list(range(len(logged)))
    assert len(logged) > 50


def test_processes_that_begin_one_file_together_lose_nothing(kept):
    words = [sys.executable, "-c", ADD, str(kept.path)]
    members = [subprocess.Popen([*words, str(1000 * i), str(i)], stdout=subprocess.PIPE, text=True) for i in range(3)]
    logged = [[int(member.stdout.readline()) for _ in range(10)] for member in members]
    for member in members:
        member.kill()
        member.communicate()
    assert logged == [list(range(1000 * i, 1000 * i + 10)) for i in range(3)]
    found = {(step, value) for _, value, step in metrics(kept)}
    assert {(step, float(step // 1000)) for steps in logged for step in steps} <= found
