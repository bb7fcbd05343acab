"""Reading a question to the API to its proven end: page by page, each with its checkpoint, the next one on its way."""

import datetime as dt
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from shared import mirror_health
from shared.errors import Transient
from shared.models.coverage import ProvenRange, SyncPage, SyncWindow
from shared.models.mirror import Quarantine, Vulnerability, cve_id_of, pack_ids, unpack_ids
from worker_service.clients.nvd_api import LONGEST_WINDOW, NvdApi, Page, Window
from worker_service.handlers.nvd import coverage, ingest
from worker_service.handlers.nvd.pages import Pages
from worker_service.handlers.nvd.run import Run
from worker_service.tasks import SLICE

log = structlog.get_logger(__name__)

MOST_PASSES = 5
"""How often a question is asked again that cannot be cut into smaller ones."""
SMALLEST_WINDOW = dt.timedelta(seconds=2)
SOURCE = "NVD API"
VANISHED_SHOWN = 5


def plan(run: Run, since: dt.datetime | None, until: dt.datetime | None) -> None:
    """Note the questions to ask for what changed from `since` to `until`; without them, the one about everything."""
    with run.work.transaction() as session:
        for window in _cut(since, until):
            session.add(SyncWindow(task_id=run.work.task_id, since=window[0], until=window[1], passes=1))


def _cut(
    since: dt.datetime | None, until: dt.datetime | None
) -> Iterator[tuple[dt.datetime | None, dt.datetime | None]]:
    if since is None or until is None:
        yield None, None
        return
    while until - since > LONGEST_WINDOW:
        yield since, since + LONGEST_WINDOW
        since += LONGEST_WINDOW
    yield since, until


def planned(run: Run) -> list[SyncWindow]:
    """The questions that are not answered in full yet: everything first, then in the order of time."""
    order = (SyncWindow.since.is_not(None), SyncWindow.since, SyncWindow.id)
    with run.work.reading() as session:
        return list(session.scalars(sa.select(SyncWindow).order_by(*order)))


def forget_plan(run: Run) -> None:
    """Drop the question about everything: another source has answered it."""
    with run.work.transaction() as session:
        session.execute(sa.delete(SyncWindow).where(SyncWindow.since.is_(None)))


def read_planned(run: Run, api: NvdApi) -> int:
    """Ask every planned question until it is proven, and those that it is cut into. Gives the number of questions."""
    count = 0
    while windows := planned(run):
        _read(run, api, windows[0])
        count += 1
    return count


def _read(run: Run, api: NvdApi, window: SyncWindow) -> None:
    pages = _resume(run, api, window)
    question = Window(window.since, window.until) if window.since and window.until else None
    fetcher = _Fetcher(api, question)
    _report(run, window, pages)
    fetcher.ask(pages.wanted(set(), api.in_flight))
    while fetcher.busy:
        page = fetcher.next(run)
        pages.add(page.start, page.end, page.total, page.timestamp)
        fetcher.ask(
            pages.wanted(fetcher.busy, api.in_flight - len(fetcher.busy))
        )  # on its way while we write
        batch = ingest.prepare(run.work, list(enumerate(page.records, page.start)))
        pages.seen |= batch.keys
        with run.work.transaction() as session:
            ingest.write(session, batch, SOURCE, run.sync_id)
            session.merge(_row(window, page, batch.keys))
            run.note_troubles(session)
        _report(run, window, pages)
    _conclude(run, window, pages)


def _row(window: SyncWindow, page: Page, keys: set[int]) -> SyncPage:
    return SyncPage(
        window_id=window.id,
        number=window.passes,
        start=page.start,
        end=page.end,
        total=page.total,
        timestamp=page.timestamp,
        keys=pack_ids(keys),
    )


def _resume(run: Run, api: NvdApi, window: SyncWindow) -> Pages:
    """What earlier attempts have read of this question."""
    order = (SyncPage.number, SyncPage.start)
    with run.work.reading() as session:
        rows = session.scalars(
            sa.select(SyncPage).where(SyncPage.window_id == window.id).order_by(*order)
        ).all()
    pages = Pages(api.page_size, growing=window.since is None)
    for number, of_pass in itertools.groupby(rows, key=lambda row: row.number):
        if number > 1:
            pages = pages.again()
        for row in of_pass:
            pages.add(row.start, row.end, row.total, row.timestamp)
            pages.seen |= set(unpack_ids(row.keys))
    if rows and rows[-1].number < window.passes:
        pages = pages.again()
    return pages


def _report(run: Run, window: SyncWindow, pages: Pages) -> None:
    stage = "everything" if window.since is None else f"since {window.since:%Y-%m-%d}"
    run.work.progress(f"api: {stage}", len(pages.seen), pages.total)


