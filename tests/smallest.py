"""Settings of the smallest families that have every feature of large ones."""

import torch

from pipeline.contents.base import UNLABELLED
from pipeline.models.families.base import Batch

SETTINGS = {
    "vae": {
        "latent_dim": 4,
        "width": 8,
        "blocks": 1,
        "learning_rate": 3e-3,
        "beta": 1.0,
        "warmup": 0.0,
        "likelihood": "gaussian",
        "prior": "mixture",
        "components": 3,
        "tokens": {"context": 3, "word_dropout": 0.5, "free_bits": 0.5, "temperature": 1.0},
    },
    "gan": {
        "latent_dim": 4,
        "width": 8,
        "blocks": 1,
        "learning_rate": 2e-4,
        "critic_learning_rate": 4e-4,
        "projection_steps": 20,
        "projection_starts": 2,
        "tokens": {"gradient_penalty": 0.05, "temperature": 1.0},
    },
}


def batch(x):
    """Return items without labels as families take them."""
    return Batch(x, torch.full((len(x),), UNLABELLED))


def changed(settings, changes):
    """Return settings with others in place of some; a dot leads into a section inside."""
    found = dict(settings)
    for name, value in changes.items():
        section, _, field = name.partition(".")
        found[section] = changed(found[section], {field: value}) if field else value
    return found
