"""Kill the worker at every page boundary of a bootstrap, and at random moments; the mirror must not show it.

    python -m tests.faults.mirror [--pages 40] [--random 40] [--seed 7]

A boundary is the moment at which the next page is asked for: its answer never arrives, and the page before it may not be
committed yet. A worker of one process runs the real frame and handler against a fake NVD; the lease and the sweeper bring
the task back, and a task that was given up after three lost workers is asked for again.
"""

import argparse
import functools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import sqlalchemy as sa
from dramatiq import Retry

from shared import database
from shared.models.base import Base
from shared.models.task import WAITING, Task
from shared.settings import Settings
from shared.tasks import SYNC_NVD_UPDATES, ask
from tests.upstream.mirror import TUNING, Mirror, pointed_at
from tests.upstream.records import make_records
from tests.upstream.server import START, Request, Upstream, serving
from worker_service.handlers.nvd import sync
from worker_service.sweeper import expire_leases
from worker_service.tasks import Frame

PAGE = 25
LEASE_SECONDS = 1.0


def work(database_url: str, api_url: str) -> None:
    """The worker: claims whatever waits, for ever."""
    settings = Settings(_env_file=None).with_changes(
        nvd_api_url=api_url,
        nvd_feed_url="off",
        redis_url="redis://127.0.0.1:1/0",
        lease_seconds=LEASE_SECONDS,
    )
    sessions = database.make_sessions(database.make_engine(database_url))
    frame = Frame(sessions, settings)
    handler = functools.partial(sync.sync_with, tuning=replace(TUNING, page_size=PAGE))
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
    cut_off: int = 0
    """Requests whose answer the kill prevented."""
    bootstrap: int | None = None
    """Requests until the bootstrap had ended."""

    def start(self) -> None:
        url = self.mirror.settings.database_url
        command = [
            sys.executable,
            "-m",
            "tests.faults.mirror",
            "--work",
            url,
            self.mirror.settings.nvd_api_url,
        ]
        self.worker = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        assert self.worker is not None
        os.kill(self.worker.pid, signal.SIGKILL)
        self.worker.wait()
        self.kills += 1

    def before(self, request: Request) -> None:
        """Called by the fake before it answers."""
        page = request.start // PAGE
        if request.params.get("resultsPerPage") == "1" or page not in self.boundaries:
            return
        self.boundaries.discard(page)
        self.cut_off += 1
        self.kill()

    def run(self, random_kills: int) -> bool:
        """Until the bootstrap is done; whether all promises were kept."""
        self.boundaries = set(range(self.pages))
        self.mirror.upstream.before = self.before
        self.start()
        task_id, due = self.ask(), time.monotonic() + 1.0
        while True:
            time.sleep(0.02)
            assert self.worker is not None
            if self.worker.poll() is not None:
                self.start()
            if random_kills and not self.boundaries and time.monotonic() > due:
                random_kills -= 1
                self.kill()
                due = time.monotonic() + self.dice.uniform(0.7, 1.5)
            with database.transaction(self.mirror.sessions) as session:
                expire_leases(session)
                ended = session.get_one(Task, task_id).ended_at
            if ended is None:
                continue
            if self.bootstrap is None and not self.boundaries:
                self.bootstrap = len(self.mirror.upstream.requests)
            if not self.boundaries and not random_kills:
                break
            task_id = self.ask()
        self.kill()
        return self.judge()

    def ask(self) -> uuid.UUID:
        with database.transaction(self.mirror.sessions) as session:
            return ask(session, SYNC_NVD_UPDATES, days_back=7, full=not self.boundaries).id

    def judge(self) -> bool:
        asked = [
            r
            for r in self.mirror.upstream.requests[: self.bootstrap]
            if r.params.get("resultsPerPage") != "1"
        ]
        everything = Counter(r.start for r in asked if "lastModStartDate" not in r.params)
        again = sum(everything.values()) - self.pages - self.cut_off
        differences = self.mirror.differences()
        print(f"{self.kills} kills ({self.cut_off} while a page was being asked for), {self.pages} pages")
        print(f"  answered pages of the bootstrap fetched again: {again}, at most {self.kills} allowed")
        print(
            f"  differences from the upstream: {len(differences)}; watermark {self.mirror.coverage.watermark}"
        )
        return not differences and again <= self.kills


def main() -> int:
    """Run it; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mirror", description=__doc__)
    parser.add_argument("--pages", type=int, default=40)
    parser.add_argument(
        "--random", type=int, default=0, help="kills at random moments of full syncs afterwards"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--work", nargs=2, metavar=("DATABASE", "API"), help="be the worker")
    options = parser.parse_args()
    if options.work:
        work(*options.work)
    records = make_records(options.seed, options.pages * PAGE, START)
    with tempfile.TemporaryDirectory(prefix="vedette-faults-") as folder:
        url = f"sqlite:///{Path(folder) / 'vedette.sqlite3'}"
        engine = database.make_engine(url)
        Base.metadata.create_all(engine)
        upstream = Upstream({record["id"]: record for record in records})
        with serving(upstream):
            settings = pointed_at(Settings(_env_file=None).with_changes(database_url=url), upstream)
            mirror = Mirror(database.make_sessions(engine), settings, upstream)
            torment = Torment(mirror, options.pages, random.Random(options.seed))
            kept = torment.run(options.random)
        engine.dispose()
    print("every promise was kept" if kept else "A PROMISE WAS BROKEN")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
