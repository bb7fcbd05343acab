"""One run of mirroring: the feeds fill an empty mirror, the API brings what changed since; either stands in for the other.

Every step leaves the mirror consistent and its progress noted, so that a run may end anywhere and the next one goes on.
"""

import datetime as dt
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import mirror_health, served_feeds
from shared.errors import Permanent, Transient
from shared.models.base import Document
from shared.models.coverage import MirrorCoverage
from shared.models.mirror import Sync, SyncKind
from shared.models.served import ServedFeed
from worker_service.clients.nvd_api import NvdApi, Page
from worker_service.handlers.nvd import coverage, windows, years
from worker_service.handlers.nvd.run import Run, Tuning, open_run

if TYPE_CHECKING:
    from worker_service.tasks import Effect, Work

OVERLAP = dt.timedelta(minutes=15)
"""How far before the watermark a window begins: the NVD's servers do not all know of a change at once."""
REPAIR_EVERY = dt.timedelta(days=1)
"""How often everything is read again because the mirror holds less than the upstream says."""
TAIL = dt.timedelta(hours=6)
"""An interrupted run that went on is not followed by a second reading unless it began longer ago than this."""


def sync(work: "Work", days_back: int, full: bool) -> "Effect":
    """Bring the mirror to what the upstream holds; `days_back` is read again in any case, everything if `full`.

    Raises Permanent when the API key is refused or no source is switched on, Transient when no source can be had.
    """
    return sync_with(work, days_back, full, Tuning())


def sync_with(work: "Work", days_back: int, full: bool, tuning: Tuning) -> "Effect":
    """`sync`, with the sources asked as `tuning` says."""
    with work.reading() as session:
        empty = _watermark(session) is None
    kind = SyncKind.BOOTSTRAP if empty else SyncKind.FULL if full else SyncKind.UPDATE
    run = open_run(work, kind, tuning)
    if run.api is None and run.feeds is None:
        raise Permanent("No source is switched on: NVD_API_URL and NVD_FEED_URL are both `off`.")
    try:
        if empty:
            _fill(run)
        elif full:
            _compare(run)
        _update(run, dt.timedelta(days=days_back))
    except (Transient, Permanent):
        run.note()
        raise
    return lambda session: _complete(session, run)


def _fill(run: Run) -> None:
    """Bootstrap: from the feeds, unless the API has begun with it; the other one when the first cannot be had."""
    begun = any(window.since is None for window in windows.planned(run))
    ways = [_fill_by_feeds] if run.feeds is not None else []
    if run.api is not None:
        ways.insert(0 if begun else len(ways), _fill_by_api)
    for way, other in itertools.zip_longest(ways, ways[1:]):
        try:
            way(run)
            return
        except (Transient, Permanent) as error:
            if other is None:
                raise
            _instead(run, error, f"The bootstrap was done by {_SOURCES[other]} instead.")


def _fill_by_feeds(run: Run) -> None:
    assert run.feeds is not None  # noqa: S101  # the caller looked
    years.read_years(run, run.feeds)
    windows.forget_plan(run)


def _fill_by_api(run: Run) -> None:
    assert run.api is not None  # noqa: S101  # the caller looked
    _read_everything(run, run.api)


_SOURCES = {_fill_by_feeds: "the feeds", _fill_by_api: "the API"}


def _compare(run: Run) -> None:
    """Everything once more."""
    if run.api is None:
        _read_feeds(run, everything=True)
        return
    try:
        _read_everything(run, run.api)
    except Transient as error:
        if run.feeds is None:
            raise
        _instead(run, error, "The feeds were read instead.")
        _read_feeds(run, everything=True)


def _update(run: Run, back: dt.timedelta) -> None:
    """What changed since the watermark."""
    if run.api is None:
        _read_feeds(run)
        return
    try:
        _read_changes(run, run.api, back)
    except Transient as error:
        if run.feeds is None:
            raise
        _read_feeds(run)
        _instead(run, error, "The feeds were read instead: the mirror is as old as they are.")


def _instead(run: Run, error: Transient | Permanent, what: str) -> None:
    """Note what a source could not give, and what was done about it."""
    text = f"{error.detail.rstrip('.')}. {what}"
    run.note(lambda _session, sync: setattr(sync, "substitute", text))


def _read_everything(run: Run, api: NvdApi) -> None:
    if not any(window.since is None for window in windows.planned(run)):
        _probe(run, api)
        windows.plan(run, None, None)
    windows.read_planned(run, api)


def _read_feeds(run: Run, *, everything: bool = False) -> None:
    assert run.feeds is not None  # noqa: S101  # one of the two sources is on
    with run.work.reading() as session:
        watermark = _watermark(session)
    if everything or watermark is None or not years.read_modified(run, run.feeds, watermark):
        years.read_years(run, run.feeds, everything=everything)


def _read_changes(run: Run, api: NvdApi, back: dt.timedelta) -> None:
    """The windows from the watermark to the upstream's present; first those that were left unfinished."""
    left = windows.planned(run)
    if left:
        windows.read_planned(run, api)
    probe = _probe(run, api)
    with run.work.reading() as session:
        watermark = _watermark(session)
    assert watermark is not None  # noqa: S101  # the mirror was filled before
    own = any(window.task_id == run.work.task_id for window in left)
    if not (own and probe.timestamp - watermark < TAIL):
        since = min(watermark - OVERLAP, probe.timestamp - back)
        windows.plan(run, since, probe.timestamp)
        windows.read_planned(run, api)
    with run.work.transaction() as session:
        coverage.note_total(session, probe.total, probe.timestamp)
        missing = probe.total - mirror_health.held(session)
        noted = coverage.load(session)
        read_at = noted.full_read_at
    if missing > 0 and (read_at is None or probe.timestamp - read_at > REPAIR_EVERY):
        run.troubles.add(
            f"{missing} records were missing after the changes had been read: everything was read again"
        )
        _read_everything(run, api)


def _probe(run: Run, api: NvdApi) -> Page:
    """How many records the API has and what time it is there, trouble being told while it lasts.

    An upstream that lost its data must not make the mirror look complete: it is not believed.
    """
    run.work.progress("api: looking", 0)
    probe = replace(api, caller=replace(api.caller, pause=run.pause)).probe()
    with run.work.reading() as session:
        held = mirror_health.held(session)
    if probe.total < held // 2:
        text = f"The NVD API says that it has {probe.total} records, the mirror holds {held}: that is not believed."
        raise Transient(text, delay=300.0)
    return probe


def _watermark(session: Session) -> dt.datetime | None:
    return session.scalar(sa.select(MirrorCoverage.watermark))


def _complete(session: Session, run: Run) -> Document:
    """The counts, in the task's own last transaction."""
    run.note_troubles(session)
    sync = session.get_one(Sync, run.sync_id)
    noted = coverage.load(session)
    sync.upstream_total, sync.upstream_timestamp = noted.upstream_total, noted.watermark
    if session.get(ServedFeed, served_feeds.MODIFIED) is not None:  # somebody has it from us
        served_feeds.ask_for(session, served_feeds.LATELY)
    return {
        "kind": sync.kind,
        "read": sync.read,
        "changed": sync.changed,
        "unchanged": sync.unchanged,
        "quarantined": sync.quarantined,
    }
