"""Waiting for what another process does."""

import time
import urllib.request


def wait_for(true, seconds, process=None, said=None, pause=0.05):
    """Return the first true value of a function, which comes before some seconds have passed or a process has ended.

    `said` tells what that process said; without it, its stderr is a pipe that is read once it has ended.
    """
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert process is None or process.poll() is None, f"it ended:\n{said() if said else process.stderr.read()}"
        assert time.monotonic() < deadline, f"nothing within {seconds} seconds:\n{said() if said else ''}"
        time.sleep(pause)
    return value


def answers(url):
    """Say whether a server answers there."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True
