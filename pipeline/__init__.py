"""A training pipeline for generative models: DVC stages, Lightning training, MLflow tracking and registry."""

import os
from contextlib import suppress
from importlib.machinery import SourceFileLoader

# MLflow decides when it is imported, by whichever module comes first; what a user has set stands
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def _write_whole(_: SourceFileLoader, path: str, data: bytes, *, _mode: int = 0o666) -> None:
    """Write byte code that is whole whenever it is there.

    Python takes a write that a full disk cut short for a whole one, and every later run for a damaged module.
    """
    beside = f"{path}.{os.getpid()}.{id(data)}"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - pathlib takes time to import
        with open(beside, "xb", opener=lambda name, flags: os.open(name, flags, _mode & 0o666)) as file:
            file.write(data)
        os.replace(beside, path)  # noqa: PTH105
    except OSError:  # byte code saves time, and nothing else
        with suppress(OSError):
            os.unlink(beside)  # noqa: PTH108


SourceFileLoader.set_data = _write_whole  # type: ignore[assignment, method-assign]
