import csv

from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.checkpoint_io import _pack, _unpack
from pipeline.training.curves import Curves

METRICS = st.lists(
    st.tuples(st.sampled_from(["train/loss", "val/elbo"]), st.floats(-1e6, 1e6), st.integers(0, 40)), max_size=30
)


def written(curves, folder):
    curves.write(folder)
    return {path.relative_to(folder).as_posix(): list(csv.reader(path.open())) for path in folder.rglob("*.csv")}


def test_a_curve_is_the_mean_over_each_epoch_counted_from_one(tmp_path):
    curves = Curves(steps_per_epoch=2)
    curves.add([("train/loss", 1.0, 0), ("train/loss", 2.0, 1), ("val/elbo", -7.0, 1), ("train/loss", 5.0, 2)])
    assert written(curves, tmp_path) == {
        "train/loss.csv": [["epoch", "value"], ["1", "1.5"], ["2", "5"]],
        "val/elbo.csv": [["epoch", "value"], ["1", "-7"]],
    }


def test_epochs_are_written_in_their_order_whatever_the_order_they_came_in(tmp_path):
    curves = Curves(steps_per_epoch=1)
    curves.add([("train/loss", float(step), step) for step in (3, 10, 0, 2)])
    assert [row[0] for row in written(curves, tmp_path)["train/loss.csv"][1:]] == ["1", "3", "4", "11"]


@given(before=METRICS, after=METRICS)
def test_curves_that_went_through_a_checkpoint_go_on_as_if_they_had_not(before, after):
    whole, first, second = Curves(4), Curves(4), Curves(4)
    whole.add(before)
    whole.add(after)
    first.add(before)
    second.load(_unpack(_pack(first.state(), {}), {}))
    second.add(after)
    assert second.state() == whole.state()


def test_a_state_does_not_change_with_the_curves_that_gave_it():
    curves = Curves(1)
    curves.add([("train/loss", 1.0, 0)])
    state = curves.state()
    curves.add([("train/loss", 1.0, 0), ("train/loss", 1.0, 1)])
    assert state == {"train/loss": {0: (1.0, 1)}}


def test_no_metrics_leave_no_files(tmp_path):
    assert written(Curves(1), tmp_path) == {}
