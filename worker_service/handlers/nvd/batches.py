"""One batch of records into the mirror: the upsert, its snapshot and its change log, in the caller's transaction.

Rules: a record is known by its CVE id; an older `lastModified` never replaces a newer one; what is there already changes
nothing; whatever really changed gets the batch's snapshot number, together with the criteria it had and has.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
import zstandard
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared import database, mirror
from shared.errors import Permanent
from shared.matching import configurations
from shared.models.mirror import (
    ChangeKind,
    Criterion,
    CriterionUse,
    MirrorChange,
    Quarantine,
    Snapshot,
    SnapshotCounter,
    Vulnerability,
    VulnerabilityCwe,
    VulnerabilityRecord,
    pack_ids,
)
from worker_service.handlers import bulk
from worker_service.handlers.nvd.records import Converted, uses

_CONTENT = (
    "criteria",
    "version_start_including",
    "version_start_excluding",
    "version_end_including",
    "version_end_excluding",
)
"""What makes a criterion: the columns that its id is made from, in the order of its fields."""

_SAME = " AND ".join(f"coalesce(criterion.{name}, '') = coalesce(excluded.{name}, '')" for name in _CONTENT)
_REFILE = f"""DO UPDATE SET
    product_key = excluded.product_key,
    version_key = excluded.version_key,
    criteria = CASE WHEN {_SAME} THEN excluded.criteria END
    WHERE NOT ({_SAME} AND criterion.product_key = excluded.product_key AND criterion.version_key = excluded.version_key)"""
"""A known criterion is left alone, or filed anew when a later version of ours makes other keys of it. One of other content
under the same id breaks the column's NOT NULL: noticed without reading anything back."""

_LEVEL = 1
"""Of Zstandard: level 3 takes half as long again and saves 2 %."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A record for the quarantine."""

    key: str
    cve_id: str | None
    position: int
    reason: str
    digest: bytes
    record: bytes


@dataclass(frozen=True, slots=True)
class _Standing:
    """What the mirror holds of a vulnerability before the batch."""

    last_modified: Any
    digest: bytes
    rejected: bool
    tree: bytes | None


@dataclass(frozen=True, slots=True)
class _Change:
    kind: ChangeKind
    old_uses: dict[int, bool]
    new: Converted


def known_digests(session: Session, ids: Iterable[int]) -> dict[int, bytes]:
    """The digests of those of the vulnerabilities that the mirror holds."""
    return dict(bulk.look_up(session, Vulnerability, ("id", "digest"), ids))


def apply(session: Session, records: Sequence[Converted], sync_id: int) -> int:
    """Write what is new in the records; gives the number of vulnerabilities that changed."""
    number = _lock(session)
    newest = _newest(records)
    standing = _standing(session, newest)
    changes = [change for key, new in newest.items() if (change := _change(session, standing.get(key), new))]
    if changes:
        number += 1
        session.execute(sa.update(SnapshotCounter).values(number=number))
        session.execute(
            sa.insert(Snapshot).values(
                number=number, sync_id=sync_id, committed_at=database.now(session), changed=len(changes)
            )
        )
        _write(session, changes, number)
    _release(session, newest.values())
    return len(changes)


def quarantine(session: Session, records: Sequence[Unusable], source: str, sync_id: int) -> None:
    """Keep records that cannot be used. The same one again only says which sync saw it last."""
    if not records:
        return
    number = _lock(session)
    now = database.now(session)
    latest = {record.key: record for record in records}
    seen = sa.select(Quarantine.key, Quarantine.digest).where(Quarantine.key.in_(latest))
    same = {row.key for row in session.execute(seen) if latest[row.key].digest == row.digest}
    session.execute(sa.update(Quarantine).where(Quarantine.key.in_(same)).values(sync_id=sync_id))
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    columns = (
        "key",
        "cve_id",
        "source",
        "position",
        "reason",
        "digest",
        "record",
        "sync_id",
        "snapshot",
        "first_seen_at",
    )
    rows = [
        (
            r.key,
            r.cve_id,
            source,
            r.position,
            r.reason,
            r.digest,
            compressor.compress(r.record),
            sync_id,
            number,
            now,
        )
        for r in latest.values()
        if r.key not in same
    ]
    bulk.insert(session, Quarantine, columns, rows, on_conflict=bulk.REPLACE)


def _lock(session: Session) -> int:
    """The last snapshot's number, held until the transaction ends, so that batches apply one after the other."""
    bulk.insert(session, SnapshotCounter, ("id", "number"), [(1, 0)])
    return session.execute(sa.select(SnapshotCounter.number).with_for_update()).scalar_one()


def _newest(records: Iterable[Converted]) -> dict[int, Converted]:
    """One record a vulnerability: the last modified, of equals the later."""
    newest: dict[int, Converted] = {}
    for record in records:
        other = newest.get(record.id)
        if other is None or other.vulnerability["last_modified"] <= record.vulnerability["last_modified"]:
            newest[record.id] = record
    return newest


