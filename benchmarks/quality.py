"""Time to quality: the `train` stage, cut short, against what people would use instead, given five minutes.

The opponents are pythae's VAE with its default convolutional networks and trainer, and a plain DCGAN (Radford et al.
2016) for the GAN. Theirs is the time within the loop of training; ours is that of the whole stage, from the start of
its process to the model on disk, with tracking and checkpoints. All are scored in one way: fid_in_domain of as many
samples as there are items of test, and for the VAE reconstruction_loss over all of test. Samples are each one's own:
pythae's from N(0, I), ours from the mixture that training ends with.
Run from a workspace: python benchmarks/quality.py [--family gan] [--epochs 3] [--source fashion-mnist]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm
from turns import machine
from workspaces import stage, workspace

from pipeline import artefacts, extractors, models, project
from pipeline.artefacts import PreparedData
from pipeline.metrics.features import compact
from pipeline.metrics.frechet import distance, moments
from pipeline.params import Params
from pipeline.reference import Reference
from pipeline.rng import torch_rng

BATCH = 64
EPOCHS = {"vae": 1, "gan": 2}
"""Of ours, which are enough to be better than what it is held against."""
Pixels = NDArray[np.uint8]


class TimeUp(Exception):  # noqa: N818 - no error
    """Ends a training that would go on."""


@dataclass(frozen=True)
class Trained:
    """What scoring needs of a model: samples, reconstructions if it has any, and how long it was trained."""

    seconds: float
    sample: Callable[[int], Pixels]
    reconstruct: Callable[[Pixels], Pixels] | None


def pixels(x: Tensor) -> Pixels:
    """Return values in [0, 1] as they are stored."""
    return (x.clamp(0, 1) * 255).round().byte().numpy()


def pieces(array: Pixels) -> Iterator[Tensor]:
    """Yield a stored array in [0, 1], some items at a time."""
    for start in range(0, len(array), 500):
        yield torch.from_numpy(np.array(array[start : start + 500])).float() / 255


@torch.no_grad()
def autoencoder(data: PreparedData, latent_dim: int, seconds: float) -> Trained:
    """Train pythae's VAE as its documentation does, with its defaults."""
    from pythae.models import VAE, VAEConfig
    from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    begin = time.perf_counter()

    class Watch(TrainingCallback):
        def on_train_step_end(self, training_config: object, **_: object) -> None:
            if time.perf_counter() - begin > seconds:
                raise TimeUp

    config = VAEConfig(input_dim=data.spec.shape, latent_dim=latent_dim)
    model = VAE(config, encoder=Encoder_Conv_VAE_MNIST(config), decoder=Decoder_Conv_AE_MNIST(config))
    train = np.asarray(data.array("train")) / np.float32(255)
    with tempfile.TemporaryDirectory() as folder, torch.enable_grad():
        run = TrainingPipeline(model=model, training_config=BaseTrainerConfig(output_dir=folder, num_epochs=10_000))
        begin = time.perf_counter()
        try:
            run(train_data=train, callbacks=[Watch()])
        except TimeUp:
            taken = time.perf_counter() - begin
    model.eval()

    @torch.no_grad()
    def sample(n: int) -> Pixels:
        z = torch.randn(n, latent_dim, generator=torch_rng(0, "sample"))
        return np.concatenate([pixels(model.decoder(some)["reconstruction"]) for some in z.split(500)])

    @torch.no_grad()
    def reconstruct(array: Pixels) -> Pixels:
        codes = (model.encoder(x)["embedding"] for x in pieces(array))
        return np.concatenate([pixels(model.decoder(mu)["reconstruction"]) for mu in codes])

    return Trained(taken, sample, reconstruct)


