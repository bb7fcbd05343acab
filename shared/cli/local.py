"""The Vedette that runs on this machine: what `vedette up` tells the other commands, in a file that only its user reads."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from shared.errors import Conflict

FILE = "local.json"
LOCK = "lock"


class Local(msgspec.Struct):
    """Where the running Vedette listens and how to speak to it."""

    pid: int
    api_url: str
    redis_url: str
    token: str


def write(data_dir: Path, local: Local) -> None:
    """Tell the other commands; the file bears a token, so nobody else may read it."""
    path = data_dir / FILE
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(local))


@contextmanager
def sole(data_dir: Path) -> Iterator[None]:
    """Be the one Vedette of a data directory while the block lasts; the lock ends with the process, however that ends.

    Raises Conflict when there is another one.
    """
    with (data_dir / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"A Vedette runs on {data_dir} already.") from None
        yield


def read(data_dir: Path) -> Local | None:
    """The running Vedette of this data directory, if there is one."""
    try:
        with (data_dir / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:  # somebody holds it: it runs
        pass
    except OSError:  # nobody ever did, or it is not ours to use
        return None
    else:
        return None
    try:
        return msgspec.json.decode((data_dir / FILE).read_bytes(), type=Local)
    except (
        FileNotFoundError,
        PermissionError,
        msgspec.DecodeError,
    ):  # it starts just now, or is not ours to use
        return None


def remove(data_dir: Path) -> None:
    """It runs no more."""
    (data_dir / FILE).unlink(missing_ok=True)