def _standing(session: Session, ids: Iterable[int]) -> dict[int, _Standing]:
    columns = (Vulnerability.last_modified, Vulnerability.digest, Vulnerability.rejected, Vulnerability.tree)
    there = list(known_digests(session, ids))
    statement = sa.select(Vulnerability.id, *columns).where(Vulnerability.id.in_(there))
    rows: Iterable[Any] = session.execute(statement) if there else ()
    return {row[0]: _Standing(*row[1:]) for row in rows}


def _change(session: Session, old: _Standing | None, new: Converted) -> _Change | None:
    columns = new.vulnerability
    if old is None:
        return _Change(ChangeKind.ADDED, {}, new)
    if old.digest == columns["digest"] or old.last_modified > columns["last_modified"]:
        return None
    if old.last_modified == columns["last_modified"] and _same_content(session, new):
        return None
    rejected = columns["rejected"] and not old.rejected
    return _Change(ChangeKind.REJECTED if rejected else ChangeKind.CHANGED, _uses(old.tree), new)


def _same_content(session: Session, new: Converted) -> bool:
    """Whether the stored record says the same in another order: feeds and the API need not agree on that."""
    stored = mirror.record(session, new.id)
    return stored is not None and msgspec.json.decode(stored) == msgspec.json.decode(new.record)


def _uses(tree: bytes | None) -> dict[int, bool]:
    return uses(configurations.decode(tree)) if tree else {}


def _write(session: Session, changes: Sequence[_Change], number: int) -> None:
    records = [change.new for change in changes]
    _write_criteria(session, records)
    _write_uses(session, changes)
    _write_vulnerabilities(session, records, number)
    _write_cwes(session, changes)
    bulk.insert(
        session,
        MirrorChange,
        ("snapshot", "vulnerability_id", "kind", "old_criteria", "new_criteria"),
        ((number, c.new.id, c.kind, pack_ids(c.old_uses), pack_ids(c.new.uses)) for c in changes),
    )


def _write_criteria(session: Session, records: Iterable[Converted]) -> None:
    """Write the criteria that are new, and those to be found under other keys than before.

    Raises Permanent when two different ones have the same id.
    """
    distinct = {filed.id: filed for record in records for filed in record.criteria}
    rows = (
        (key, *msgspec.structs.astuple(filed.criterion), filed.product_key, filed.version_key)
        for key, filed in sorted(distinct.items())
    )
    columns = ("id", *_CONTENT, "match_criteria_id", "product_key", "version_key")
    try:
        bulk.insert(session, Criterion, columns, rows, on_conflict=_REFILE)
    except IntegrityError as error:
        raise Permanent(f"two different criteria have the same id: {error.orig}") from error


def _write_uses(session: Session, changes: Sequence[_Change]) -> None:
    gone, come = [], []
    for change in changes:
        key, old, new = change.new.id, change.old_uses, change.new.uses
        gone += [(criterion, key) for criterion in old if criterion not in new]
        if not old:
            come += [(criterion, key, vulnerable) for criterion, vulnerable in new.items()]
            continue
        come += [
            (criterion, key, vulnerable)
            for criterion, vulnerable in new.items()
            if old.get(criterion) is not vulnerable
        ]
    bulk.delete(session, CriterionUse, ("criterion_id", "vulnerability_id"), gone)
    bulk.insert(
        session,
        CriterionUse,
        ("criterion_id", "vulnerability_id", "vulnerable"),
        sorted(come),
        on_conflict=bulk.REPLACE,
    )


def _write_cwes(session: Session, changes: Sequence[_Change]) -> None:
    updated = [change.new.id for change in changes if change.kind is not ChangeKind.ADDED]
    if updated:
        session.execute(sa.delete(VulnerabilityCwe).where(VulnerabilityCwe.vulnerability_id.in_(updated)))
    rows = ((change.new.id, cwe) for change in changes for cwe in change.new.cwes)
    bulk.insert(session, VulnerabilityCwe, ("vulnerability_id", "cwe"), rows)


def _write_vulnerabilities(session: Session, records: Sequence[Converted], number: int) -> None:
    columns = (*records[0].vulnerability, "snapshot")
    rows = [(*record.vulnerability.values(), number) for record in records]
    bulk.insert(session, Vulnerability, columns, rows, on_conflict=bulk.REPLACE)
    # All in one call: it leaves the interpreter to the thread that prepares the next batch.
    packed = zstandard.ZstdCompressor(level=_LEVEL).multi_compress_to_buffer(
        [record.record for record in records]
    )
    pairs = ((record.id, packed[index].tobytes()) for index, record in enumerate(records))
    bulk.insert(session, VulnerabilityRecord, ("vulnerability_id", "record"), pairs, on_conflict=bulk.REPLACE)


def _release(session: Session, records: Iterable[Converted]) -> None:
    """Let go of what was in quarantine and can be used now."""
    if session.scalar(sa.select(sa.exists(sa.select(Quarantine.key)))):
        ids = [record.vulnerability["cve_id"] for record in records]
        session.execute(sa.delete(Quarantine).where(Quarantine.key.in_(ids)))
