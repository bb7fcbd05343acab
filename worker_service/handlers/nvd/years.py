"""The upstream's feeds as a source: every year whose `.meta` changed, verified, then imported like any file."""

import datetime as dt
import re
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database
from shared.errors import Permanent, Transient
from shared.models.coverage import FeedState, ProvenRange
from shared.models.mirror import Sync
from worker_service.clients.nvd_feed_files import Meta, NvdFeedFiles
from worker_service.clients.nvd_text import moment
from worker_service.handlers.nvd import coverage, files, records
from worker_service.handlers.nvd.run import FIRST_YEAR, Run

_YEARLY = re.compile(r"nvdcve-2\.0-(\d{4})\.json")
MODIFIED = "modified"
WRITING = dt.timedelta(days=1)
"""All yearly feeds are written once a day, but only those whose records changed get a new `.meta` (2003's may be a year
old): what was looked at together is complete up to a day before the newest of it (https://nvd.nist.gov/vuln/data-feeds)."""
MODIFIED_REACH = dt.timedelta(days=7)
"""The feed `modified` holds the last eight days (https://nvd.nist.gov/vuln/data-feeds); a day is left for clocks."""
SOURCE = "NVD feeds"


@dataclass(frozen=True)
class _Feed:
    name: str
    meta: Meta


def read_years(run: Run, feeds: NvdFeedFiles, *, everything: bool = False) -> None:
    """Read every yearly feed that changed (all of them if `everything`), and prove what they cover.

    Raises Transient or Permanent when one of them cannot be had; what was imported before stays.
    """
    metas = _metas(run, feeds)
    known = {} if everything else _known(run)
    fresh = [feed for feed in metas if known.get(feed.name) != _known_as(feed.meta)]
    size = sum(feed.meta.size for feed in fresh) // 1024
    done = 0
    for feed in fresh:
        _read(run, feeds, feed, (done, size), again=everything)
        done += feed.meta.size // 1024
    with run.work.transaction() as session:
        written = max(feed.meta.last_modified for feed in metas) - WRITING
        _prove_years(session, run.sync_id, [feed.name for feed in metas], written)


def read_modified(run: Run, feeds: NvdFeedFiles, watermark: dt.datetime) -> bool:
    """Read the feed of the last days; False when it does not reach back to the watermark."""
    meta = feeds.meta(MODIFIED)
    if meta is None or meta.last_modified - MODIFIED_REACH > watermark:
        return False
    if _known(run).get(MODIFIED) != _known_as(meta):
        _read(run, feeds, _Feed(MODIFIED, meta), (0, meta.size // 1024))
    with run.work.transaction() as session:
        state = session.get_one(FeedState, MODIFIED)
        state.checked_at = database.now(session)
        since = state.written_at - MODIFIED_REACH
        coverage.prove(
            session,
            ProvenRange(
                since=since, until=state.written_at, total=state.total, source=SOURCE, sync_id=run.sync_id
            ),
        )
    return True


def note_file(session: Session, sync: Sync, total: int) -> None:
    """Note that a feed file was imported which somebody brought; when every year has come so, that is a proof.

    A file that is none of the yearly feeds, or is incomplete or older than what is known of its year, says nothing.
    """
    found = _YEARLY.match(sync.source)
    written = sync.upstream_timestamp
    if found is None or written is None or sync.upstream_total != total:
        return
    state = session.get(FeedState, found[1])
    if state is None or state.written_at < written:
        now = database.now(session)
        fresh = FeedState(
            name=found[1], known_as="", total=total, written_at=written, imported_at=now, checked_at=now
        )
        session.merge(fresh)
        session.flush()
    years = {str(year) for year in range(FIRST_YEAR, database.now(session).year + 1)}
    names = session.scalars(sa.select(FeedState.name).where(FeedState.name.in_(years))).all()
    if set(names) >= years:
        _prove_years(session, sync.id, list(names))


def _metas(run: Run, feeds: NvdFeedFiles) -> list[_Feed]:
    """The `.meta` of every year; this year's feed may not be there yet."""
    with run.work.reading() as session:
        this_year = database.now(session).year
    names = [str(year) for year in range(run.tuning.first_year, this_year + 1)]
    found = []
    for index, name in enumerate(names):
        run.work.progress("feeds: looking", index, len(names))
        meta = feeds.meta(name)
        if meta is not None:
            found.append(_Feed(name, meta))
        elif name != str(this_year):
            raise Permanent(f"The NVD's feeds lack the year {name}; is NVD_FEED_URL right?")
    return found


def _known(run: Run) -> dict[str, str]:
    with run.work.reading() as session:
        return {
            row.name: row.known_as for row in session.execute(sa.select(FeedState.name, FeedState.known_as))
        }


def _known_as(meta: Meta) -> str:
    return f"{meta.sha256}:{records.CONVERSION.decode()}"


def _read(
    run: Run, feeds: NvdFeedFiles, feed: _Feed, so_far: tuple[int, int], *, again: bool = False
) -> None:
    """Fetch, verify and import one feed; `so_far` says how many kilobytes of how many all of them are."""
    done, size = so_far

    def report(position: int, total: int | None) -> None:
        share = feed.meta.size // 1024 * position // total if total else 0
        run.work.progress("feeds: importing", done + share, size)

    run.work.progress("feeds: importing", done, size)
    fetched = feeds.fetch(feed.name)
    if fetched is None:
        raise Transient(f"The feed {feed.name} was there a moment ago and is not any more.")
    meta, path = fetched
    assert path is not None  # noqa: S101  # no digest was given as known
    imported = files.import_file(run.work, path, run.sync_id, report, again=again)
    with run.work.transaction() as session:
        run.note_troubles(session)
        _note(session, feed.name, meta, imported)
    path.unlink(missing_ok=True)


def _note(session: Session, name: str, meta: Meta, imported: files.Imported) -> None:
    """The feed is in the mirror, to its last record."""
    head = imported.head
    position, _ = files.complete(session, imported.key)
    if head.total is not None and position != head.total:
        raise Transient(f"The feed {name} announces {head.total} records and holds {position}.")
    now = database.now(session)
    # The feed's own time stamp has no zone and is hours behind UTC; the earlier of the two is safe.
    written = min(meta.last_modified, moment(head.timestamp) or meta.last_modified)
    state = FeedState(
        name=name,
        known_as=_known_as(meta),
        total=position,
        written_at=written,
        imported_at=now,
        checked_at=now,
    )
    session.merge(state)


def _prove_years(
    session: Session, sync_id: int, names: list[str], written: dt.datetime | None = None
) -> None:
    """Note that these feeds hold everything up to the oldest of them, or up to `written` if that is later."""
    states = session.scalars(sa.select(FeedState).where(FeedState.name.in_(names))).all()
    now = database.now(session)
    for state in states:
        state.checked_at = now
    oldest, total = min(state.written_at for state in states), sum(state.total for state in states)
    until = max(oldest, written or oldest)
    proven = ProvenRange(since=None, until=until, total=total, source=SOURCE, sync_id=sync_id)
    coverage.prove(session, proven)
    coverage.note_total(session, total, until)
