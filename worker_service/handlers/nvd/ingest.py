"""A list of records into the mirror, wherever they come from: prepared with no transaction open, written in one."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.errors import Invalid
from shared.models.mirror import Sync, vulnerability_id
from worker_service.handlers.nvd import batches, records
from worker_service.handlers.nvd.batches import Unusable
from worker_service.handlers.nvd.records import Converted

if TYPE_CHECKING:
    from worker_service.tasks import Work

Piece = tuple[int, bytes]
"""A record and its position in its source."""


@dataclass(slots=True)
class Batch:
    """Records, read and converted; nothing written yet."""

    end: int
    """Position behind its last record."""
    read: int
    records: list[Converted]
    unusable: list[Unusable]
    keys: set[int]
    """Of all its records: the ids of their vulnerabilities, or a number made from a record that has none."""


def prepare(work: "Work", pieces: Sequence[Piece]) -> Batch:
    """Convert what is not known to be unchanged: a look ahead that the write itself repeats under its lock."""
    names = [records.name(record) for _, record in pieces]
    ids = [vulnerability_id(name or "") for name in names]
    with work.reading() as session:
        known = batches.known_digests(session, (key for key in ids if key is not None))
    digests = set(known.values())
    batch = Batch(
        end=pieces[-1][0] + 1 if pieces else 0, read=len(pieces), records=[], unusable=[], keys=set()
    )
    for (position, record), name, key in zip(pieces, names, ids, strict=True):
        digest = records.digest(record)
        batch.keys.add(_nameless(digest) if key is None else key)
        if digest in digests:
            continue
        try:
            batch.records.append(records.convert(record, digest))
        except Invalid as error:
            batch.unusable.append(
                _unusable(position, record, name if key is not None else None, error.detail)
            )
    return batch


def write(session: Session, batch: Batch, source: str, sync_id: int) -> None:
    """Write a batch and count it, in the transaction of its checkpoint."""
    changed = batches.apply(session, batch.records, sync_id)
    batches.quarantine(session, batch.unusable, source, sync_id)
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


def _unusable(position: int, record: bytes, cve_id: str | None, reason: str) -> Unusable:
    key = cve_id or f"sha256:{hashlib.sha256(record).hexdigest()}"
    return Unusable(key, cve_id, position, reason, records.digest(record), record)


def _nameless(digest: bytes) -> int:
    """A number for a record without a CVE id, below those of vulnerabilities."""
    return -1 - (int.from_bytes(digest[:8]) >> 1)
