"""Families of models: a file each, with a section in params.yaml and its class in params/sections.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.contents.base import DataSpec
from pipeline.models.families.base import Family
from pipeline.models.families.gan import Gan
from pipeline.models.families.vae import Vae

FAMILIES: dict[str, type[Family]] = {"vae": Vae, "gan": Gan}


def build(name: str, params: Mapping[str, Any], spec: DataSpec) -> Family:
    """Return the family of that name, with the values of its section in params.yaml, for data of that spec."""
    family = FAMILIES[name]
    return family(spec, family.Params.model_validate(dict(params)))
