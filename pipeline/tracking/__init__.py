"""MLflow tracking: connections to the store, runs, uploads of metrics, and lookups of what was tracked."""

from pipeline.tracking.abandoned import abandoned, mark_killed
from pipeline.tracking.lookup import EXPERIMENT, REGISTERED, Evaluated, Scored, evaluated, registered, scored, version
from pipeline.tracking.runs import Run, Training, deliver_leftovers, folder_address, resume, start
from pipeline.tracking.store import connect, is_registered, reaching
from pipeline.tracking.ui import serve

__all__ = [
    "EXPERIMENT",
    "REGISTERED",
    "Evaluated",
    "Run",
    "Scored",
    "Training",
    "abandoned",
    "connect",
    "deliver_leftovers",
    "evaluated",
    "folder_address",
    "is_registered",
    "mark_killed",
    "reaching",
    "registered",
    "resume",
    "scored",
    "serve",
    "start",
    "version",
]
