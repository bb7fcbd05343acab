"""The timetable: one line per periodic job. A periodic actor only asks for work; what must happen the database decides.

periodiq drops a tick that waited too long and two schedulers tick twice, so every job bears a dedupe key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dramatiq
from periodiq import cron

from shared import database, tasks
from shared.database import Sessions
from shared.tasks import Asking, ask


@dataclass(frozen=True)
class Job:
    """Work to ask for at the times of a cron expression (UTC)."""

    cron: str
    contract: str
    arguments: dict[str, Any]


TIMETABLE = (Job("15 3 * * *", tasks.CLEANUP_OLD_NOTIFICATIONS, {"days_old": 30}),)


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
    def ask_for_it() -> None:
        with database.transaction(sessions) as session:
            ask(session, job.contract, Asking(dedupe_key=f"periodic:{job.contract}"), **job.arguments)

    return ask_for_it
