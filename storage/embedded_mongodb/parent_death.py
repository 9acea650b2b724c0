"""Runs a command that ends when the process that started it ends: `python tether.py OWNER COMMAND...`.

A program of its own, because the wish has to be made between fork and exec, and Python code that runs there
inside a process with threads may deadlock.

Linux sends the signal when the *thread* that forked ends, not only when its process does: whoever starts a
tether has to do it from a thread that lives as long as the command should.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""`prctl(2)`: the signal to send to this process when its parent dies; the wish outlives exec."""


def main(owner: int, command: list[str]) -> None:
    """Become `command`, which Linux then sends SIGTERM when `owner`, its parent, is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != owner:  # it died before the wish was made
            return
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
