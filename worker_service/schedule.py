"""The timetable: one line per periodic job. A periodic actor only asks for work; what must happen the database decides.

periodiq drops a tick that waited too long, and two schedulers tick twice: a job that was asked for a moment ago is not
asked for again.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dramatiq
import sqlalchemy as sa
from periodiq import cron

from shared import database, tasks
from shared.database import Sessions
from shared.models.task import Task
from shared.tasks import Asking, ask

SAME_TICK = dt.timedelta(minutes=5)
"""Ticks of one job so close to each other are one: of several schedulers, or of one that was started again."""


@dataclass(frozen=True)
class Job:
    """Work to ask for at the times of a cron expression (UTC)."""

    cron: str
    contract: str
    arguments: dict[str, Any]


TIMETABLE = (
    Job("40 */6 * * *", tasks.SYNC_NVD_UPDATES, {"days_back": 7, "full": False}),
    Job("15 3 * * *", tasks.CLEANUP_OLD_NOTIFICATIONS, {"days_old": 30}),
)


def declare(broker: dramatiq.Broker, sessions: Sessions) -> None:
    """Put a periodic actor for every job on `broker`."""
    for job in TIMETABLE:
        dramatiq.actor(
            _asker(sessions, job),
            actor_name=f"ask_{job.contract}",
            queue_name=tasks.CONTRACTS[job.contract].queue,
            broker=broker,
            max_retries=0,
            periodic=cron(job.cron),
        )


def _asker(sessions: Sessions, job: Job) -> Callable[[], None]:
    key = tasks.CONTRACTS[job.contract].dedupe_key or f"periodic:{job.contract}"

    def ask_for_it() -> None:
        with database.transaction(sessions) as session:
            asked = sa.select(Task.id).where(
                Task.name == job.contract,
                Task.dedupe_key == key,
                Task.created_at > database.now(session) - SAME_TICK,
            )
            if session.scalar(asked.limit(1)) is None:
                ask(session, job.contract, Asking(dedupe_key=key), **job.arguments)

    return ask_for_it
