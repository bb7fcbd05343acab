"""Asks for our no-op: a row, committed, and a ring (see `asking`)."""

import os

from shared import database, doorbell
from shared.tasks import ask
from tests.benchmarks.asking import ask_when_told
from tests.flow import doors

if __name__ == "__main__":
    ring = doorbell.open_doorbell(os.environ["REDIS_URL"])
    sessions = database.make_sessions(database.make_engine(os.environ["DATABASE_URL"]), ring)

    def ask_for_noop() -> None:
        with database.transaction(sessions) as session:
            ask(session, doors.NAME, mode="noop", seconds=0.0)

    ask_when_told(ask_for_noop)
