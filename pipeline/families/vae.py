"""Family `vae`: the variational autoencoder (Kingma & Welling 2014)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from pipeline.contents.base import DataSpec
from pipeline.families.base import Family, Losses, OptimiserSettings
from pipeline.likelihoods import LIKELIHOODS
from pipeline.networks import Decoder, Encoder
from pipeline.priors import GaussianMixture, StandardNormal
from pipeline.rng import Noise

PATCH = 4
LOGVAR = (-12.0, 8.0)
"""Bounds of the posterior's log variance: outside of them, float32 gains nothing."""
DRAWS = 64
"""Of z an item, for the importance-weighted bound."""
ACTIVE = 0.01
"""A latent unit is active where the variance of its posterior mean over data exceeds this (Burda et al. 2016)."""


class Autoencoder(nn.Module):
    """q(z | x), p(x | z), and the parameters of the likelihood."""

    def __init__(self, spec: DataSpec, latent_dim: int, width: int, blocks: int, likelihood: str) -> None:
        """Set the sizes."""
        super().__init__()
        self.encoder = Encoder(spec, 2 * latent_dim, width, blocks, PATCH)
        self.decoder = Decoder(spec, latent_dim, width, blocks, PATCH)
        self.likelihood = LIKELIHOODS[likelihood](spec)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and logvar of q(z | x), each (n, latent_dim)."""
        mu, logvar = self.encoder(x).float().chunk(2, dim=1)
        return mu, logvar.clamp(*LOGVAR)


class Vae(Family):
    """A game of one: the autoencoder maximises the evidence lower bound."""

    players: ClassVar[tuple[str, ...]] = ("autoencoder",)
    amortised: ClassVar[bool] = True

    def __init__(
        self,
        spec: DataSpec,
        latent_dim: int,
        width: int,
        blocks: int,
        learning_rate: float,
        beta: float,
        warmup: float,
        likelihood: str,
        prior: Literal["normal", "mixture"],
        components: int,
    ) -> None:
        """Set what params.yaml's section `vae` holds."""
        super().__init__(spec)
        self.learning_rate, self.beta, self.warmup = learning_rate, beta, warmup
        self.autoencoder = Autoencoder(spec, latent_dim, width, blocks, likelihood)
        normal = prior == "normal"
        self.prior = StandardNormal(latent_dim) if normal else GaussianMixture(latent_dim, components)

    def optimiser(self, player: str) -> OptimiserSettings:
        """Return Adam's settings."""
        return OptimiserSettings(self.learning_rate)

    def loss(self, player: str, x: Tensor, noise: Noise, progress: float) -> Losses:
        """Return -log p(x | z) + beta * KL(q(z | x) || N(0, I)), in nats, the mean over the batch (eq. 7 and 10)."""
        mu, logvar = self.autoencoder.posterior(x)
        log_px_z = self.autoencoder.likelihood.log_prob(self.autoencoder.decoder(_draw(mu, logvar, noise)), x).mean()
        kl = _kl(mu, logvar).mean()
        beta = self.beta * min(1.0, progress / self.warmup) if self.warmup else self.beta
        total = beta * kl - log_px_z
        return Losses(total, {"loss": total, "elbo": log_px_z - kl, "log_px_z": log_px_z, "kl": kl})

    def latents(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw from the prior: N(0, I), or the mixture once it is fitted."""
        return self.prior.draw(n, rng)

    def decode(self, z: Tensor) -> Tensor:
        """Return the mean of p(x | z)."""
        return self.autoencoder.likelihood.mean(self.autoencoder.decoder(z))

    @torch.no_grad()
    def project(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return the posterior's mean."""
        return self.autoencoder.posterior(x)[0]

    @torch.no_grad()
    def score(self, batches: Iterable[Tensor], rng: torch.Generator) -> dict[str, Tensor]:
        """Return nats of each item, bits_per_dim where the likelihood is one of integers, and active_units.

        The ELBO is that under N(0, I), whatever samples are drawn from; it takes one draw of z an item.
        """
        likelihood, dims = self.autoencoder.likelihood, math.prod(self.spec.shape)
        noise, mus, rows = Noise(rng), [], []
        for x in batches:
            mu, logvar = self.autoencoder.posterior(x)
            log_px_z = likelihood.log_prob(self.autoencoder.decoder(_draw(mu, logvar, noise)), x)
            mus.append(mu)
            rows.append(torch.stack([log_px_z, _kl(mu, logvar)], 1).double())
        log_px_z, kl = torch.cat(rows).unbind(1)
        figures = {"elbo": log_px_z - kl, "log_px_z": log_px_z, "kl": kl}
        if likelihood.exact:
            figures["bits_per_dim"] = (kl - log_px_z) / (dims * math.log(2))
        return figures | {"active_units": (torch.cat(mus).var(0, correction=0) > ACTIVE).sum().double()}

    @torch.no_grad()
    def bounds(self, x: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """Return log 1/K sum_k p(x, z_k) / q(z_k | x) under N(0, I), K = 64 (Burda et al. 2016, eq. 8)."""
        mu, logvar = self.autoencoder.posterior(x)
        noise, weights = Noise(rng), []
        for _ in range(DRAWS):
            z = _draw(mu, logvar, noise)
            log_px_z = self.autoencoder.likelihood.log_prob(self.autoencoder.decoder(z), x).double()
            # log N(z; 0, I) - log N(z; mu, sigma^2)
            ratio = 0.5 * ((z - mu).square() / logvar.exp() + logvar - z.square()).sum(1)
            weights.append(log_px_z + ratio)
        return {"iw_elbo": torch.logsumexp(torch.stack(weights), 0) - math.log(DRAWS)}

    @torch.no_grad()
    def finish(self, batches: Iterable[Tensor], rng: torch.Generator) -> None:
        """Fit the prior to the aggregate posterior: one draw of z an item of train."""
        noise = Noise(rng)
        self.prior.fit(torch.cat([_draw(*self.autoencoder.posterior(x), noise) for x in batches]), rng)


def _draw(mu: Tensor, logvar: Tensor, noise: Noise) -> Tensor:
    """Return mu + sigma * noise."""
    return mu + torch.exp(0.5 * logvar) * noise(*mu.shape).to(mu.device)


def _kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return KL(N(mu, exp(logvar)) || N(0, I)) in nats, (n,)."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1)
