"""How a worker's processes are told living from dead: each holds the lock of a file as long as it lives.

The file has the process's name and lies in a directory of its worker's. Who ends in order removes it; the system lets go of the
lock whatever a process ends of, at once.
"""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

DIRECTORY = "vedette_worker_presence"
"""The variable with the directory, which the worker's first process sets."""


def directory() -> Path:
    """A fresh directory for a worker that starts now. Raises OSError."""
    return Path(tempfile.mkdtemp(prefix="vedette-worker-"))


def name(pid: int) -> str:
    """What a process of this worker is called, in rows and logs: its host, one start of the worker, and its id.

    Containers may share the first, and count their processes each from 1.
    """
    start = os.environ.get(DIRECTORY, "-alone").rpartition("-")[2]
    return f"{socket.gethostname()}:{start}:{pid}"


class Presence:
    """This process's own file, held from `begin` to `end`."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._path = Path()

    def begin(self) -> None:
        """Be present, if anybody looks."""
        if DIRECTORY not in os.environ:
            return
        folder = Path(os.environ[DIRECTORY])
        unlocked = folder / f".{os.getpid()}"
        self._file = unlocked.open("wb")
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        self._path = unlocked.rename(folder / str(os.getpid()))  # nobody sees it before it is locked

    def end(self) -> None:
        """Leave in order."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()


def dead(folder: Path) -> Iterator[int]:
    """The ids of processes that died without leaving in order, each once."""
    for path in folder.glob("[0-9]*"):
        with suppress(OSError), path.open("rb+") as file:  # gone meanwhile, or its process lives
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            yield int(path.name)
