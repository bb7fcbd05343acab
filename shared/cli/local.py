"""The Vedette that runs on this machine: what `vedette up` tells the other commands, in a file that only its user reads."""

import os
from pathlib import Path

import msgspec

FILE = "local.json"


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


def read(data_dir: Path) -> Local | None:
    """The running Vedette of this data directory, if there is one."""
    try:
        local = msgspec.json.decode((data_dir / FILE).read_bytes(), type=Local)
    except (FileNotFoundError, PermissionError, msgspec.DecodeError):  # none, or one that is not ours to use
        return None
    try:
        os.kill(local.pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:  # somebody else's process, and it lives
        pass
    return local


def remove(data_dir: Path) -> None:
    """It runs no more."""
    (data_dir / FILE).unlink(missing_ok=True)
