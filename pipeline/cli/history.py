"""The verb `history`: all promotions and rollbacks of a model."""

from __future__ import annotations

from pipeline import tracking
from pipeline.registry import champion, ledger


def history(name: str | None) -> str:
    """Return two lines for each promotion and rollback of a model, by default of this workspace's.

    Raises:
        TrackingError: the model is not registered, or the store does not answer.
    """
    name, client = name or champion.own_name(), tracking.connect()
    with tracking.reaching(), champion.exclusive(client, name):
        champion.aliases(client, name)  # finishes an interrupted move, which is then listed
        found = ledger.entries(client, name)
    lines = []
    for entry in found:
        versions = f"{entry.before or 'none'} -> {entry.champion}"
        lines.append(f"{entry.when}  {entry.what:9}  {versions}  by {entry.who}  {entry.verdict}".rstrip())
        lines.append(f"    {entry.reason}")
    return "\n".join(lines) or f"{name} has had no champion yet"
