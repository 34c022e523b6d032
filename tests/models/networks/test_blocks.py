import pytest
import torch
from torch.nn.functional import group_norm

from pipeline.models.networks.blocks import GROUP, norm


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_groups_of_channels_are_normalised_in_float32_whatever_the_precision(mixed, dtype):
    h = torch.randn(3, 2 * GROUP, 5, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    layer = norm(2 * GROUP)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        found = layer(h)
    assert found.dtype == torch.float32
    assert torch.equal(found, group_norm(h.float(), 2, layer.weight, layer.bias))
