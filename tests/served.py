"""A saved model, and the same model loaded by MLflow."""

import mlflow.pyfunc

from pipeline.models import storage
from pipeline.serving import pyfunc


def as_pyfunc(folder, toy, family):
    """Save an untrained model of a family in a folder, and return it with the pyfunc that MLflow loads."""
    (folder / "model").mkdir()
    storage.save(folder / "model", toy.family(family), toy.about(family))
    model = storage.load(folder / "model")
    mlflow.pyfunc.save_model(
        folder / "version",
        loader_module="pipeline.serving.pyfunc",
        data_path=str(folder / "model"),
        signature=pyfunc.signature(model.content),
        pip_requirements=["mlflow"],
    )
    return model, mlflow.pyfunc.load_model(str(folder / "version"))
