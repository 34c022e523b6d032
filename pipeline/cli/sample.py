"""The verb `sample`: draw samples from a model into a picture or files."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from pipeline.contents import display
from pipeline.system.errors import ArtifactError, UserError
from pipeline.system.rng import SEEDS


def sample(name: str, n: int, seed: int, out: Path | None) -> str:
    """Draw n samples from a model folder or a models:/ URI, and return a message with their location.

    Raises:
        UserError: an argument is out of bounds, `out` cannot be written, or there is no such model.
    """
    if n < 1 or not 0 <= seed < SEEDS:
        raise UserError(f"-n is {n} and --seed is {seed}; -n must be at least 1, --seed from 0 to {SEEDS - 1}")
    if out and out.suffix and Image.registered_extensions().get(out.suffix.lower()) not in Image.SAVE:
        raise UserError(f"--out is {out}; use the suffix of a picture, as in samples.png, or none for a folder")
    from pipeline.models import storage  # torch takes seconds to import; bad arguments fail first

    with tempfile.TemporaryDirectory() as temporary:
        model = storage.load(_folder(name, Path(temporary)))
    content = model.content
    out = out or Path(display.default_output(content))
    raws = content.decode(model.sample(n, seed))
    try:
        (out.parent if out.suffix else out).mkdir(parents=True, exist_ok=True)
        if out.suffix:
            content.show(raws, columns=round(n**0.5)).save(out)
        else:
            display.write_samples(content, raws, out)
    except OSError as error:
        raise UserError(f"--out is {out}, which cannot be written ({error}); name another path") from error
    return f"{n} samples of {name} (seed {seed}) are in {out}"


def _folder(model: str, temporary: Path) -> Path:
    """Return the folder of a model; that of a models:/ URI is downloaded into `temporary`."""
    if model.startswith("models:/"):
        from pipeline import tracking
        from pipeline.registry import versions

        return versions.download(tracking.connect(), model, temporary)
    if not Path(model).is_dir():
        raise ArtifactError(f"{model} is not a folder; give a model folder, such as model, or models:/NAME@challenger")
    return Path(model)
