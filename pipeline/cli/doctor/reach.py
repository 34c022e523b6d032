"""A check, within bounded time, that a DVC remote of any kind can be reached."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvc.data_cloud import Remote

PATIENCE = 8.0
"""Seconds that a remote has to answer."""


def unreachable(remote: Remote) -> str:
    """Return why a remote cannot be reached; empty if it can."""
    answer: Future[None] = Future()

    def ask() -> None:
        try:
            remote.fs.info(remote.path)
            answer.set_result(None)
        except Exception as error:  # noqa: BLE001 - the library of each kind of remote raises its own
            answer.set_exception(error)

    # A daemon, since a blocked call cannot be cancelled and must not keep the command alive
    Thread(target=ask, name="ask the remote", daemon=True).start()
    try:
        error = answer.exception(PATIENCE)
    except TimeoutError:
        return f"no answer within {PATIENCE:.0f} seconds"
    if not isinstance(error, FileNotFoundError):
        return _one_line(error) if error else ""
    if remote.fs.protocol == "local":
        return f"there is no folder {remote.path}; if the remote is new, create the folder"
    return (
        _one_line(error.__cause__) if _is_disconnected(error.__cause__) else ""
    )  # a remote is empty before its first push


def _is_disconnected(cause: BaseException | None) -> bool:
    """Return whether no HTTP server answered, which the remote's library reports as a missing file."""
    from aiohttp import ClientConnectionError

    return isinstance(cause, ClientConnectionError | TimeoutError)


def _one_line(error: BaseException | None) -> str:
    return " ".join(str(error).split()) or type(error).__name__
