"""What a training runs with that its last bits can depend on."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from pipeline.params import RuntimeParams

RUNTIME = ("accelerator", "devices", "nodes", "precision")
"""Fields of `runtime:` that bits can depend on."""
CPUS = Path("/proc/cpuinfo")


def describe(runtime: RuntimeParams) -> dict[str, Any]:
    """Return the kind of machine, threads, `runtime:` and the versions of all packages; it names no host."""
    import torch

    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "accelerator": _accelerator(runtime),
        "threads": torch.get_num_threads(),
        "runtime": {name: getattr(runtime, name) for name in RUNTIME},
        "packages": {
            str(canonicalize_name(each.name)): each.version for each in importlib.metadata.distributions() if each.name
        },
    }


def _accelerator(runtime: RuntimeParams) -> str:
    """Return the name of what computes, as Lightning chooses it."""
    import torch

    if runtime.accelerator != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "mps" if runtime.accelerator != "cpu" and torch.backends.mps.is_available() else "cpu"


def _cpu() -> str:
    """Return the processor's model, which `platform` does not know on Linux."""
    lines = CPUS.read_text().splitlines() if CPUS.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
