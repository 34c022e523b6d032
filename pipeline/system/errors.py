"""Errors that a user or the machine can cause, each reported as one line."""

from __future__ import annotations

import errno
import gc
import re
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

NO_ROOM, NO_MEMORY = "free space on the disk", "free memory, or lower the sizes in params.yaml"
REMEDIES = {
    errno.ENOSPC: f"{NO_ROOM}, in bytes or inodes (`df`, `df -i`)",
    errno.EDQUOT: "free space within your quota",
    errno.EFBIG: "raise the limit of a file's size (`ulimit -f`)",
    errno.EROFS: "make the file system writable",
    errno.EACCES: "give yourself permission",
    errno.EPERM: "give yourself permission",
    errno.ENOMEM: NO_MEMORY,
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "raise the limit of open files of this machine",
    errno.EIO: "check the disk",
}
"""What to do about each errno by which a machine can refuse any program."""
MESSAGES = {
    r"os error (\d+)": "",
    r"database or disk is full|\d+ requested and \d+ written": NO_ROOM,
    r"out of memory|can't allocate memory|not enough memory": NO_MEMORY,
}
"""Messages in which libraries (safetensors, SQLite, numpy, torch) report the same without errno, or with it as text."""

ENDING = (signal.SIGTERM, signal.SIGHUP)
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters of file names that a line of text must not have: controls, separators, bytes that are not UTF-8."""
AGAIN = 3.0
"""Seconds after which an exit is tried again if the process still runs."""


class UserError(Exception):
    """A mistake that the user can fix; its text states what is wrong, where, and what to do."""


class ParamsError(UserError):
    """A parameter that is missing, unknown or out of bounds."""


class SourceError(UserError):
    """A source of data that is missing, unreadable or too small."""


class ArtifactError(UserError):
    """An output of an earlier stage that is missing, corrupt or made with other params."""


class TrainingError(UserError):
    """A training that cannot start or continue."""


class TrackingError(UserError):
    """A tracking store or registry that does not hold the requested entry."""


def shown(name: str) -> str:
    """Return a file's name as text that can be written anywhere: `UNSEEN` characters are escaped."""

    def escaped(found: re.Match[str]) -> str:
        byte = ord(found[0]) - 0xDC00  # Python decodes other bytes of names to U+DC80 and above
        return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else ascii(found[0])[1:-1]

    return UNSEEN.sub(escaped, name)


def undisturbed() -> None:
    """Ignore further SIGTERM and SIGHUP, so that an ending program can write its last messages."""
    if threading.current_thread() is threading.main_thread():
        signal.setitimer(signal.ITIMER_REAL, 0)
        for each in ENDING:
            signal.signal(each, signal.SIG_IGN)


def _of_the_machine(error: BaseException | None) -> str:
    """Return what the machine refused and what to do about it; empty for an error of another kind."""
    while error is not None:
        message = str(error) or type(error).__name__
        if isinstance(error, MemoryError):
            return f"{message}: {NO_MEMORY}"
        if isinstance(error, OSError) and error.errno in REMEDIES:
            return f"{message}: {REMEDIES[error.errno]}"
        for pattern, remedy in MESSAGES.items():
            if isinstance(error, Exception) and (found := re.search(pattern, message)):
                remedy = remedy or REMEDIES.get(int(found[1]), "")
                return f"{message.splitlines()[0]}: {remedy}" if remedy else ""
        error = error.__cause__ or error.__context__
    return ""


def _end(number: int, _: object) -> None:
    """Exit, and try again after a while: Python drops an exception that is raised inside a finaliser."""
    signal.signal(signal.SIGALRM, lambda *_: _end(number, None))
    signal.setitimer(signal.ITIMER_REAL, AGAIN)
    sys.exit(128 + number)


def _refuse(message: str) -> NoReturn:
    with suppress(OSError):  # stderr may be a file on the disk that is full
        sys.stderr.write(f"error: {shown(' '.join(message.split()))}\n")
    sys.exit(2)


def run(main: Callable[[], None]) -> NoReturn:
    """Run a command, and exit with its code: a UserError is one line on stderr and exit code 2, without a traceback.

    A refusal of the machine (no room, no right to write, no memory) is reported in the same way.

    SIGTERM and SIGHUP raise SystemExit, so that cleanup (such as logging the status of a run) happens. A SIGHUP that
    nohup ignores stays ignored.
    """
    for each in ENDING:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _end)
    gc.freeze()  # imported objects stay: garbage collection need not scan them
    gc.enable()
    try:
        main()
        sys.stdout.flush()
    except UserError as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    except Exception as error:  # any library may raise what the machine refused; all else is raised again
        if not (message := _of_the_machine(error)):
            raise
        _refuse(f"{message}, and run it again")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)  # Python drops its signal handlers before it has finalised everything
    gc.freeze()  # otherwise Python scans all imports for cycles on exit, for up to a second
    sys.exit(0)
