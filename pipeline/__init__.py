"""A training pipeline for generative models: DVC stages, Lightning training, MLflow tracking and registry."""

import os
from contextlib import suppress
from importlib.machinery import SourceFileLoader

# MLflow reads it once, on its first import; `setdefault` keeps a value that the user has set
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def _write_atomically(_: SourceFileLoader, path: str, data: bytes, *, _mode: int = 0o666) -> None:
    """Write byte code atomically.

    Python accepts byte code that a full disk truncated, and every later import of the module fails.
    """
    temporary = f"{path}.{os.getpid()}.{id(data)}"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - pathlib takes time to import
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, _mode & 0o666)) as file:
            file.write(data)
        os.replace(temporary, path)  # noqa: PTH105 - as above
    except OSError:  # byte code is optional: it only saves time
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108 - as above


# a replaced method of the standard library, which types do not allow
SourceFileLoader.set_data = _write_atomically  # type: ignore[assignment, method-assign]
