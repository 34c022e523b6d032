"""A place with a real MLflow store on SQLite; a module of its own, so that other processes can import it."""

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path

from mlflow import MlflowClient

from pipeline import tracking
from pipeline.data.prepared import PreparedData
from pipeline.models.saved import SavedModel
from pipeline.params import Params
from pipeline.tracking import store
from pipeline.training.record import RunRecord
from pipeline.training.resume import Resumable

ROOT = Path(__file__).parents[2]
SOURCE = "some source"


class Place:
    """A workspace, a main repository beside it, and the store in that."""

    source = SOURCE

    def __init__(self, base):
        self.workspace, self.main = base / "a copy", base / "main repository"
        for folder in (self.workspace, self.main):
            folder.mkdir()
            (folder / "dvc.yaml").touch()
            (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
        self.database = self.main / "mlflow.db"
        self.runtime = Params.load(self.workspace).runtime
        self.about = SavedModel("vae", "image", {"seed": 3, "family": "vae", "vae": {"prior": "normal"}}, "d" * 64)
        about = {"source": SOURCE, "homepage": "https://example.org/data", "digest": "d" * 64}
        self.data = PreparedData(self.workspace, about)

    def enter(self, patch):
        """Make this process use the store of this place, like a stage that DVC runs in the workspace."""
        patch.setattr(store, "STORE", None)
        patch.setenv("DVC_ROOT", str(self.main))
        patch.setenv("MLFLOW_TRACKING_URI", "")
        patch.delenv("DVC_STAGE", raising=False)
        patch.delenv("DVC_EXP_NAME", raising=False)
        patch.chdir(self.workspace)

    @property
    def client(self):
        uri = store.address(self.database)
        return MlflowClient(uri, uri)

    def start(self, name="a"):
        return tracking.start(self.about, self.data, self.runtime, Resumable(name))

    def resume(self, run_id):
        return tracking.resume(RunRecord(run_id, SOURCE, "a"), self.about)

    def run(self, run_id):
        return self.client.get_run(run_id)

    def status(self, run_id):
        return self.run(run_id).info.status

    def runs(self):
        """Return all runs of the experiment."""
        found = self.client.get_experiment_by_name(SOURCE)
        return self.client.search_runs([found.experiment_id]) if found else []

    def history(self, run_id, name):
        """Return (step, value) of all values of a metric, by step."""
        found = self.client.get_metric_history(run_id, name)
        return sorted((each.step, each.value) for each in found)

    @contextmanager
    def unavailable(self):
        """Make the store fail all requests."""
        self.sql("ALTER TABLE metrics RENAME TO gone", "ALTER TABLE runs RENAME TO gone_as_well")
        try:
            yield
        finally:
            self.sql("ALTER TABLE gone RENAME TO metrics", "ALTER TABLE gone_as_well RENAME TO runs")

    def sql(self, *statements):
        with closing(sqlite3.connect(self.database, timeout=30)) as base, base:
            base.execute("PRAGMA legacy_alter_table = ON")  # references to a renamed table stay as they are
            for statement in statements:
                base.execute(statement)
