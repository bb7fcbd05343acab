"""A mirror under test: its database, and a worker's frame that syncs it from a fake in a hurry."""

import contextlib
import functools
import uuid
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from dramatiq import Retry
from pydantic import SecretStr

from shared import database
from shared.database import Sessions
from shared.models.base import Base
from shared.models.coverage import MirrorCoverage
from shared.models.mirror import Sync
from shared.models.task import Task
from shared.settings import Settings
from shared.tasks import SYNC_NVD_UPDATES, ask
from tests.upstream.oracle import differences
from tests.upstream.quick import PATIENCE, PLENTY
from tests.upstream.server import API, FEEDS, FIRST_YEAR, Upstream
from worker_service.handlers.nvd import sync
from worker_service.handlers.nvd.run import Tuning
from worker_service.tasks import Frame

TUNING = Tuning(patience=PATIENCE, page_size=50, limit=PLENTY, slice=0.02, first_year=FIRST_YEAR)


def pointed_at(settings: Settings, upstream: Upstream, key: str | None = None) -> Settings:
    """The settings of an installation that mirrors `upstream`."""
    return settings.with_changes(
        nvd_api_url=upstream.url + API,
        nvd_feed_url=upstream.url + FEEDS,
        nvd_api_key=SecretStr(key) if key else None,
        redis_url="redis://127.0.0.1:1/0",
    )


@dataclass
class Mirror:
    """Runs whole sync tasks through the real frame, one attempt at a time."""

    sessions: Sessions
    settings: Settings
    upstream: Upstream
    tuning: Tuning = field(default_factory=lambda: TUNING)

    def empty(self) -> None:
        """Empty the whole database."""
        with database.transaction(self.sessions) as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(table.delete())

    def ask(self, days_back: int = 7, *, full: bool = False) -> uuid.UUID:
        with database.transaction(self.sessions) as session:
            return ask(session, SYNC_NVD_UPDATES, days_back=days_back, full=full)

    def attempt(self, task_id: uuid.UUID) -> Task:
        """One attempt, now."""
        with database.transaction(self.sessions) as session:
            now = database.now(session)
            session.execute(sa.update(Task).where(Task.id == task_id).values(run_after=now))
        frame = Frame(self.sessions, self.settings)
        with contextlib.suppress(Retry):
            frame.run(str(task_id), functools.partial(sync.sync_with, tuning=self.tuning))
        return self.read(sa.select(Task).where(Task.id == task_id))

    def sync(self, days_back: int = 7, *, full: bool = False) -> Task:
        """Attempts until the task has ended."""
        task_id = self.ask(days_back, full=full)
        while (task := self.attempt(task_id)).ended_at is None:
            pass
        return task

    def read(self, query: sa.Select[Any]) -> Any:
        with database.reading(self.sessions) as session:
            found = session.scalars(query).one()
            session.expunge(found)
            return found

    @property
    def last_sync(self) -> Sync:
        return self.read(sa.select(Sync).order_by(Sync.id.desc()).limit(1))

    @property
    def stage(self) -> str | None:
        """What the sync that was asked for last is at."""
        return self.read(sa.select(Task).order_by(Task.created_at.desc()).limit(1)).stage

    @property
    def coverage(self) -> MirrorCoverage:
        return self.read(sa.select(MirrorCoverage))

    def differences(self) -> list[str]:
        with database.reading(self.sessions) as session:
            return differences(session, self.upstream)
