"""Waiting for a condition that another process brings about."""

import time
import urllib.request


def wait_for(true, seconds, process=None, said=None, pause=0.05):
    """Call a function until it returns a true value, and return that; fail after so many seconds or if a process ends.

    `said` returns the output of the process for the failure message; without it, its stderr must be a pipe.
    """
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert process is None or process.poll() is None, f"it ended:\n{said() if said else process.stderr.read()}"
        assert time.monotonic() < deadline, f"nothing within {seconds} seconds:\n{said() if said else ''}"
        time.sleep(pause)
    return value


def answers(url):
    """Return whether a server answers at an address."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True
