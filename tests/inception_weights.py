"""Weights of Inception-v3 in torch-fidelity's format, random and calibrated: python tests/inception_weights.py FILE."""

import io
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


class Blank(FeatureExtractorInceptionV3):
    """The network with its initial weights."""

    def load_state_dict(self, *_, **__):
        pass


def nothing():
    """Return a file of weights without any."""
    file = io.BytesIO()
    torch.save({}, file)
    file.seek(0)
    return file


@torch.no_grad()
def write(path, n=8, seed=0):
    """Write random weights, with batch normalisation calibrated on n random images of coloured patches.

    So features vary between images, and neither vanish nor grow with depth.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Blank("inception", ["2048"], feature_extractor_weights_path=nothing())
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
            layer.train()
    network(torch.from_numpy(images(n, 3, 32, seed)))
    torch.save(network.state_dict(), path)
    return path


def images(n, channels, side, seed=0):
    """Return images of coloured patches and noise, (n, channels, side, side) uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 200, (n, channels, 4, 4)).repeat(-(-side // 4), 2).repeat(-(-side // 4), 3)
    return (coarse[..., :side, :side] + rng.integers(0, 56, (n, channels, side, side))).astype(np.uint8)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
