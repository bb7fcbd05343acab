"""Where a worker's processes write their log: straight to standard error.

Dramatiq puts a pipe to its first process in place of `sys.stderr` in the others, and that one passes every line on: a write,
a read and a wake-up more for each. Whatever is printed otherwise still goes that way.
"""

import fcntl
import os
import stat
import sys
from contextlib import suppress
from typing import TextIO


class InTurn:
    """A stream that several processes write to, each line whole: a full pipe takes a long one in pieces.

    Taking turns costs twice what the write does; both are a third of having a line passed on.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write at once, while no other process does."""
        self._turn(fcntl.LOCK_EX)
        try:
            self._stream.write(text)
            self._stream.flush()
        finally:
            self._turn(fcntl.LOCK_UN)

    def flush(self) -> None:
        """Nothing is kept."""

    def _turn(self, operation: int) -> None:
        # The lock is the process's own, whoever shares the file with it, and ends with it; threads wait for the logger's.
        with suppress(OSError):  # what knows no locks
            fcntl.lockf(self._stream, operation)


def open_standard_error() -> TextIO | InTurn:
    """Standard error as this process or its parent was started with; when that was closed, what stands in for it."""
    stream = sys.__stderr__ or sys.stderr
    return stream if _is_file(stream) else InTurn(stream)


def _is_file(stream: TextIO) -> bool:
    """Whether each write to it is whole by itself."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:  # it has none
        return False
