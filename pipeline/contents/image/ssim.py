"""SSIM of images (Wang et al. 2004), bit for bit that of torchmetrics, without its import, which takes seconds."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

REACH, SIGMA = 5, 1.5
"""Pixels of a window on each side of its centre, and the standard deviation of its Gaussian weights."""
LUMINANCE, CONTRAST = 0.01**2, 0.03**2
"""C1 and C2 of equation 13, for pixels in [0, 1]."""


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return the mean SSIM (n,) over all windows of pairs of images (n, channels, height, width) in [0, 1]."""
    n, channels = x.shape[:2]
    line = torch.exp(-((torch.arange(-REACH, REACH + 1, dtype=x.dtype) / SIGMA) ** 2) / 2)
    line = line / line.sum()
    window = torch.outer(line, line).expand(channels, 1, -1, -1)
    x, y = (F.pad(each, (REACH,) * 4, mode="reflect") for each in (x, y))
    moments = F.conv2d(torch.cat((x, y, x * x, y * y, x * y)), window, groups=channels)
    mu_x, mu_y, xx, yy, xy = torch.split(moments, n)
    variances = (xx - mu_x**2).clamp(min=0) + (yy - mu_y**2).clamp(min=0)
    covariance = xy - mu_x * mu_y
    above = (2 * (mu_x * mu_y) + LUMINANCE) * (2 * covariance + CONTRAST)
    below = (mu_x**2 + mu_y**2 + LUMINANCE) * (variances + CONTRAST)
    return torch.flatten(above / below, 1).mean(1)
