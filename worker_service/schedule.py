"""The timetable: one line per periodic job.

When a job is due the database decides (`shared.lifecycle.timetable`), and every sweep asks it. periodiq's ticks only have it
asked at the very moment: one that is dropped, late or doubled changes nothing.
"""

from collections.abc import Callable

import dramatiq
from periodiq import cron

from shared import database, tasks
from shared.database import Sessions
from shared.lifecycle import timetable
from shared.lifecycle.timetable import Job

TIMETABLE = (
    Job("40 */6 * * *", tasks.SYNC_NVD_UPDATES, {"days_back": 7, "full": False}),
    Job("23 20 * * *", tasks.SYNC_KEV, {}),  # CISA publishes during the American working day,
    Job("47 14 * * *", tasks.SYNC_EPSS, {}),  # FIRST about noon
    Job("15 3 * * *", tasks.CLEANUP_OLD_NOTIFICATIONS, {"days_old": 30}),
)


def declare(broker: dramatiq.Broker, sessions: Sessions) -> None:
    """Put a periodic actor for every job on `broker`."""
    for job in TIMETABLE:
        dramatiq.actor(
            actor_name=f"ask_{job.contract}",
            queue_name=tasks.CONTRACTS[job.contract].queue,
            broker=broker,
            max_retries=0,
            periodic=cron(job.cron),
        )(_tick(sessions, job))


def _tick(sessions: Sessions, job: Job) -> Callable[[], None]:
    def tick() -> None:
        with database.transaction(sessions) as session:
            timetable.ask_due(session, [job])

    return tick
