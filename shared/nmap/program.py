"""nmap's program on this machine."""

import shutil

MISSING = (
    "nmap is not installed where the worker runs: install it there (Debian, Ubuntu: apt-get install nmap)."
)


def find() -> str | None:
    """Where it is; None when it is not installed."""
    return shutil.which("nmap")
