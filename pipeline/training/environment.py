"""The environment of a training: everything that can change the last bits of its result."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NotRequired

from packaging.utils import canonicalize_name
from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from pipeline.params import RuntimeParams

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
RUNTIME = ("accelerator", "devices", "nodes", "precision")
"""Fields of `runtime:` that bits can depend on."""
CPUS = Path("/proc/cpuinfo")
BFLOAT16 = ("avx512_bf16", "amx_bf16")
"""Processor instructions that multiply bfloat16, as torch names them."""


class Runtime(TypedDict):
    """Fields of `runtime:` in an environment."""

    accelerator: str
    devices: int
    nodes: int
    precision: str


@with_config(ConfigDict(extra="allow"))
class Environment(TypedDict):
    """The content of environment.json: the machine, `runtime:`, the versions of all packages, and digests of the code.

    Versions of before did not record the code.
    """

    python: str
    torch: str
    cpu: str
    accelerator: str
    threads: int
    runtime: Runtime
    packages: dict[str, str]
    code: NotRequired[dict[str, str]]


def describe(runtime: RuntimeParams) -> dict[str, Any]:
    """Return the machine, `runtime:` and the versions of all packages."""
    found = (each.metadata for each in importlib.metadata.distributions())  # which reads its file each time it is asked
    return machine(runtime) | {
        "runtime": {name: getattr(runtime, name) for name in RUNTIME},
        "packages": {str(canonicalize_name(each["Name"])): each["Version"] for each in found if each["Name"]},
    }


def machine(runtime: RuntimeParams) -> dict[str, Any]:
    """Return the kind of machine, Python, torch and the number of threads, without the name of the host."""
    import torch

    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "accelerator": _accelerator(runtime),
        "threads": torch.get_num_threads(),
    }


def precision(runtime: RuntimeParams) -> Precision:
    """Return the arithmetic of a training on this machine, as Lightning names it.

    Where that is left to the machine, processors with instructions for bfloat16 (AVX-512 BF16, AMX) mix it in; others
    are slow at it, and several machines need not be alike.
    """
    import torch

    if runtime.precision != "auto":
        return runtime.precision
    # not every version of torch in the range reports them
    has: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    mixed = _accelerator(runtime) == "cpu" and runtime.nodes == 1 and any(map(has.get, BFLOAT16))
    return "bf16-mixed" if mixed else "32-true"


def _accelerator(runtime: RuntimeParams) -> str:
    """Return the name of the accelerator that Lightning chooses."""
    import torch

    if runtime.accelerator != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "mps" if runtime.accelerator != "cpu" and torch.backends.mps.is_available() else "cpu"


def _cpu() -> str:
    """Return the processor's model, which `platform` does not know on Linux."""
    lines = CPUS.read_text().splitlines() if CPUS.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
