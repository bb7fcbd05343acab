"""What the steps of one mirroring task share: its work, its sources, its row in `sync`."""

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database, doorbell
from shared.models.mirror import Sync, SyncKind, SyncState
from shared.settings import OFF, Settings
from worker_service.clients.allowance import WITH_KEY, WITHOUT_KEY, Allowance, Limit
from worker_service.clients.http import Caller, Patience, Troubles
from worker_service.clients.nvd_api import PAGE_SIZE, NvdApi
from worker_service.clients.nvd_feed_files import NvdFeedFiles
from worker_service.tasks import SLICE

if TYPE_CHECKING:
    from worker_service.tasks import Work

FIRST_YEAR = 2002
"""Of the NVD's oldest feed, which holds the years before as well."""
REDIS_SECONDS = 0.5
LATELY = dt.timedelta(minutes=2)
"""Longer than any rolling window of the sources."""


@dataclass(frozen=True)
class Tuning:
    """How the sources are asked: as the NVD wants it, or in a hurry by a test with an upstream of its own."""

    patience: Patience = field(default_factory=Patience)
    page_size: int = PAGE_SIZE
    limit: Limit | None = None
    """None: the NVD's own, by whether there is a key."""
    slice: float = SLICE
    """Seconds after which a wait looks whether the task was cancelled."""
    first_year: int = FIRST_YEAR


@dataclass(frozen=True)
class Run:
    """One attempt of a mirroring task."""

    work: "Work"
    sync_id: int
    api: NvdApi | None
    """None when it is switched off."""
    feeds: NvdFeedFiles | None
    troubles: Troubles
    tuning: Tuning

    def note(self, change: Callable[[Session, Sync], None] = lambda _session, _sync: None) -> None:
        """Write into the sync's row now, together with the troubles so far."""
        with self.work.transaction() as session:
            sync = session.get_one(Sync, self.sync_id)
            change(session, sync)
            self.note_troubles(session)

    def pause(self, seconds: float) -> None:
        """Wait for a source, with the troubles so far noted: whoever looks sees why it takes so long.

        Only in the task's own thread. Raises what ends the task.
        """
        if self.troubles.counts:
            self.note()
        self.work.pause(seconds, self.tuning.slice)

    def note_troubles(self, session: Session) -> None:
        """Add the troubles since the last time to the sync's row, in the caller's transaction."""
        if fresh := self.troubles.drain():
            sync = session.get_one(Sync, self.sync_id)
            counts = dict(sync.troubles or {})
            for text, count in fresh.items():
                counts[text] = counts.get(text, 0) + count
            sync.troubles = counts


def open_run(work: "Work", kind: SyncKind, tuning: Tuning) -> Run:
    """Begin, or go on with what an earlier attempt began."""
    troubles = Troubles()
    api = _api(work, troubles, tuning, alone=_alone(work))
    urls = [url for url in (work.settings.nvd_api_url, work.settings.nvd_feed_url) if url != OFF]
    with work.transaction() as session:
        sync_id = begin_sync(session, work.task_id, kind, ", ".join(urls) or "nowhere")
    run = Run(work, sync_id, api, None, troubles, tuning)
    return replace(run, feeds=_feeds(run))


def begin_sync(session: Session, task_id: uuid.UUID, kind: SyncKind, source: str) -> int:
    """The sync of this task: a new one, or the one that an earlier attempt left."""
    sync = session.scalar(sa.select(Sync).where(Sync.task_id == task_id))
    if sync is None:
        sync = Sync(kind=kind, task_id=task_id, started_at=database.now(session))
        session.add(sync)
    sync.source, sync.state, sync.finished_at = source, SyncState.RUNNING, None
    session.flush()
    return sync.id


def _alone(work: "Work") -> bool:
    """No sync was under way lately: none that may have used the allowance, nor one that was lost and goes on here."""
    with work.reading() as session:
        lately = database.now(session) - LATELY
        asking = sa.or_(Sync.finished_at.is_(None), Sync.finished_at > lately)
        others = sa.select(Sync.id).where(Sync.kind != SyncKind.FEED, asking)
        return not session.scalar(sa.select(sa.exists(others)))


def _api(work: "Work", troubles: Troubles, tuning: Tuning, *, alone: bool) -> NvdApi | None:
    settings = work.settings
    if settings.nvd_api_url == OFF:
        return None
    key = settings.nvd_api_key.get_secret_value() if settings.nvd_api_key else None
    caller = Caller(
        "the NVD API", lambda seconds: work.pause(seconds, tuning.slice), troubles, tuning.patience
    )
    limit = tuning.limit or (WITH_KEY if key else WITHOUT_KEY)
    client = doorbell.connect(settings.redis_url, REDIS_SECONDS)
    allowance = Allowance(limit, client, f"nvd:{settings.nvd_api_url}", caller.pause, alone)
    return NvdApi(settings.nvd_api_url, caller, allowance, key, tuning.page_size)


def _feeds(run: Run) -> NvdFeedFiles | None:
    settings = run.work.settings
    if settings.nvd_feed_url == OFF:
        return None
    caller = Caller("the NVD's feeds", run.pause, run.troubles, run.tuning.patience)
    return NvdFeedFiles(settings.nvd_feed_url, caller, settings.data_dir / "feeds", _feed_token(settings))


def _feed_token(settings: Settings) -> str | None:
    """The API's key, if the feeds come from the same server (another Vedette); it is nobody else's business."""
    if settings.nvd_api_key is None or _origin(settings.nvd_feed_url) != _origin(settings.nvd_api_url):
        return None
    return settings.nvd_api_key.get_secret_value()


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port
