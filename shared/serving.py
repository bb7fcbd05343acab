"""What the mirror says to those who mirror it: the NVD's envelope around records as they came, and until when it is true.

A downstream takes the time stamp of an answer as its own watermark, so the answer bears this mirror's: what was proven to
be here. And it asks for what was modified since then, so a record that the NVD dates before that time but that reaches
this mirror after it would pass it by. Such a record belongs to the window in which it *arrived* as well: see `arrivals`.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa
import zstandard
from sqlalchemy.orm import InstrumentedAttribute, Session

from shared import database, mirror
from shared.database import Sessions
from shared.errors import Unavailable
from shared.models.coverage import MirrorCoverage, ProvenRange
from shared.models.mirror import (
    MirrorChange,
    Quarantine,
    Snapshot,
    Vulnerability,
    VulnerabilityRecord,
    cve_id_of,
    vulnerability_id,
)

CHUNK = 250
"""Records that are unpacked at a time: some 1.5 MB."""
NOT_YET_SECONDS = 120
"""After which to ask a mirror again that is being filled."""
INSTANT = dt.timedelta(milliseconds=1)
"""What a time loses when it is written as the NVD writes it."""
TAIL = b"]}"
"""The envelope behind the records."""


@dataclass(frozen=True)
class Standing:
    """How far the mirror's word goes."""

    watermark: dt.datetime
    """Every change that the NVD dates before this is here."""
    since: dt.datetime
    """When, by this database's clock, it could first be said. What arrived before was never missed by anybody."""
    snapshot: int


def standing(session: Session) -> Standing:
    """How the mirror stands. Raises Unavailable while its total would be less than it seems."""
    watermark = session.scalar(sa.select(MirrorCoverage.watermark))
    since = session.scalar(sa.select(sa.func.min(ProvenRange.proven_at)))
    if watermark is None or since is None:
        empty = session.scalar(sa.select(Vulnerability.id).limit(1)) is None
        what = "is empty" if empty else "is not complete"
        raise Unavailable(
            f"This mirror {what}: no sync has read everything yet, so it is no upstream.", NOT_YET_SECONDS
        )
    return Standing(watermark, since, mirror.snapshot(session))


def arrivals(standing: Standing, since: dt.datetime, until: dt.datetime) -> sa.Select[int]:
    """The vulnerabilities that really changed here in a window, whatever time the NVD gives the change."""
    numbers = sa.select(Snapshot.number).where(*_between(Snapshot.committed_at, standing, since, until))
    return sa.select(MirrorChange.vulnerability_id).where(MirrorChange.snapshot.in_(numbers))


def quarantined(session: Session) -> set[int]:
    """Keys of the CVEs whose latest record could not be used."""
    return _keys(session.scalars(sa.select(Quarantine.cve_id)))


def quarantined_between(
    session: Session, standing: Standing, since: dt.datetime, until: dt.datetime
) -> set[int]:
    """Those whose latest record came in a window."""
    came = _between(Quarantine.first_seen_at, standing, since, until)
    return _keys(session.scalars(sa.select(Quarantine.cve_id).where(*came)))


def _between(
    column: InstrumentedAttribute[dt.datetime], standing: Standing, since: dt.datetime, until: dt.datetime
) -> list[sa.ColumnElement[bool]]:
    """By this database's clock, which must not be behind the NVD's by more than the overlap with which downstreams ask.

    A window that reaches to the watermark is about the present: it has no end.
    """
    conditions = [column >= max(since, standing.since)]
    if until < standing.watermark - INSTANT:
        conditions.append(column <= until)
    return conditions


def _keys(names: Iterable[str | None]) -> set[int]:
    keys = (vulnerability_id(name) for name in names if name is not None)
    return {key for key in keys if key is not None}


def envelope(total: int, start: int, count: int, timestamp: dt.datetime) -> bytes:
    """What stands before the records (https://nvd.nist.gov/developers/vulnerabilities)."""
    head = {
        "resultsPerPage": count,
        "startIndex": start,
        "totalResults": total,
        "format": "NVD_CVE",
        "version": "2.0",
        "timestamp": text(timestamp),
        "vulnerabilities": [],
    }
    return msgspec.json.encode(head).removesuffix(TAIL)


def text(moment: dt.datetime) -> str:
    """A time as the NVD writes it: UTC, milliseconds (cut, never rounded up), no zone."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def elements(session: Session, ids: Sequence[int]) -> list[bytes]:
    """The elements of `vulnerabilities`, in the order of `ids`, as the NVD last gave them: a record that could not be used
    stands for the older one that is used instead of it.

    Raises KeyError for a key that the mirror does not hold.
    """
    columns = (VulnerabilityRecord.vulnerability_id, VulnerabilityRecord.record)
    rows = session.execute(sa.select(*columns).where(VulnerabilityRecord.vulnerability_id.in_(ids)))
    packed: dict[int, bytes] = {row[0]: row[1] for row in rows}
    names = {cve_id_of(key): key for key in ids}
    unusable = sa.select(Quarantine.key, Quarantine.record).where(Quarantine.key.in_(names))
    packed |= {names[row[0]]: row[1] for row in session.execute(unusable)}
    unpack = zstandard.ZstdDecompressor().decompress
    return [unpack(packed[key]) for key in ids]


def document(
    sessions: Sessions, ids: Sequence[int], total: int, start: int, timestamp: dt.datetime
) -> Iterator[bytes]:
    """An answer in pieces, in memory that does not grow with it. Between two pieces no connection is held."""
    yield envelope(total, start, len(ids), timestamp)
    for at, chunk in chunks(ids):
        with database.reading(sessions) as session:
            found = elements(session, chunk)
        yield (b"," if at else b"") + b",".join(found)
    yield TAIL


def chunks(ids: Sequence[int]) -> Iterable[tuple[int, Sequence[int]]]:
    """Where each part of the list begins, and the part."""
    return ((at, ids[at : at + CHUNK]) for at in range(0, len(ids), CHUNK))
