"""What a run of faults or a benchmark stands on: a database and a Valkey of its own, and Vedette's processes."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import sqlalchemy as sa

from shared import database
from shared.models.base import Base
from tests.flow import doors
from tests.nowhere import NOWHERE
from tests.postgres import running_postgres
from tests.valkey import running_valkey

DATABASES = ("sqlite", "postgresql")


@contextmanager
def servers(kind: str) -> Iterator[tuple[sa.Engine, dict[str, str], Path]]:
    """An engine on an empty database, the environment for processes beside it, and a folder; all gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="vedette-faults-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        url = f"sqlite:///{folder / 'vedette.sqlite3'}"
        if kind == "postgresql":
            url = stack.enter_context(running_postgres(safe=True))
        engine = database.make_engine(url)
        stack.callback(engine.dispose)
        Base.metadata.create_all(engine)
        doors.create_tables(engine)
        environment = {
            "DATABASE_URL": url,
            "REDIS_URL": stack.enter_context(running_valkey()),
            "VEDETTE_DATA_DIR": str(folder),
            **NOWHERE,
        }
        yield engine, environment, folder


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
