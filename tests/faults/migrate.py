"""A migration that dies where it is told to (`python -m tests.faults.migrate`).

`FAULT_STATEMENT=3` kills the process before its third statement that changes something, `-1` before its commit. What it did
goes into the journal.
"""

import os
import signal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from shared import database, migrations
from shared.settings import Settings
from tests.faults import points
from tests.faults.journal import write

STATEMENT = "FAULT_STATEMENT"
COMMIT = -1
CHANGES = ("ALTER", "CREATE", "DROP", "INSERT", "UPDATE", "DELETE")


def main() -> None:
    """Bring the database of the settings up to date."""
    engine = database.make_engine(Settings().sqlalchemy_url)
    last, passed = int(os.environ.get(STATEMENT, "0")), 0

    def die_at(number: int) -> None:
        if number == last:
            os.kill(os.getpid(), signal.SIGKILL)

    @sa.event.listens_for(engine, "before_cursor_execute")
    def count(_connection: sa.Connection, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal passed
        if statement.lstrip().upper().startswith(CHANGES):
            passed += 1
            die_at(passed)

    @sa.event.listens_for(engine, "commit")
    def commit(_connection: sa.Connection) -> None:
        die_at(COMMIT)

    before = migrations.upgrade(engine)
    write(Path(os.environ[points.JOURNAL]), "migrated", before=before, statements=passed, pid=os.getpid())


if __name__ == "__main__":
    main()
