"""Mirroring the NVD: what the tasks of that name do."""

import hashlib
import itertools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database
from shared.errors import Cancelled, Invalid, Permanent
from shared.models.base import Document
from shared.models.mirror import FeedCheckpoint, Quarantine, Sync, SyncKind, SyncState, vulnerability_id
from worker_service.clients.nvd_feeds import Feed
from worker_service.handlers import nvd_batches, nvd_records
from worker_service.handlers.nvd_batches import Unusable
from worker_service.handlers.nvd_records import Converted

if TYPE_CHECKING:
    from worker_service.tasks import Effect, Work

BATCH = 2000
"""Records a transaction: what a kill costs at most, and for how long other writers wait on SQLite (0.1 to 0.3 s)."""

Piece = tuple[int, bytes]
"""A record and its position in its source."""


@dataclass(slots=True)
class _Prepared:
    """A batch, read and converted; nothing written yet."""

    end: int
    """Position behind its last record."""
    read: int
    records: list[Converted]
    unusable: list[Unusable]


def import_feed(work: "Work", path: str) -> "Effect":
    """Import one feed file, batch by batch; the same file again changes nothing, a broken-off import goes on.

    Raises Permanent when the file is missing or is no feed, or breaks off; what was committed before stays.
    """
    with work.transaction() as session:
        sync_id = _begin(session, work, path)
    try:
        with Feed(Path(path)) as feed:
            key = f"{feed.digest}:{nvd_records.CONVERSION.decode()}"
            with work.transaction() as session:
                done = _checkpoint(session, key, feed, sync_id)
            if done is not None:
                _import(work, feed, key, sync_id, done)
    except (Permanent, Cancelled) as error:
        _give_up(work, sync_id, error)
        raise
    return lambda session: _complete(session, key, sync_id)


def _import(work: "Work", feed: Feed, key: str, sync_id: int, done: int) -> None:
    """Import the records of `feed` from position `done` on: while one batch is written, the next is prepared."""

    def write(batch: _Prepared) -> int:
        with work.transaction() as session:
            changed = nvd_batches.apply(session, batch.records, sync_id)
            nvd_batches.quarantine(session, batch.unusable, feed.path.name, sync_id)
            _advance(session, key, sync_id, batch, changed)
        return batch.end

    def settle(writing: Future[int]) -> None:
        work.progress("importing", writing.result(), feed.head.total)

    work.progress("importing", done, feed.head.total)
    writing: Future[int] | None = None
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="nvd-writer") as writer:
        try:
            for pieces in _batches(itertools.islice(enumerate(feed.records()), done, None)):
                work.raise_if_cancelled()
                batch = _prepare(pieces, _known(work, pieces))
                if writing is not None:
                    settle(writing)
                writing = writer.submit(write, batch)
        finally:
            if writing is not None:
                settle(writing)


def _batches(pieces: Iterator[Piece]) -> Iterator[list[Piece]]:
    """Lists of at most BATCH; when the source breaks off, first what it gave before."""
    batch: list[Piece] = []
    try:
        for piece in pieces:
            batch.append(piece)
            if len(batch) == BATCH:
                yield batch
                batch = []
    except Permanent:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _known(work: "Work", pieces: list[Piece]) -> dict[int, bytes]:
    """The digests of what the mirror holds already: a look ahead that the write itself repeats under its lock."""
    keys = (vulnerability_id(nvd_records.name(record) or "") for _, record in pieces)
    with work.reading() as session:
        return nvd_batches.known_digests(session, (key for key in keys if key is not None))


def _prepare(pieces: list[Piece], known: dict[int, bytes]) -> _Prepared:
    """Convert what is not known to be unchanged."""
    batch = _Prepared(end=pieces[-1][0] + 1, read=len(pieces), records=[], unusable=[])
    digests = set(known.values())
    for position, record in pieces:
        digest = nvd_records.digest(record)
        if digest in digests:
            continue
        try:
            batch.records.append(nvd_records.convert(record, digest))
        except Invalid as error:
            batch.unusable.append(_unusable(position, record, error.detail))
    return batch


def _unusable(position: int, record: bytes, reason: str) -> Unusable:
    cve_id = nvd_records.name(record)
    if cve_id is not None and vulnerability_id(cve_id) is None:
        cve_id = None
    key = cve_id or f"sha256:{hashlib.sha256(record).hexdigest()}"
    return Unusable(key, cve_id, position, reason, nvd_records.digest(record), record)


def _begin(session: Session, work: "Work", path: str) -> int:
    """The sync of this task: a new one, or the one that an earlier attempt left."""
    sync = session.scalar(sa.select(Sync).where(Sync.task_id == work.task_id))
    if sync is None:
        sync = Sync(kind=SyncKind.FEED, task_id=work.task_id, started_at=database.now(session))
        session.add(sync)
    sync.source = Path(path).name
    sync.state, sync.error, sync.finished_at = SyncState.RUNNING, None, None
    session.flush()
    return sync.id


def _checkpoint(session: Session, key: str, feed: Feed, sync_id: int) -> int | None:
    """Where to go on in this file; None when it has been imported to its end."""
    sync = session.get_one(Sync, sync_id)
    sync.upstream_total = feed.head.total
    sync.upstream_timestamp = nvd_records.moment(feed.head.timestamp)
    checkpoint = session.get(FeedCheckpoint, key)
    if checkpoint is None:
        now = database.now(session)
        session.add(FeedCheckpoint(digest=key, name=feed.path.name, position=0, updated_at=now))
        return 0
    return checkpoint.position if checkpoint.completed_at is None else None


def _advance(session: Session, key: str, sync_id: int, batch: _Prepared, changed: int) -> None:
    now = database.now(session)
    session.execute(
        sa.update(FeedCheckpoint)
        .where(FeedCheckpoint.digest == key)
        .values(position=batch.end, updated_at=now)
    )
    session.execute(
        sa.update(Sync)
        .where(Sync.id == sync_id)
        .values(
            read=Sync.read + batch.read,
            changed=Sync.changed + changed,
            unchanged=Sync.unchanged + batch.read - changed - len(batch.unusable),
            quarantined=Sync.quarantined + len(batch.unusable),
        )
    )


def _give_up(work: "Work", sync_id: int, error: Permanent | Cancelled) -> None:
    state = SyncState.CANCELLED if isinstance(error, Cancelled) else SyncState.FAILED
    with work.transaction() as session:
        sync = session.get_one(Sync, sync_id)
        sync.state, sync.error, sync.finished_at = state, error.detail, database.now(session)


def _complete(session: Session, key: str, sync_id: int) -> Document:
    """End the sync in the task's own last transaction; gives the counts."""
    now = database.now(session)
    sync = session.get_one(Sync, sync_id)
    sync.state, sync.finished_at = SyncState.COMPLETED, now
    checkpoint = session.get_one(FeedCheckpoint, key)
    repeated = checkpoint.completed_at is not None
    if not repeated:
        checkpoint.completed_at = now
        if sync.read == checkpoint.position:  # all of it, not only the rest
            _forget_nameless(session, sync)
    return {
        "source": sync.source,
        "already_imported": repeated,
        "read": sync.read,
        "changed": sync.changed,
        "unchanged": sync.unchanged,
        "quarantined": sync.quarantined,
    }


def _forget_nameless(session: Session, sync: Sync) -> None:
    """A quarantined record without a CVE id is gone when its source was read to the end without it."""
    session.execute(
        sa.delete(Quarantine).where(
            Quarantine.cve_id.is_(None), Quarantine.source == sync.source, Quarantine.sync_id != sync.id
        )
    )
