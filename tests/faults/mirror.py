"""A bootstrap whose worker is killed at every page boundary, and whose Redis forgets; the mirror must not show it.

A boundary is the moment at which the next page is asked for: its answer never arrives, and the page before it may not be
committed yet. A worker of one process (`python -m tests.faults.mirror DATABASE API REDIS`) runs the real frame and handler
against a fake NVD; the lease and the sweeper bring the task back, and a task that was given up after too many lost workers is
asked for again. How long a task waits after a lost worker is not looked at here: it waits no longer than the sweeper needs.
"""

import functools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace

import sqlalchemy as sa
from dramatiq import Retry

from shared import database, doorbell
from shared.models.task import ENDED, WAITING, Task, TaskState
from shared.settings import Settings
from tests.upstream.mirror import TUNING, Mirror
from tests.upstream.server import Request
from worker_service.clients.allowance import Limit
from worker_service.handlers.nvd import sync
from worker_service.sweeper import expire_leases
from worker_service.tasks import Frame

PAGE = 25
LEASE_SECONDS = 1.0
LIMIT = Limit(5, seconds=0.5, slack=0.25)
"""The NVD's, in a hurry."""


def work(database_url: str, api_url: str, redis_url: str) -> None:
    """The worker: claims whatever waits, for ever."""
    settings = Settings(_env_file=None).with_changes(
        nvd_api_url=api_url,
        nvd_feed_url="off",
        redis_url=redis_url,
        lease_seconds=LEASE_SECONDS,
    )
    sessions = database.make_sessions(database.make_engine(database_url))
    frame = Frame(sessions, settings)
    handler = functools.partial(sync.sync_with, tuning=replace(TUNING, page_size=PAGE, limit=LIMIT))
    while True:
        with database.reading(sessions) as session:
            waiting = session.scalar(sa.select(Task.id).where(Task.state.in_(WAITING)).limit(1))
        if waiting is not None:
            try:
                frame.run(str(waiting), handler)
            except Retry as error:
                print(error)
        time.sleep(0.02)


@dataclass
class Torment:
    """A bootstrap with a worker that is killed again and again."""

    mirror: Mirror
    pages: int
    dice: random.Random
    worker: subprocess.Popen[bytes] | None = None
    boundaries: set[int] = field(default_factory=set)
    """Pages at which a kill is still due."""
    kills: int = 0
    wipes: int = 0

    def run(self) -> None:
        """Until the bootstrap is done, and a full sync after it if pages were left to be killed at."""
        self.boundaries = set(range(self.pages))
        self.mirror.upstream.before = self.before
        self.start()
        try:
            while not self.done:
                self.look_after()
                time.sleep(0.02)
        finally:
            assert self.worker is not None
            self.worker.kill()
            self.worker.wait()

    def start(self) -> None:
        settings = self.mirror.settings
        urls = (settings.database_url, settings.nvd_api_url, settings.redis_url)
        command = [sys.executable, "-m", "tests.faults.mirror", *urls]
        self.worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def before(self, request: Request) -> None:
        """Called by the fake before it answers."""
        if self.dice.random() < 0.1:
            doorbell.connect(self.mirror.settings.redis_url, 5.0).flushall()
            self.wipes += 1
        page = request.start // PAGE
        if request.params.get("resultsPerPage") == "1" or page not in self.boundaries:
            return
        self.boundaries.discard(page)
        assert self.worker is not None
        os.kill(self.worker.pid, signal.SIGKILL)
        self.worker.wait()
        self.kills += 1

    def look_after(self) -> None:
        """What a supervisor, the sweeper and the timetable do."""
        assert self.worker is not None
        if self.worker.poll() is not None:
            self.start()
        with database.transaction(self.mirror.sessions) as session:
            expire_leases(session)
            now = database.now(session)
            lost = (Task.state.in_(WAITING), Task.losses > 0)
            session.execute(sa.update(Task).where(*lost).values(run_after=now))
        if self.last_state in ENDED and not self.done:
            self.mirror.ask()

    @property
    def done(self) -> bool:
        """Every kill that was due was made, and what was asked for last has succeeded."""
        return not self.boundaries and self.last_state == TaskState.SUCCESS

    @property
    def last_state(self) -> TaskState:
        """Of the sync that was asked for last; before the first, as if one had ended."""
        newest = sa.select(Task.state).order_by(Task.created_at.desc()).limit(1)
        with database.reading(self.mirror.sessions) as session:
            return session.scalar(newest) or TaskState.REVOKED

    @property
    def fetched_again(self) -> int:
        """Pages of everything that were answered more than once; an answer to a killed worker does not count."""
        asked = (r for r in self.mirror.upstream.requests if "lastModStartDate" not in r.params)
        starts = Counter(r.start for r in asked if r.params.get("resultsPerPage") != "1")
        return sum(starts.values()) - self.pages - self.kills

    @property
    def most_in_a_window(self) -> int:
        """The most requests that reached the upstream within the seconds of the limit."""
        moments = [request.at for request in self.mirror.upstream.requests]
        return max(sum(start <= each < start + LIMIT.seconds for each in moments) for start in moments)


if __name__ == "__main__":
    work(*sys.argv[1:])
