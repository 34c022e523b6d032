"""Time to quality: the `train` stage with few epochs, against other people's models trained for five minutes.

The other models are pythae's VAE with its default convolutional networks and trainer, and for the GAN a plain DCGAN
(Radford et al. 2016). Their time is that of the training loop; ours is that of the whole stage, from the start of its
process to the model on disk, with tracking and checkpoints. All are scored alike: fid_in_domain of as many samples as
test has items, and for the VAE reconstruction_loss over all of test. pythae's samples are drawn from N(0, I), ours from
the mixture that training ends with, and for comparison from N(0, I) too. Each round has another seed for both.
Run from a workspace: python benchmarks/quality.py [--family gan] [--epochs 3] [--rounds 2] [--source fashion-mnist]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from library.dcgan import dcgan
from library.pythae_vae import autoencoder
from library.trained import Pixels, Trained
from library.turns import machine, ratios, spreads
from library.workspaces import change, prepared, stage

from pipeline.data.prepared import PreparedData
from pipeline.evaluation import extractors
from pipeline.evaluation.metrics.features import compact
from pipeline.evaluation.metrics.frechet import distance, moments
from pipeline.evaluation.reference import Reference
from pipeline.models import storage
from pipeline.params import Params
from pipeline.system import project
from pipeline.system.rng import torch_rng

EPOCHS = {"vae": 1, "gan": 2}
"""Epochs of ours that are enough for better scores than the other model's."""


def ours(folder: Path, seed: int) -> Trained:
    """Run the `train` stage."""
    change(folder, {"seed": seed})
    begin = time.perf_counter()
    stage("train", folder)
    taken = time.perf_counter() - begin
    model = storage.load(folder / project.MODEL)
    spec = model.content.spec

    @torch.no_grad()
    def reconstruct(array: Pixels) -> Pixels:
        rng = torch_rng(0, "reconstruct")
        parts = (spec.scale(torch.from_numpy(np.array(part))) for part in np.array_split(array, 20))
        return np.concatenate([spec.quantise(model.family.reconstruct(x, rng)) for x in parts])

    @torch.no_grad()
    def normal(n: int) -> Pixels:
        z = torch.randn(n, model.about.settings["latent_dim"], generator=torch_rng(0, "sample"))
        return np.concatenate([spec.quantise(model.family.decode(some)) for some in z.split(500)])

    trained = Trained(taken, lambda n: model.sample(n, 0))
    return replace(trained, reconstruct=reconstruct, normal=normal) if model.family.amortised else trained


def score(trained: Trained, data: PreparedData, features: Path) -> dict[str, float]:
    """Return a model's seconds, fid_in_domain, and reconstruction_loss over all of test if it reconstructs."""
    test, reference = np.array(data.array("test")), Reference.read(features)
    extractor = extractors.load(features, data.spec)

    def far(samples: Pixels) -> float:
        real, drawn = compact(reference.test, extractor.features(samples))
        return distance(moments(real), moments(drawn))

    found = {"seconds": trained.seconds, "fid_in_domain": far(trained.sample(len(test)))}
    if trained.normal:
        found["fid_in_domain from N(0, I)"] = far(trained.normal(len(test)))
    if trained.reconstruct:
        off = (trained.reconstruct(test).astype(np.float32) - test) / 255
        found["reconstruction_loss"] = float(np.square(off).mean())
    return found


def better(mine: Mapping[str, float], theirs: Mapping[str, float]) -> bool:
    """Return whether ours is at least as good in every score that the other model has."""
    return all(mine[key] <= value for key, value in theirs.items() if key != "seconds")


def main() -> None:
    """Train and score both, round by round, and print their scores and their seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=list(EPOCHS), default="vae")
    parser.add_argument("--epochs", type=int, help="of ours; 1 of the VAE and 2 of the GAN by default")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=300, help="of training of the other model")
    parser.add_argument("--source", default="fashion-mnist")
    words = parser.parse_args()
    opponent = {"vae": "pythae's VAE", "gan": "a plain DCGAN"}[words.family]
    mine, theirs = [], []
    print(machine("pythae", "pytorch-lightning"))
    with tempfile.TemporaryDirectory() as name:
        epochs = words.epochs or EPOCHS[words.family]
        changes = {"prepare.source": words.source, "family": words.family, "train.epochs": epochs}
        folder = prepared(Path(name), project.workspace(), changes)
        data, features, params = PreparedData.open(folder), folder / project.FEATURES, Params.load(folder)
        train = dcgan if words.family == "gan" else partial(autoencoder, latent_dim=params.vae.latent_dim)
        for seed in range(words.rounds):
            mine.append(score(ours(folder, seed), data, features))
            theirs.append(score(train(data, seconds=words.seconds, seed=seed), data, features))
            print(f"ours: {spreads(mine)}\n{opponent}: {spreads(theirs)}", flush=True)
    share = ratios(*([each["seconds"] for each in scores] for scores in (mine, theirs)))
    good = sum(map(better, mine, theirs))
    print(f"ours is as good in {good} of {words.rounds} rounds, in {share} of the time")


if __name__ == "__main__":
    main()
