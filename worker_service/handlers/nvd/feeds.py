"""Importing one feed file, as it lies on a disk: the way into a mirror that reaches no upstream."""

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.models.base import Document
from shared.models.mirror import Quarantine, Sync, SyncKind
from worker_service.clients.nvd_text import moment
from worker_service.handlers.nvd import files, years
from worker_service.handlers.nvd.files import Imported
from worker_service.handlers.nvd.run import begin_sync

if TYPE_CHECKING:
    from worker_service.tasks import Effect, Work


def import_feed(work: "Work", path: str) -> "Effect":
    """Import one feed file, batch by batch; the same file again changes nothing, a broken-off import goes on.

    Raises Permanent when the file is missing or is no feed, or breaks off; what was committed before stays.
    """
    file = Path(path)
    with work.transaction() as session:
        sync_id = begin_sync(session, work.task_id, SyncKind.FEED, file.name)

    def report(position: int, total: int | None) -> None:
        work.progress("importing", position, total)

    imported = files.import_file(work, file, sync_id, report)
    return lambda session: _complete(session, imported, sync_id)


def _complete(session: Session, imported: Imported, sync_id: int) -> Document:
    """End the import in the task's own last transaction; gives the counts."""
    sync = session.get_one(Sync, sync_id)
    sync.upstream_total = imported.head.total
    sync.upstream_timestamp = moment(imported.head.timestamp)
    position, repeated = files.complete(session, imported.key)
    if not repeated and sync.read == position:  # all of it, not only the rest
        _forget_nameless(session, sync)
    years.note_file(session, sync, position)
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
