"""The verb `leaderboard`: all versions of a model, the best first."""

from __future__ import annotations

import json
from dataclasses import asdict

from pipeline import tracking
from pipeline.params import Params
from pipeline.registry import champion, leaderboard
from pipeline.system import project


def show(name: str | None, as_json: bool) -> str:
    """Return the leaderboard of a model, by default of this workspace's, as a table or as JSON.

    Raises:
        TrackingError: the model is not registered, or the store does not answer.
    """
    name, client = name or champion.own_name(), tracking.connect()
    with tracking.reaching():
        champion.assert_registered(client, name)
    found = leaderboard.rows(client, name, Params.load(project.workspace()).gate.decides)
    found = leaderboard.marked(client, found)
    return json.dumps([asdict(row) for row in found], indent=2) if as_json else leaderboard.table(found)
