"""Killed trainings on each kind of data resume to the same bits."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from trainer import Trainer, edit, model, saved

ENV = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
SOURCES = {
    "audio": ("vae", "instruments", {"seconds": 0.25, "mels": 16}),
    "text": ("gan", "python-topics", {"length": 16, "most": 400}),
    "code": ("vae", str(Path(__file__).parents[2] / "pipeline"), {"length": 32, "most": 400}),
}
KILLED_AT = (2, 9)


@pytest.fixture(scope="module", params=SOURCES)
def prepared(request, template, tmp_path_factory):
    """A workspace with prepared data of a content, before any training."""
    family, source, section = SOURCES[request.param]
    folder = tmp_path_factory.mktemp(request.param) / "prepared"
    shutil.copytree(template, folder)
    (folder / "data/raw" / source).mkdir(exist_ok=True)
    edit(
        folder,
        content=request.param,
        family=family,
        prepare={"source": source, "split": {"train": 0.1, "val": 0.1, "test": 0.8}},
        train={"batch_size": 8, "epochs": 3},
        **{request.param: section},
    )
    code = "from pipeline.stages.prepare import main\nmain()"
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=ENV, check=True)
    return folder


@pytest.mark.slow
def test_killed_training_on_each_content_resumes_to_the_same_bits(prepared, tmp_path):
    whole, killed = (shutil.copytree(prepared, tmp_path / name) for name in ("whole", "killed"))
    assert Trainer(whole).ends() == 0
    for step in KILLED_AT:
        trainer = Trainer(killed)
        trainer.until_step(step)
        trainer.killed()
        assert saved(killed)[0] >= step
    assert Trainer(killed).ends() == 0
    assert model(killed) == model(whole)