def _conclude(run: Run, window: SyncWindow, pages: Pages) -> None:
    """Every page has come: prove the question answered, cut it, or ask it once more."""
    assert pages.timestamp is not None  # noqa: S101  # at least one page came
    assert pages.total is not None  # noqa: S101
    with run.work.transaction() as session:
        standing = session.get_one(SyncWindow, window.id)
        if pages.complete and not _implausible(session, window, pages.total):
            _prove(session, run, standing, pages)
            return
        what = f"{pages.total} records were announced and {len(pages.seen)} different ones came"
        run.troubles.add(f"records moved while they were read: {what}")
        run.note_troubles(session)
        if _halve(session, standing):
            return
        if standing.passes < MOST_PASSES:
            standing.passes += 1
            return
        _forget(session, standing)
    raise Transient(f"The NVD API does not hold still: after {MOST_PASSES} readings, {what}.", delay=60.0)


def _implausible(session: Session, window: SyncWindow, total: int) -> bool:
    """Nothing, where the mirror holds something: an upstream that lost its data says that too."""
    if total > 0:
        return False
    if window.since is None or window.until is None:
        return mirror_health.held(session) > 0
    return coverage.held_between(session, window.since, window.until) > 0


def _prove(session: Session, run: Run, window: SyncWindow, pages: Pages) -> None:
    assert pages.timestamp is not None  # noqa: S101
    assert pages.total is not None  # noqa: S101
    until = min(window.until, pages.timestamp) if window.until else pages.timestamp
    proven = ProvenRange(
        since=window.since, until=until, total=pages.total, source=SOURCE, sync_id=run.sync_id
    )
    coverage.prove(session, proven)
    if window.since is None:
        noted = coverage.load(session)
        noted.full_read_at = until
        coverage.note_total(session, pages.total, until)
        _tell_of_vanished(session, run, pages.seen)
        _forget_nameless(session, run.sync_id)
    _forget(session, window)


def _tell_of_vanished(session: Session, run: Run, seen: set[int]) -> None:
    """Say which records the NVD does not have any more. It rejects records and deletes none, so they are kept."""
    gone = sorted(set(session.scalars(sa.select(Vulnerability.id))) - seen)
    if gone:
        names = ", ".join(map(cve_id_of, gone[:VANISHED_SHOWN]))
        more = f" and {len(gone) - VANISHED_SHOWN:,} more" if len(gone) > VANISHED_SHOWN else ""
        run.troubles.add(f"not in the NVD any more, and kept: {names}{more}")
        run.note_troubles(session)


def _forget_nameless(session: Session, sync_id: int) -> None:
    """A quarantined record without a CVE id is gone when everything was read without it."""
    nameless = sa.delete(Quarantine).where(Quarantine.cve_id.is_(None), Quarantine.source == SOURCE)
    session.execute(nameless.where(Quarantine.sync_id != sync_id))


def _forget(session: Session, window: SyncWindow) -> None:
    session.execute(sa.delete(SyncPage).where(SyncPage.window_id == window.id))
    session.delete(window)


def _halve(session: Session, window: SyncWindow) -> bool:
    """Cut a window in two, each of which fewer records leave while it is read; False when it cannot be cut."""
    if window.since is None or window.until is None or window.until - window.since < SMALLEST_WINDOW:
        return False
    middle = window.since + (window.until - window.since) / 2
    middle = middle.replace(microsecond=middle.microsecond // 1000 * 1000)
    for since, until in ((window.since, middle), (middle, window.until)):
        session.add(SyncWindow(task_id=window.task_id, since=since, until=until, passes=1))
    _forget(session, window)
    return True


class _Fetcher:
    """Pages on their way, each in a thread of its own that holds nothing and may be left behind."""

    def __init__(self, api: NvdApi, window: Window | None) -> None:
        self._api, self._window = api, window
        self._coming: dict[int, Future[Page]] = {}

    @property
    def busy(self) -> set[int]:
        """Where the pages begin that were asked for and not taken yet."""
        return set(self._coming)

    def ask(self, starts: list[int]) -> None:
        """Ask for pages."""
        for start in starts:
            future: Future[Page] = Future()
            self._coming[start] = future
            threading.Thread(
                target=self._fetch, args=(start, future), name=f"nvd-page-{start}", daemon=True
            ).start()

    def next(self, run: Run) -> Page:
        """The page that was asked for first. Raises what its fetching raised, or what ends the task."""
        start, future = next(iter(self._coming.items()))
        while True:
            try:
                page = future.result(timeout=SLICE)
            except NotYet:
                run.work.raise_if_cancelled()
                if run.troubles.counts:
                    run.note()  # so that whoever looks sees why it takes so long
                continue
            del self._coming[start]
            return page

    def _fetch(self, start: int, future: "Future[Page]") -> None:
        try:
            future.set_result(self._api.page(self._window, start))
        except BaseException as error:  # whatever it is, it belongs to who waits
            future.set_exception(error)
