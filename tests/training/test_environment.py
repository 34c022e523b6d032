import platform
from importlib.metadata import version

import numpy as np
import pytest
import torch
from stages import ROOT

from pipeline.params import Params
from pipeline.training import environment

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


def test_the_machine_is_described_without_reading_what_all_packages_say_of_themselves(monkeypatch):
    whole = environment.describe(RUNTIME)
    monkeypatch.delattr("importlib.metadata.distributions")
    assert environment.machine(RUNTIME).items() <= whole.items()
    assert whole.keys() - environment.machine(RUNTIME).keys() == {"runtime", "packages"}


def test_a_machine_without_cpuinfo_has_a_processor_all_the_same(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "CPUS", tmp_path / "none")
    assert environment.describe(RUNTIME)["cpu"]


@pytest.mark.parametrize(
    ("has", "precision"),
    [
        ({"avx512_bf16": True, "avx2": True}, "bf16-mixed"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bf16-mixed"),
        ({"avx512_bf16": False, "avx512_f": True}, "32-true"),
        ({}, "32-true"),
    ],
)
def test_precision_that_is_left_to_the_machine_is_bfloat16_where_its_processor_has_it(monkeypatch, has, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has, raising=False)
    on_cpu = RUNTIME.model_copy(update={"accelerator": "cpu", "precision": "auto"})
    assert environment.precision(on_cpu) == precision


def test_precision_is_float32_on_a_gpu_whatever_its_processor_has(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    assert environment.precision(RUNTIME.model_copy(update={"accelerator": "auto", "precision": "auto"})) == "32-true"


def test_precision_is_float32_on_several_machines_which_need_not_be_alike(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    several = RUNTIME.model_copy(update={"accelerator": "cpu", "precision": "auto", "nodes": 2})
    assert environment.precision(several) == "32-true"


def test_precision_is_float32_where_torch_does_not_report_what_the_processor_has(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert environment.precision(RUNTIME.model_copy(update={"precision": "auto"})) == "32-true"


def test_precision_that_is_asked_for_is_taken(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    asked = RUNTIME.model_copy(update={"precision": "32-true"})
    assert environment.precision(asked) == "32-true"
