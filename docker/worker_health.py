"""Health of a worker's or a scheduler's container: exit code 0 when the process is there and reaches what it needs.

`worker_health.py worker` asks for the database and Redis, and says when nmap is missing, which only network scans need;
`worker_health.py scheduler` asks only for the database, since the sweeper works without Redis.
"""

import contextlib
import sys
from pathlib import Path

import redis
import sqlalchemy as sa

from shared.database import make_engine
from shared.doorbell import connect
from shared.nmap import program
from shared.settings import Settings

MODULES = {"worker": b"worker_service.app", "scheduler": b"worker_service.scheduler"}
"""An argument by which each service's process is known."""


def main(service: str) -> None:
    """Exit with a reason when `service` is not well."""
    if not any(MODULES[service] in arguments for arguments in _processes()):
        sys.exit(f"no {service} runs here")
    settings = Settings()
    try:
        with make_engine(settings.sqlalchemy_url).connect():
            pass
        if service == "worker":
            connect(settings.redis_url, 3.0).ping()
            if program.find() is None:
                print(program.MISSING)
    except (sa.exc.SQLAlchemyError, redis.RedisError) as error:
        sys.exit(str(error).splitlines()[0])


def _processes() -> list[list[bytes]]:
    """The arguments of every process that can be seen."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found.append(path.read_bytes().split(b"\0"))
    return found


if __name__ == "__main__":
    main(sys.argv[1])
