"""Become another program that does not outlive its parent: `python leash.py PARENT PROGRAM [ARGUMENT ...]`.

A worker may be killed without a chance to end what it started; on Linux the kernel then kills this process in its stead.
That has to be asked for between fork and exec. Doing it in the worker itself would run Python in a copy of a process with
many threads, so a small program of its own does it and is replaced by the one that is wanted.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal to get when the parent ends."""


def main() -> None:
    """Ask for the signal, see that the parent is still there, and be replaced."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("the parent has ended")
    os.execv(command[0], command)  # noqa: S606  # what the worker gave, never a shell


if __name__ == "__main__":
    main()
