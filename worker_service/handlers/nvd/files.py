"""A feed file into the mirror: batch by batch, each with its checkpoint. A broken-off import goes on where it was."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database
from shared.errors import Permanent
from shared.models.mirror import FeedCheckpoint
from worker_service.clients.nvd_feeds import Feed, Head
from worker_service.handlers.nvd import ingest, records
from worker_service.handlers.nvd.ingest import Batch, Piece

if TYPE_CHECKING:
    from worker_service.tasks import Work

BATCH = 2000
"""Records a transaction: what a kill costs at most, and for how long other writers wait on SQLite (0.1 to 0.3 s)."""

Report = Callable[[int, int | None], None]
"""Is told how many records of how many are in the mirror."""


@dataclass(frozen=True)
class Imported:
    """A file whose every record is in the mirror."""

    key: str
    """Of its checkpoint: what it holds, and the version of the conversion."""
    head: Head


def import_file(work: "Work", path: Path, sync_id: int, report: Report, *, again: bool = False) -> Imported:
    """Import what is not imported yet of a file; all of it `again` if that is wanted.

    Raises Permanent when it is missing or is no feed, or breaks off; what was committed before stays.
    """
    with Feed(path) as feed:
        imported = Imported(f"{feed.digest}:{records.CONVERSION.decode()}", feed.head)
        with work.transaction() as session:
            done = _checkpoint(session, imported.key, path, again=again)
        if done is not None:
            report(done, feed.head.total)
            _import(work, feed, imported.key, sync_id, done, report)
    return imported


def complete(session: Session, key: str) -> tuple[int, bool]:
    """Note that a file is imported; how many records it has, and whether it was imported before."""
    checkpoint = session.get_one(FeedCheckpoint, key)
    repeated = checkpoint.completed_at is not None
    if not repeated:
        checkpoint.completed_at = database.now(session)
    return checkpoint.position, repeated


def _checkpoint(session: Session, key: str, path: Path, *, again: bool) -> int | None:
    """Where to go on in this file; None when it has been imported to its end."""
    checkpoint = session.get(FeedCheckpoint, key)
    if checkpoint is not None and checkpoint.completed_at is not None and again:
        checkpoint.position, checkpoint.completed_at = 0, None
    if checkpoint is None:
        now = database.now(session)
        session.add(FeedCheckpoint(digest=key, name=path.name, position=0, updated_at=now))
        return 0
    return checkpoint.position if checkpoint.completed_at is None else None


def _import(work: "Work", feed: Feed, key: str, sync_id: int, done: int, report: Report) -> None:
    """Import the records of `feed` from position `done` on: while one batch is written, the next is prepared."""

    def write(batch: Batch) -> int:
        with work.transaction() as session:
            ingest.write(session, batch, feed.path.name, sync_id)
            _advance(session, key, batch.end)
        return batch.end

    def settle(writing: Future[int]) -> None:
        report(writing.result(), feed.head.total)

    writing: Future[int] | None = None
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="nvd-writer") as writer:
        try:
            for pieces in _batches(itertools.islice(enumerate(feed.records()), done, None)):
                work.raise_if_cancelled()
                batch = ingest.prepare(work, pieces)
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


def _advance(session: Session, key: str, position: int) -> None:
    session.execute(
        sa.update(FeedCheckpoint)
        .where(FeedCheckpoint.digest == key)
        .values(position=position, updated_at=database.now(session))
    )
