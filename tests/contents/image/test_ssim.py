import subprocess
import sys

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from pipeline.contents.image.ssim import ssim

HEAVY = ("torchmetrics", "torchvision", "scipy", "matplotlib")
SCORED = f"""
import sys
import numpy as np
from pipeline.contents.image.content import ImageContent
raws = np.zeros((2, 16, 16, 1), np.uint8)
ImageContent(16, 1).reconstruction_scores(raws, raws)
print([name for name in {HEAVY} if name in sys.modules])
"""


@pytest.mark.parametrize(("n", "channels", "size"), [(1, 1, 28), (256, 1, 28), (7, 3, 32), (2, 3, 17)])
def test_it_has_the_very_bits_of_torchmetrics(n, channels, size):
    rng = np.random.default_rng(n)
    x, noise = (rng.integers(0, 256, (n, size, size, channels)) / 255 for _ in range(2))
    a, b = (torch.from_numpy(each).permute(0, 3, 1, 2) for each in (0.8 * x + 0.2 * noise, x))
    expected = structural_similarity_index_measure(a, b, data_range=1.0, reduction="none")
    assert torch.equal(ssim(a, b), torch.atleast_1d(expected))


def test_scores_of_reconstructions_import_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", SCORED], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
