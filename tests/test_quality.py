"""Small trainings on real images: scores stay in recorded bands, and leave them if a term of the loss is missing."""

import copy
import shutil

import pytest
import torch
import yaml
from stages import PARAMS, ROOT
from torch.nn import functional
from trainings import RUNTIME

from pipeline.data.batches import Batches, scaled
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import scoring
from pipeline.models import families
from pipeline.models.families.gan import Gan
from pipeline.models.families.vae import Vae
from pipeline.models.losses import Losses
from pipeline.models.saved import SavedModel
from pipeline.models.storage import Model
from pipeline.params import EvaluateParams, TrainParams
from pipeline.stages import features, prepare
from pipeline.system import project
from pipeline.system.rng import key, torch_rng
from pipeline.training.module import FamilyModule
from pipeline.training.trainer import fit

SMALL = {
    "image": {"side": 16, "channels": 1},
    "features": PARAMS["features"] | {"epochs": 2, "width": 8, "dimensions": 16},
    "vae": PARAMS["vae"] | {"latent_dim": 8, "width": 16, "blocks": 0, "components": 4},
    "gan": PARAMS["gan"] | {"latent_dim": 16, "width": 32, "blocks": 0, "projection_steps": 10, "projection_starts": 1},
    "train": PARAMS["train"] | {"batch_size": 70, "warmup_steps": 10, "ema": 0.98},
}
EPOCHS = {"vae": 2, "gan": 3}
BANDS = {
    "vae": {
        "fid_in_domain": (3.8, 7.0),
        "coverage": (0.12, 0.25),
        "reconstruction_loss": (0.017, 0.026),
        "elbo": (-1335, -1318),
        "kl": (14.4, 16.2),
    },
    "gan": {"fid_in_domain": (6, 19), "coverage": (0.11, 0.25), "reconstruction_loss": (0.05, 0.07)},
}
"""Mean of five seeds plus and minus three standard deviations: another processor has an effect like another seed."""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A workspace with prepared small images and their extractor."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "data").mkdir()
    (folder / "data" / "raw").symlink_to(ROOT / "data" / "raw")
    shutil.copy(ROOT / "dvc.yaml", folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(copy.deepcopy(PARAMS) | SMALL))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        prepare.main()
        features.main()
    return folder


def outside(workspace, name, checkpoints, precision="32-true"):
    """Train a family, and return the scores outside its bands."""
    data = PreparedData.open(workspace)
    settings = TrainParams(**SMALL["train"] | {"epochs": EPOCHS[name]})
    batches = Batches(data.array("train"), settings.batch_size, 0, lambda: game.done)
    with torch.random.fork_rng():
        torch.manual_seed(key(0, "weights"))
        family = families.build(name, SMALL[name], data.spec)
    game = FamilyModule(family, settings, len(batches), 0)
    trained = fit(game, batches, RUNTIME.model_copy(update={"precision": precision}), checkpoints)
    trained.finish(scaled(data.array("train"), data.spec), torch_rng(0, "finish"))
    model = Model(trained.requires_grad_(False).eval(), data.content, SavedModel(name, "image", {}, data.digest))
    found = scoring.evaluate(
        model, data, workspace / project.FEATURES, EvaluateParams(samples=1000, reconstructions=50), 0
    ).scores
    return {score: found[score] for score, (low, high) in BANDS[name].items() if not low <= found[score] <= high}


@pytest.mark.parametrize("precision", ["32-true", pytest.param("bf16-mixed", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", BANDS)
def test_a_family_learns_as_well_as_it_did(small, name, tmp_path, precision):
    assert outside(small, name, tmp_path, precision) == {}


def without_kl(self, player, batch, noise, progress):
    whole = WHOLE["vae"](self, player, batch, noise, progress)
    return Losses(-whole.terms["log_px_z"], whole.terms)


def without_likelihood(self, player, batch, noise, progress):
    whole = WHOLE["vae"](self, player, batch, noise, progress)
    return Losses(whole.terms["kl"], whole.terms)


def critic_of(on_data, on_samples):
    """Return a loss of the GAN in which the terms of the critic's hinge loss have these weights."""

    def loss(self, player, batch, noise, progress):
        if player == "generator":
            return WHOLE["gan"](self, player, batch, noise, progress)
        x = batch.items
        with torch.no_grad():
            samples = self.generator(noise(len(x), self.params.latent_dim))
        real, drawn = self.critic(torch.cat([x, samples])).split(len(x))
        return Losses(on_data * functional.relu(1 - real).mean() + on_samples * functional.relu(1 + drawn).mean())

    return loss


def with_the_generators_sign_flipped(self, player, batch, noise, progress):
    whole = WHOLE["gan"](self, player, batch, noise, progress)
    return Losses(-whole.total if player == "generator" else whole.total)


WHOLE = {"vae": Vae.loss, "gan": Gan.loss}
BROKEN = [
    pytest.param(Vae, without_kl, id="vae without its KL term"),
    pytest.param(Vae, without_likelihood, id="vae without its likelihood"),
    pytest.param(Gan, critic_of(0, 1), id="gan whose critic sees no data"),
    pytest.param(Gan, critic_of(1, 0), id="gan whose critic sees no samples"),
    pytest.param(Gan, with_the_generators_sign_flipped, id="gan whose generator helps the critic"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "loss"), BROKEN)
def test_a_broken_loss_takes_the_scores_out_of_their_bands(small, family, loss, monkeypatch, tmp_path):
    monkeypatch.setattr(family, "loss", loss)
    assert outside(small, family.__name__.lower(), tmp_path) != {}