def dcgan(data: PreparedData, seconds: float, latent_dim: int = 100, width: int = 64) -> Trained:
    """Train a DCGAN: transposed convolutions, batch normalisation, cross-entropy, Adam with its authors' settings."""
    channels, side = data.spec.shape[0], data.spec.shape[1]
    coarse = side // 4
    up = partial(nn.ConvTranspose2d, kernel_size=4, stride=2, padding=1, bias=False)
    down = partial(nn.Conv2d, kernel_size=4, stride=2, padding=1, bias=False)
    generator = nn.Sequential(
        nn.Unflatten(1, (latent_dim, 1, 1)),
        nn.ConvTranspose2d(latent_dim, 2 * width, coarse, bias=False),
        *[nn.BatchNorm2d(2 * width), nn.ReLU()],
        up(2 * width, width),
        *[nn.BatchNorm2d(width), nn.ReLU()],
        up(width, channels),
        nn.Tanh(),
    )
    critic = nn.Sequential(
        down(channels, width),
        nn.LeakyReLU(0.2),
        down(width, 2 * width),
        *[nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2)],
        nn.Conv2d(2 * width, 1, coarse, bias=False),
        nn.Flatten(0),
    )
    for layer in [*generator.modules(), *critic.modules()]:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0, 0.02)
    players = [torch.optim.Adam(each.parameters(), 2e-4, betas=(0.5, 0.999)) for each in (critic, generator)]
    array, begin, order = torch.from_numpy(np.array(data.array("train"))), time.perf_counter(), iter(())
    with tqdm(total=round(seconds), desc="DCGAN", unit="s") as bar:
        while (taken := time.perf_counter() - begin) < seconds:
            bar.update(int(taken) - bar.n)
            chosen = next(order, None)
            if chosen is None:
                order = iter(torch.randperm(len(array)).split(BATCH))
                continue
            x = array[chosen].float() / 127.5 - 1
            made = generator(torch.randn(len(x), latent_dim))
            real, fake = critic(x), critic(made.detach())
            loss = F.softplus(-real).mean() + F.softplus(fake).mean()
            for player, total in ((0, loss), (1, None)):
                total = F.softplus(-critic(made)).mean() if total is None else total
                players[player].zero_grad()
                total.backward()
                players[player].step()
    generator.eval()

    @torch.no_grad()
    def sample(n: int) -> Pixels:
        z = torch.randn(n, latent_dim, generator=torch_rng(0, "sample"))
        return np.concatenate([pixels((generator(some) + 1) / 2) for some in z.split(500)])

    return Trained(taken, sample, None)


def prepared(root: Path, folder: Path, source: str, family: str, epochs: int) -> Path:
    """Run the stages before `train` in a workspace of its own, and return it."""
    workspace(folder, root, {"prepare.source": source, "family": family, "train.epochs": epochs})
    for each in ("prepare", "features"):
        stage(each, folder)
    return folder


def ours(folder: Path) -> Trained:
    """Run the `train` stage."""
    begin = time.perf_counter()
    stage("train", folder)
    taken = time.perf_counter() - begin
    model = models.load(folder / artefacts.MODEL)

    def reconstruct(array: Pixels) -> Pixels:
        spec, rng = model.content.spec, torch_rng(0, "reconstruct")
        parts = (spec.scale(torch.from_numpy(np.array(part))) for part in np.array_split(array, 20))
        with torch.no_grad():
            return np.concatenate([spec.quantise(model.family.reconstruct(x, rng)) for x in parts])

    return Trained(taken, lambda n: model.sample(n, 0), reconstruct if model.family.amortised else None)


def score(trained: Trained, data: PreparedData, features: Path) -> dict[str, float]:
    """Return fid_in_domain, and reconstruction_loss of what reconstructs, over all of test."""
    test, reference = np.array(data.array("test")), Reference.read(features)
    sampled = extractors.load(features, data.spec).features(trained.sample(len(test)))
    real, drawn = compact(reference.test, sampled)
    found = {"seconds": trained.seconds, "fid_in_domain": distance(moments(real), moments(drawn))}
    if trained.reconstruct:
        off = (trained.reconstruct(test).astype(np.float32) - test) / 255
        found["reconstruction_loss"] = float(np.square(off).mean())
    return found


def main() -> None:
    """Train both, score both, and print who was how good after which time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=list(EPOCHS), default="vae")
    parser.add_argument("--epochs", type=int, help="of ours; 1 of the VAE and 2 of the GAN by default")
    parser.add_argument("--seconds", type=float, default=300, help="that the opponent trains")
    parser.add_argument("--source", default="fashion-mnist")
    words = parser.parse_args()
    gan = words.family == "gan"
    with tempfile.TemporaryDirectory() as name:
        epochs = words.epochs or EPOCHS[words.family]
        folder = prepared(project.workspace(), Path(name), words.source, words.family, epochs)
        data, features = PreparedData.open(folder), folder / artefacts.FEATURES
        mine = score(ours(folder), data, features)
        latent_dim = Params.load(folder).vae.latent_dim
        other = dcgan(data, words.seconds) if gan else autoencoder(data, latent_dim, words.seconds)
        theirs = score(other, data, features)
    print(machine("pythae", "pytorch-lightning"))
    for name, found in (("ours", mine), ("a plain DCGAN" if gan else "pythae's VAE", theirs)):
        print(name, ", ".join(f"{key} {value:.4g}" for key, value in found.items()))
    reached = all(mine[key] <= value for key, value in theirs.items() if key != "seconds")
    print(f"ours is {'as good' if reached else 'not as good'} in {mine['seconds'] / theirs['seconds']:.2f} of the time")


if __name__ == "__main__":
    main()
