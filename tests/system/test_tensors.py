import math

import pytest
import torch
from torch import nn

from pipeline.system import tensors
from pipeline.system.tensors import FACTORIES


def build():
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_a_network_gets_the_weights_that_it_is_given():
    whole = build()
    found = tensors.filled(build, whole.state_dict())
    assert {name: each.tolist() for name, each in found.state_dict().items()} == {
        name: each.tolist() for name, each in whole.state_dict().items()
    }
    assert all(each.device.type == "cpu" for each in found.parameters())


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        (
            "0.weight",
            torch.zeros(2, 2),
            r"0\.weight is float32 of the shape \(2, 2\), .* float32 of the shape \(2, 3\)",
        ),
        ("0.weight", torch.zeros(2, 3).double(), r"0\.weight is float64"),
        ("0.weight", torch.full((2, 3), -math.inf), r"0\.weight has values that are not finite"),
        ("1.running_mean", torch.full((2,), math.nan), r"1\.running_mean has values that are not finite"),
        ("2.weight", torch.zeros(1), r"2\.weight is .*, and in its network not there"),
        ("0.bias", None, r"0\.bias is not there, and in its network float32 of the shape \(2,\)"),
    ],
)
def test_weights_of_another_network_are_refused_by_name(name, tensor, said):
    weights = {key: each for key, each in (build().state_dict() | {name: tensor}).items() if each is not None}
    with pytest.raises(ValueError, match=said):
        tensors.filled(build, weights)


@pytest.mark.parametrize("size", [-1, 10**30])
def test_sizes_of_no_network_are_refused(size):
    with pytest.raises(ValueError, match="no network has these sizes"):
        tensors.filled(lambda: nn.Linear(size, 2), {})


@pytest.mark.parametrize("make", FACTORIES)
def test_what_would_fill_all_memory_is_not_made(make):
    def build():
        make(*([(1 << 40,), 1.0] if make == torch.full else [1 << 40]))
        pytest.fail("it was made")

    with pytest.raises(ValueError, match="many times as many weights"):
        tensors.filled(build, {"weight": torch.zeros(100)})


def test_a_network_of_very_many_small_layers_is_not_built_to_its_end():
    built = []
    with pytest.raises(ValueError, match="many times as many weights"):
        tensors.filled(lambda: nn.Sequential(*[built.append(1) or nn.Linear(100, 100) for _ in range(10**9)]), {})
    assert len(built) < 200
