"""What a user can cause, said in one line."""

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

NO_ROOM, NO_MEMORY = "make room on the disk", "free memory, or let the params ask for less"
CURES = {
    errno.ENOSPC: f"{NO_ROOM}, in bytes or in files (`df`, `df -i`)",
    errno.EDQUOT: "make room within your quota",
    errno.EFBIG: "raise the limit of a file's size (`ulimit -f`)",
    errno.EROFS: "make the file system writable",
    errno.EACCES: "give yourself the right to",
    errno.EPERM: "give yourself the right to",
    errno.ENOMEM: NO_MEMORY,
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "raise the limit of open files of this machine",
    errno.EIO: "look at the disk",
}
"""What a machine refuses to any program, and what to do about it."""
SAYINGS = {
    r"os error (\d+)": "",
    r"database or disk is full|\d+ requested and \d+ written": NO_ROOM,
    r"out of memory|can't allocate memory|not enough memory": NO_MEMORY,
}
"""How libraries (safetensors, SQLite, numpy, torch) say the same without a number, or with one in their text."""

ENDING = (signal.SIGTERM, signal.SIGHUP)
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that a file's name may have and no line of text: controls, and bytes that are no UTF-8."""
AGAIN = 3.0
"""Seconds until an exit that did not come about is tried again."""


class UserError(Exception):
    """A mistake that the user can mend: its text says what, where and what to do."""


class ParamsError(UserError):
    """A parameter that is missing, unknown or out of its bounds."""


class SourceError(UserError):
    """A source of data that is absent, unreadable or too small."""


class ArtifactError(UserError):
    """A file that an earlier stage should have left, missing or not as it was written."""


class TrainingError(UserError):
    """A training that cannot start or cannot go on."""


class TrackingError(UserError):
    """A tracking store or registry that does not hold what was asked of it."""


def shown(name: str) -> str:
    """Return a file's name as text that can be written anywhere, what cannot be seen or is no UTF-8 escaped."""

    def escaped(found: re.Match[str]) -> str:
        byte = ord(found[0]) - 0xDC00  # as Python keeps the bytes of names that it cannot decode
        return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else ascii(found[0])[1:-1]

    return UNSEEN.sub(escaped, name)


def undisturbed() -> None:
    """Let no further SIGTERM or SIGHUP cut off what an ending program still has to say."""
    if threading.current_thread() is threading.main_thread():
        signal.setitimer(signal.ITIMER_REAL, 0)
        for each in ENDING:
            signal.signal(each, signal.SIG_IGN)


def _of_the_machine(error: BaseException | None) -> str:
    """Return what the machine refused, and what to do about it; nothing for an error of another kind."""
    while error is not None:
        said = str(error) or type(error).__name__
        if isinstance(error, MemoryError):
            return f"{said}: {NO_MEMORY}"
        if isinstance(error, OSError) and error.errno in CURES:
            return f"{said}: {CURES[error.errno]}"
        for saying, cure in SAYINGS.items():
            if isinstance(error, Exception) and (found := re.search(saying, said)):
                cure = cure or CURES.get(int(found[1]), "")
                return f"{said.splitlines()[0]}: {cure}" if cure else ""
        error = error.__cause__ or error.__context__
    return ""


def _end(number: int, _: object) -> None:
    """Exit, and again after a while: where a finaliser happens to run, Python drops what is raised."""
    signal.signal(signal.SIGALRM, lambda *_: _end(number, None))
    signal.setitimer(signal.ITIMER_REAL, AGAIN)
    sys.exit(128 + number)


def _refuse(said: str) -> NoReturn:
    with suppress(OSError):  # stderr may be a file on the disk that is full
        sys.stderr.write(f"error: {shown(' '.join(said.split()))}\n")
    sys.exit(2)


def run(main: Callable[[], None]) -> NoReturn:
    """Run a command to its exit code: a UserError is one line on stderr and exit code 2, without a traceback.

    So is what the machine refuses: no room, no right to write, no memory.

    SIGTERM and SIGHUP end it as an exit does, so that what must be said at the end (a run's status) is said; nohup's
    deafness to SIGHUP stays.
    """
    for each in ENDING:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, _end)
    gc.freeze()  # what is imported stays, so that no look for rubbish need go through it
    gc.enable()
    try:
        main()
        sys.stdout.flush()
    except UserError as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    except Exception as error:
        if not (said := _of_the_machine(error)):
            raise
        _refuse(f"{said}, and run it again")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)  # Python gives its handlers up before it has let go of everything
    gc.freeze()  # or Python looks for cycles in all that was imported, up to a second, and then lets go of it anyway
    sys.exit(0)
