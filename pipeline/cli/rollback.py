"""The verb `rollback`: the previous champion is restored, for a recorded reason."""

from __future__ import annotations

from pipeline import tracking
from pipeline.registry import champion
from pipeline.registry.ledger import CHAMPION, PREVIOUS, Entry
from pipeline.system.errors import TrackingError


def rollback(name: str | None, reason: str) -> str:
    """Restore the previous champion of a model, by default of this workspace's; return what to print.

    Raises:
        UserError: there is none, or another process moved the champion meanwhile.
    """
    name, client = name or champion.own_name(), tracking.connect()
    with tracking.reaching(), champion.exclusive(client, name):
        before = champion.aliases(client, name)
    now, previous = before.get(CHAMPION), before.get(PREVIOUS)
    if previous is None or previous == now:
        raise TrackingError(f"{name} has no previous champion to restore; `pipeline history` lists past champions")
    champion.move(client, name, before, Entry("rollback", now, previous, now, "", reason))
    return f"version {previous} of {name} is champion again, in place of {now}"
