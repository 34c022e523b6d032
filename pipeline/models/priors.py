"""Priors: the distributions that latents are drawn from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

MOST = 20_000
"""Latents that a mixture is fitted to, rounded up to whole batches: more of them change it little."""
ROUNDING = 1e-3
"""Largest deviation from 1 of the sum of a mixture's weights."""


class StandardNormal(nn.Module):
    """N(0, I)."""

    def __init__(self, latent_dim: int) -> None:
        """Set the size of the latent."""
        super().__init__()
        self.latent_dim = latent_dim

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Return n latents on the CPU, (n, latent_dim)."""
        return torch.randn(n, self.latent_dim, generator=rng)

    def fit(self, batches: Iterable[Tensor], rng: torch.Generator) -> None:
        """Do nothing: this prior has no parameters."""

    def check(self) -> None:
        """Do nothing: this prior has no parameters."""


class GaussianMixture(nn.Module):
    """A mixture with full covariances, fitted to the aggregate posterior after training (Ghosh et al. 2020, section 4).

    Until it is fitted, every component is N(0, I).
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, latent_dim: int, components: int) -> None:
        """Set the sizes; `factors` are the lower Cholesky factors of the covariances."""
        super().__init__()
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, latent_dim))
        self.register_buffer("factors", torch.zeros(components, latent_dim, latent_dim))
        self.factors.diagonal(dim1=1, dim2=2).fill_(1)

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Return n latents on the CPU, (n, latent_dim)."""
        which = torch.multinomial(self.weights.cpu(), n, replacement=True, generator=rng)
        noise = torch.randn(n, self.means.shape[1], generator=rng)
        return self.means.cpu()[which] + torch.einsum("nij,nj->ni", self.factors.cpu()[which], noise)

    def fit(self, batches: Iterable[Tensor], rng: torch.Generator) -> None:
        """Fit it to the first latents of batches (n, latent_dim), whose order has to be random.

        By expectation maximisation, from a seeded k-means, in float32: it takes two
        thirds of the time of float64 and reaches the same likelihood.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture as Estimator

        parts: list[Tensor] = []
        for z in batches:
            parts.append(z.float().cpu())
            if sum(map(len, parts)) >= MOST:
                break
        chosen = torch.cat(parts).numpy()
        state = int(torch.randint(2**31, (), generator=rng))
        components = min(len(self.weights), len(chosen))
        estimator = Estimator(components, reg_covar=1e-4, max_iter=50, tol=1e-3, random_state=state)
        with warnings.catch_warnings():
            # EM stopped at its fiftieth step is as good a prior
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(chosen)
        self.weights.zero_()[:components] = torch.from_numpy(estimator.weights_)
        self.means[:components] = torch.from_numpy(estimator.means_)
        self.factors[:components] = torch.linalg.cholesky(torch.from_numpy(estimator.covariances_).double())

    def check(self) -> None:
        """Refuse weights, or factors, of no mixture.

        Raises:
            ValueError: weights are negative or do not sum to 1, or factors are not those of covariances.
        """
        total = float(self.weights.sum())
        if (self.weights < 0).any() or abs(total - 1) > ROUNDING:
            raise ValueError(f"the mixture's weights are {float(self.weights.min()):g} and more, and sum to {total:g}")
        deviations = self.factors.diagonal(dim1=1, dim2=2)
        if (deviations <= 0).any() or self.factors.triu(1).any():
            raise ValueError("the mixture's factors are not lower triangles with positive diagonals")


PRIORS: dict[str, Callable[[int, int], StandardNormal | GaussianMixture]] = {
    "normal": lambda latent_dim, _: StandardNormal(latent_dim),
    "mixture": GaussianMixture,
}
"""By their names in params.yaml, from the size of the latent and the number of components."""
