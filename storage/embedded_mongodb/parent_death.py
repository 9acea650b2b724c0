"""Runs a command that ends when the process that started it ends: `python parent_death.py OWNER COMMAND...`.

It is a program of its own because `prctl` must run between fork and exec, where Python code may deadlock in a process
with threads.

Linux sends the signal when the *thread* that forked ends, not only when its process does: start the program from a
thread that lives as long as the command should.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Option of `prctl(2)`: the signal that this process receives when its parent dies. It survives exec."""


def main(owner: int, command: list[str]) -> None:
    """Replace this process with `command`; Linux sends it SIGTERM when its parent `owner` ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != owner:  # the owner died before the call
            return
    os.execv(command[0], command)  # noqa: S606 - needs no shell


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
