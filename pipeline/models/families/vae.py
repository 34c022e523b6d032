"""Family `vae`: the variational autoencoder (Kingma & Welling 2014)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn

from pipeline.contents.base import DataSpec
from pipeline.models import likelihoods, networks
from pipeline.models.families.base import Batch, Family, OptimiserSettings
from pipeline.models.likelihoods import Likelihood
from pipeline.models.losses import Losses
from pipeline.models.priors import PRIORS
from pipeline.params.sections import VaeParams
from pipeline.system.rng import Noise

LOGVAR = (-12.0, 8.0)
"""Bounds of the posterior's log variance, beyond which float32 is not accurate."""
DRAWS = 64
"""Draws of z for each item, for the importance-weighted bound."""
ACTIVE = 0.01
"""A latent unit is active where the variance of its posterior mean over data exceeds this (Burda et al. 2016)."""


class Autoencoder(nn.Module):
    """q(z | x), p(x | z), and the parameters of the likelihood."""

    def __init__(self, spec: DataSpec, params: VaeParams, likelihood: Likelihood) -> None:
        """Build the networks; the decoder has the channels that the likelihood takes."""
        super().__init__()
        self.encoder = networks.encoder(spec, 2 * params.latent_dim, params.width, params.blocks)
        self.decoder = networks.decoder(spec, params.latent_dim, params.width, params.blocks, likelihood.channels)
        self.likelihood = likelihood

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and logvar of q(z | x), each (n, latent_dim)."""
        mu, logvar = self.encoder(x).float().chunk(2, dim=1)
        return mu, logvar.clamp(*LOGVAR)


class Vae(Family):
    """One player: the autoencoder maximises the evidence lower bound."""

    Params = VaeParams
    players: ClassVar[tuple[str, ...]] = ("autoencoder",)
    amortised: ClassVar[bool] = True

    def __init__(self, spec: DataSpec, params: VaeParams) -> None:
        """Build encoder, decoder, likelihood and prior."""
        super().__init__(spec, params)
        self.params = params
        self.autoencoder = Autoencoder(spec, params, likelihoods.build(spec, params))
        self.prior = PRIORS[params.prior](params.latent_dim, params.components)

    @property
    def exact(self) -> bool:
        """Whether its likelihood is that of the stored values."""
        return self.autoencoder.likelihood.exact

    def optimiser(self, player: str) -> OptimiserSettings:
        """Return Adam's settings."""
        return OptimiserSettings(self.params.learning_rate)

    def loss(self, player: str, batch: Batch, noise: Noise, progress: float) -> Losses:
        """Return -log p(x | z) + beta * KL(q(z | x) || N(0, I)), in nats, the mean over the batch (eq. 7 and 10).

        log p(x | z) is the likelihood's `objective`. Up to the likelihood's `free_nats`, the KL of a dimension costs
        nothing (Kingma et al. 2016, eq. 15, here item by item, so that a batch can be divided among processes): a
        strong decoder does not learn to ignore z.
        """
        x, likelihood = batch.items, self.autoencoder.likelihood
        mu, logvar = self.autoencoder.posterior(x)
        h = self.autoencoder.decoder(_draw(mu, logvar, noise))
        log_px_z = likelihood.objective(h, x, noise).mean()
        each = _kl(mu, logvar)
        kl = each.sum(1).mean()
        penalty = each.clamp_min(likelihood.free_nats).sum(1).mean() if likelihood.free_nats else kl
        warmup = self.params.warmup
        beta = self.params.beta * min(1.0, progress / warmup) if warmup else self.params.beta
        total = beta * penalty - log_px_z
        return Losses(total, {"loss": total, "elbo": log_px_z - kl, "log_px_z": log_px_z, "kl": kl})

    def latents(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw from the prior: N(0, I), or the mixture once it is fitted."""
        return self.prior.draw(n, rng)

    def decode(self, z: Tensor, u: Tensor | None = None) -> Tensor:
        """Return the mean of p(x | z), or tokens of it."""
        return self.autoencoder.likelihood.decode(self.autoencoder.decoder(z), u)

    @torch.no_grad()
    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """Return log p(x | z) in nats, (n,)."""
        return self.autoencoder.likelihood.log_prob(self.autoencoder.decoder(z), x)

    @torch.no_grad()
    def project(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return the posterior's mean."""
        return self.autoencoder.posterior(x)[0]

    @torch.no_grad()
    def score(self, batches: Iterable[Tensor], rng: torch.Generator) -> dict[str, Tensor]:
        """Return nats of each item, and active_units.

        The ELBO is that under N(0, I), whatever the prior of samples; it takes one draw of z for each item.
        """
        likelihood = self.autoencoder.likelihood
        noise, mus, rows = Noise(rng), [], []
        for x in batches:
            mu, logvar = self.autoencoder.posterior(x)
            log_px_z = likelihood.log_prob(self.autoencoder.decoder(_draw(mu, logvar, noise)), x)
            mus.append(mu)
            rows.append(torch.stack([log_px_z, _kl(mu, logvar).sum(1)], 1).double())
        log_px_z, kl = torch.cat(rows).unbind(1)
        active = (torch.cat(mus).var(0, correction=0) > ACTIVE).sum().double()
        return {"elbo": log_px_z - kl, "log_px_z": log_px_z, "kl": kl, "active_units": active}

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

    def check(self) -> None:
        """Refuse a prior that is not a distribution."""
        self.prior.check()

    @torch.no_grad()
    def finish(self, batches: Iterable[Tensor], rng: torch.Generator) -> None:
        """Fit the prior to the aggregate posterior: one draw of z for each item, of as many items as it takes."""
        noise = Noise(rng)
        self.prior.fit((_draw(*self.autoencoder.posterior(x), noise) for x in batches), rng)


def _draw(mu: Tensor, logvar: Tensor, noise: Noise) -> Tensor:
    """Return mu + sigma * noise."""
    return mu + torch.exp(0.5 * logvar) * noise(*mu.shape).to(mu.device)


def _kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return KL(N(mu, exp(logvar)) || N(0, I)) of each dimension in nats, (n, latent_dim)."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)
