"""Whether a DVC remote of any kind can be reached, within a bounded time."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvc.data_cloud import Remote

PATIENCE = 8.0
"""Seconds that a remote has to answer."""


def unreachable(remote: Remote) -> str:
    """Return why a remote cannot be reached; nothing if it can."""
    answer: Future[None] = Future()

    def ask() -> None:
        try:
            remote.fs.info(remote.path)
            answer.set_result(None)
        except Exception as error:  # noqa: BLE001 - the library of each kind of remote has its own
            answer.set_exception(error)

    # A daemon, since a call that waits cannot be stopped and must not keep the command from ending
    Thread(target=ask, name="ask the remote", daemon=True).start()
    try:
        error = answer.exception(PATIENCE)
    except TimeoutError:
        return f"no answer within {PATIENCE:.0f} seconds"
    if not isinstance(error, FileNotFoundError):
        return _said(error) if error else ""
    if remote.fs.protocol == "local":
        return f"there is no folder {remote.path}; where it is new, make it"
    return _said(error.__cause__) if _is_broken_off(error.__cause__) else ""  # a store is empty before its first push


def _is_broken_off(cause: BaseException | None) -> bool:
    """Say whether an HTTP remote is missing since no server answered, which its library reports as a missing file."""
    from aiohttp import ClientConnectionError

    return isinstance(cause, ClientConnectionError | TimeoutError)


def _said(error: BaseException | None) -> str:
    return " ".join(str(error).split()) or type(error).__name__
