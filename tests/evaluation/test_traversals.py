import pytest
import torch

from pipeline.contents.base import DataSpec
from pipeline.evaluation import traversals
from pipeline.evaluation.traversals import ITEMS, ROWS, STEPS, traverse
from pipeline.models.families import FAMILIES
from pipeline.system.rng import torch_rng


class Painter:
    """A family in which each dimension of the latent sets one pixel, with its own strength."""

    spec = DataSpec((1, 7), "sequence")
    strengths = torch.tensor([0.0, 1.0, 0.1, 5.0, 0.5, 2.0, 0.0])
    mean, deviation = 10.0, 2.0

    def latents(self, n, rng):
        return self.mean + self.deviation * torch.randn(n, len(self.strengths), generator=rng)

    def decode(self, z):
        return (z * self.strengths)[:, None]


@pytest.fixture(params=FAMILIES)
def family(request, toy):
    return toy.family(request.param)


def test_every_family_can_be_traversed_reproducibly(family):
    first, second = (traverse(family, torch_rng(0, "traverse")) for _ in range(2))
    dimensions = min(ROWS, family.latents(1, torch_rng(0, "any")).shape[1])
    assert first.x.shape == (ITEMS * dimensions * STEPS, *family.spec.shape)
    assert len(first.captions) == len(first.x)
    assert torch.equal(first.x, second.x)
    assert first.x.unflatten(0, (-1, STEPS)).std(1).max() > 0


def test_the_dimensions_that_change_most_come_first_and_are_named():
    found = traverse(Painter(), torch_rng(0, "traverse"))
    named = [text for text in found.captions if text]
    assert named == ["z[3]", "z[5]", "z[1]", "z[4]", "z[2]"] * ITEMS
    assert [i for i, text in enumerate(found.captions) if text] == list(range(0, len(found.captions), STEPS))


def test_a_walk_moves_one_dimension_through_the_range_of_the_prior_and_no_other():
    x = traverse(Painter(), torch_rng(0, "traverse")).x.squeeze(1).unflatten(0, (ITEMS, ROWS, STEPS))
    walked = x[:, 0, :, 3] / Painter.strengths[3]
    ends = (Painter.mean + sign * traversals.FURTHEST * Painter.deviation for sign in (-1, 1))
    assert walked[0, [0, -1]].tolist() == pytest.approx(list(ends), abs=0.5)
    assert torch.equal(walked, walked[:1].expand_as(walked))
    others = [i for i in range(len(Painter.strengths)) if i != 3]
    assert x[:, 0][..., others].std(1).max() == 0
    assert x[:, 0][..., others].std(0).max() > 0
