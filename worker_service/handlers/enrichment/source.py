"""One reading of a source: asked whether it has changed, read whole, held against what is there, then taken over.

What was wrong stays in the source's row, so that its status says so; what is held is only ever replaced by a whole file.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from sqlalchemy.orm import Session

from shared import database, enrichment
from shared.errors import Permanent, Transient
from shared.models.base import Document
from shared.models.enrichment import EnrichmentSource, Source
from worker_service.clients import published_file
from worker_service.clients.http import Caller, Patience, Troubles
from worker_service.clients.published_file import Fetched, Validators
from worker_service.tasks import Done, Effect, Work

PATIENCE = Patience()
DISBELIEF_SECONDS = 300.0
"""After this long a source that is not believed is asked again."""


class Content(Protocol):
    """What a reader makes of a file."""

    @property
    def version(self) -> str | None:
        """As the source writes it."""

    @property
    def released_at(self) -> dt.datetime | None:
        """The source's own time stamp."""

    @property
    def skipped(self) -> Counter[str]:
        """Why entries could not be used, with how many."""

    def __len__(self) -> int: ...


C = TypeVar("C", bound=Content)


@dataclass(frozen=True)
class Kind(Generic[C]):
    """How one source is read and written."""

    source: Source
    party: str
    """For people: "the CISA KEV catalogue"."""
    setting: str
    """The variable that names its address."""
    read: Callable[[Iterable[bytes]], C]
    """Raises Spoiled for what is no whole file."""
    replace: Callable[[Session, C], int]
    """Put this in the place of what is held; gives how many entries are held now."""
    follow: Callable[[Session], Document]
    """What follows from it in the same transaction, also when the file had not changed; part of the task's result."""


def sync(work: Work, kind: Kind[C], patience: Patience) -> Effect:
    """Read the source, if it is switched on and has changed.

    Raises Transient when it cannot be had or is not believed, Permanent when it is refused; its row says why.
    """
    url = enrichment.address(work.settings, kind.source)
    if url is None:
        return Done({"state": enrichment.SourceState.OFF.value})
    work.progress("reading", 0)
    held = _begin(work, kind.source, url)
    troubles = Troubles()

    def pause(seconds: float) -> None:
        _note_error(work, kind, "; ".join(troubles.counts))  # the status tells trouble while it lasts
        work.pause(seconds)

    caller = Caller(kind.party, pause, troubles, patience)
    try:
        fetched = published_file.fetch(caller, url, kind.setting, kind.read, held.validators)
        if fetched is not None:
            _believe(kind, held, fetched.content)
    except (Transient, Permanent) as error:
        _note_error(work, kind, error.detail)
        raise
    work.progress("writing", 0)
    return lambda session: _complete(session, kind, fetched)


def _note_error(work: Work, kind: Kind[C], text: str) -> None:
    with work.transaction() as session:
        session.get_one(EnrichmentSource, kind.source).last_error = text


@dataclass(frozen=True)
class _Held:
    """What is there before a reading."""

    validators: Validators
    count: int
    released_at: dt.datetime | None
    now: dt.datetime


def _begin(work: Work, source: Source, url: str) -> _Held:
    """Note the attempt. What another address said of its file holds for this one no more."""
    with work.transaction() as session:
        now = database.now(session)
        row = session.get(EnrichmentSource, source)
        if row is None:
            row = EnrichmentSource(name=source, url=url, last_attempt_at=now, count=0, skipped={})
            session.add(row)
        if row.url != url:
            row.url, row.etag, row.last_modified = url, None, None
        row.last_attempt_at = now
        validators = Validators(row.etag, row.last_modified) if row.count else Validators()
        return _Held(validators, row.count, row.released_at, now)


def _believe(kind: Kind[C], held: _Held, content: C) -> None:
    """A source that lost its data, or a copy that has stood still, must not take away what is held."""
    if len(content) < held.count // 2:
        text = f"{kind.party} has {len(content)} usable entries, {held.count} are held: that is not believed."
        raise Transient(text, delay=DISBELIEF_SECONDS)
    released, before = content.released_at, held.released_at
    if released is not None and before is not None and released < before <= held.now:
        text = f"{kind.party} is of {released:%Y-%m-%d %H:%M} UTC, older than what is held ({before:%Y-%m-%d %H:%M})."
        raise Transient(text, delay=DISBELIEF_SECONDS)


def _complete(session: Session, kind: Kind[C], fetched: Fetched[C] | None) -> Document:
    """Take the file over, in the task's own last transaction."""
    row = session.get_one(EnrichmentSource, kind.source, with_for_update=True)
    if fetched is not None:
        content = fetched.content
        row.count = kind.replace(session, content)
        twice = len(content) - row.count
        row.skipped = dict(content.skipped) | ({"listed twice": twice} if twice else {})
        row.version, row.released_at = content.version, content.released_at
        row.etag, row.last_modified = fetched.validators.etag, fetched.validators.last_modified
    row.last_success_at, row.last_error = database.now(session), None
    counts = {"count": row.count, "skipped": sum(row.skipped.values())}
    return {"changed": fetched is not None, **counts, **kind.follow(session)}
