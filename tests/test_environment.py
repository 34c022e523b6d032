import platform
from importlib.metadata import version

import numpy as np
import torch
from stages import ROOT

from pipeline import environment
from pipeline.params import Params

RUNTIME = Params.load(ROOT).runtime


def test_what_bits_depend_on_is_named():
    found = environment.describe(RUNTIME.model_copy(update={"accelerator": "cpu"}))
    assert found["python"] == platform.python_version()
    assert found["accelerator"] == "cpu"
    assert found["packages"]["numpy"] == np.__version__
    assert found["packages"]["pytorch-lightning"] == version("pytorch_lightning")
    assert found["runtime"].keys() == {"accelerator", "devices", "nodes", "precision"}
    assert all(found[name] for name in ("torch", "platform", "cpu", "instructions"))


def test_it_is_the_same_each_time_but_for_another_number_of_threads():
    before = environment.describe(RUNTIME)
    assert environment.describe(RUNTIME) == before
    torch.set_num_threads(2)
    try:
        assert environment.describe(RUNTIME) == before | {"threads": 2}
    finally:
        torch.set_num_threads(1)


def test_a_machine_without_cpuinfo_has_a_processor_all_the_same(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "CPUS", tmp_path / "none")
    assert environment.describe(RUNTIME)["cpu"]
