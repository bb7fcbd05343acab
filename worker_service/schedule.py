"""The timetable: one line per periodic job.

When a job is due the database decides (`shared.lifecycle.timetable`), and every sweep asks it. periodiq's ticks only have it
asked at the very moment: one that is dropped, late or doubled changes nothing.
"""

import datetime as dt
from collections.abc import Callable, Iterable

import dramatiq
from periodiq import cron

from shared import database, tasks
from shared.database import Sessions
from shared.lifecycle import timetable
from shared.lifecycle.timetable import Job
from shared.settings import Settings

FIRST_SYNC = dt.timedelta(minutes=10)
"""After the first start. One task at a time writes the mirror: who brings feeds as files is not to wait for a bootstrap."""

TIMETABLE = (
    Job("40 */6 * * *", tasks.SYNC_NVD_UPDATES, {"days_back": 7, "full": False}, FIRST_SYNC),
    Job("23 20 * * *", tasks.SYNC_KEV, {}),  # CISA publishes during the American working day,
    Job("47 14 * * *", tasks.SYNC_EPSS, {}),  # FIRST about noon
    Job("15 3 * * *", tasks.CLEANUP_OLD_NOTIFICATIONS, {"days_old": 30}),
)


def timetable_of(settings: Settings) -> tuple[Job, ...]:
    """The jobs of an installation: without the sync where the NVD is not to be asked."""
    return tuple(job for job in TIMETABLE if job.contract != tasks.SYNC_NVD_UPDATES or settings.asks_nvd)


def declare(broker: dramatiq.Broker, sessions: Sessions, jobs: Iterable[Job]) -> None:
    """Put a periodic actor for each of the jobs on `broker`."""
    for job in jobs:
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
