"""The benchmarks' library: ratios, parts of a whole, and the model of several machines."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from library import parts
from library.network_model import BUCKET, FIRST, METRICS, predict
from library.turns import Spread, fallen, in_turn, ratios


def test_a_ratio_is_of_the_same_round_and_not_of_medians():
    assert ratios([2.0, 30.0, 4.0], [1.0, 10.0, 1.0]) == Spread(3.0, 2.0, 4.0)


def test_a_ratio_has_fallen_if_even_its_best_round_is_below_the_recorded_value_by_more_than_the_margin():
    found = {"fell": Spread(1.0, 0.9, 1.1), "held": Spread(1.0, 0.9, 1.3), "new": Spread(0.1, 0.1, 0.1)}
    assert fallen(found, {"fell": 1.5, "held": 1.5}, 0.25) == ["fell"]


def test_ways_are_measured_in_turn_round_by_round(capsys):
    measured = []

    def way(name):
        return lambda: measured.append(name) or len(measured)

    assert in_turn({"a": way("a"), "b": way("b")}, 2) == {"a": [1, 3], "b": [2, 4]}
    assert measured == ["a", "b", "a", "b"]
    assert capsys.readouterr().out.count("round") == 2


class Worker:
    """Works on a simulated clock, which replaces that of `parts`."""

    now = 0.0

    def perf_counter(self):
        return self.now

    def outer(self):
        self.now += 2
        self.inner()

    def inner(self):
        self.now += 5

    def each(self):
        for _ in range(2):
            self.inner()
            yield


@pytest.fixture
def worker(monkeypatch):
    found = Worker()
    monkeypatch.setattr(parts, "time", found)
    return found


def test_a_part_within_a_part_counts_for_the_outer_one_alone(worker):
    meter = parts.Parts()
    with meter.of((Worker, "outer", "outer"), (Worker, "inner", "inner")):
        worker.outer()
        worker.inner()
    assert meter.seconds == {"outer": 7, "inner": 5}


def test_a_part_that_yields_counts_only_while_it_makes_an_item(worker):
    meter = parts.Parts()
    with meter.of((Worker, "each", "each")):
        for _ in worker.each():
            worker.now += 100
    assert meter.seconds == {"each": 10}


def test_one_machine_sends_nothing_and_takes_only_its_computation():
    assert predict(10**6, 2, 1, 1e9, 1e-4, 0.5) == (0, 0.5)


def test_two_machines_send_each_players_gradients_once_and_wait_for_every_hop():
    sent, seconds = predict(1000, 2, 2, 8e6, 1e-3, 0.5)
    assert sent == 4 * 2 * (1000 + METRICS)
    # for each player one bucket and its metrics, and one decision; 2 hops each
    assert seconds == pytest.approx(0.5 + sent / 1e6 + 5 * 2 * 1e-3)


@pytest.mark.parametrize(
    ("size", "buckets"), [(FIRST, 1), (FIRST + 4, 2), (FIRST + BUCKET, 2), (FIRST + BUCKET + 4, 3)]
)
def test_gradients_are_sent_in_buckets_of_which_the_first_is_small(size, buckets):
    _, seconds = predict(size // 4, 1, 2, float("inf"), 1.0, 0.0)
    assert seconds == 2 * (buckets + 1 + 1)
