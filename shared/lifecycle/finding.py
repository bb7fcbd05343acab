"""The transitions of a finding, and the recording of what a completed run observed.

    (none) ──> open ──> fixed ──> open (reopened)
                 └────> retracted ──> open (reopened)

Whether its CVE is known to be exploited may change at any time while it is open (`follow_known_exploited`).

`fixed`: an affected version is gone from the inventory. `retracted`: the same versions are still there, but the CVE was
rejected or its data no longer matches, so nothing was fixed. A failed or cancelled run records nothing.
"""

import datetime as dt
import hashlib
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from packageurl import PackageURL
from sqlalchemy.orm import InstrumentedAttribute, Session

from shared import database
from shared.lifecycle import summary
from shared.matching.component import Component
from shared.models.base import Document
from shared.models.enrichment import EnrichmentSource, KnownExploited, Source, known_exploited
from shared.models.finding import Finding, FindingEvent, FindingStatus, Severity
from shared.models.scan import Scan

_KEY_LENGTH = 400

_Row = sa.Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Observed:
    """What one run saw: a vulnerability in a component, all its occurrences together."""

    component_key: str
    component_name: str
    versions: frozenset[str]
    cve_id: str
    certainty: str
    severity: Severity
    score: float | None
    kev: bool
    evidence: list[Document]
    host: str = ""
    port: str = ""


@dataclass(frozen=True, slots=True)
class Recording:
    """The frame of a recording: which run of which asset, against which snapshot, and what its inventory holds."""

    asset_id: uuid.UUID
    run_id: uuid.UUID
    snapshot: int
    present: Mapping[str, frozenset[str]]
    """Versions by component key, over the asset's whole inventory."""


def component_key(component: Component) -> str:
    """A component's identity without its version: the purl's coordinates, else a CPE's product, else its name.

    Behind the host and the port, when a network scan found it there: each is mended, and decided on, for itself.
    """
    key = _purl_key(component.purl) or _cpe_key(component.cpes) or f"name:{component.name.casefold()}"
    if component.host:
        key = " ".join(filter(None, (component.host, component.port, key)))
    if len(key) <= _KEY_LENGTH:
        return key
    return f"{key[: _KEY_LENGTH - 33]}#{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"


def _purl_key(purl: str | None) -> str | None:
    if not purl:
        return None
    try:
        parsed = PackageURL.from_string(purl)
    except ValueError:
        return None
    return str(PackageURL(type=parsed.type, namespace=parsed.namespace, name=parsed.name))


def _cpe_key(cpes: Iterable[str]) -> str | None:
    for cpe in sorted(cpes):
        if cpe.startswith("cpe:2.3:"):
            return ":".join(["cpe", *cpe.split(":")[2:5]]).casefold()
        if cpe.startswith("cpe:/"):
            return ":".join(["cpe", *cpe.removeprefix("cpe:/").split(":")[:3]]).casefold()
    return None


def record(session: Session, recording: Recording, observed: Iterable[Observed]) -> Document:
    """Bring the asset's findings to what a completed run observed; the counts of what is open, new and gone."""
    catalogue = _hold_catalogue(session)
    standing = _standing(session, recording.asset_id)
    changes = _Changes(recording, database.now(session))
    for each in observed:
        if each.cve_id in catalogue:  # since it was matched, perhaps
            each = replace(each, kev=True)  # noqa: PLW2901
        changes.observe(standing.pop((each.component_key, each.cve_id), None), each)
    for row in standing.values():
        if row.status == FindingStatus.OPEN:
            changes.miss(row)
    changes.write(session)
    names = ("findings", "new", "reopened", "fixed", "retracted", *Severity)
    return {name: changes.counts[name] for name in names}


def follow_known_exploited(session: Session) -> Document:
    """Bring `kev` of every open finding to what is known now, with an event in its history; how many changed each way.

    For whoever has changed CISA's catalogue, in the same transaction, with its `EnrichmentSource` locked. Whoever has
    defined a scan of an asset with such a finding is told of all theirs in one message.
    """
    now = database.now(session)
    known = Finding.cve_id.in_(known_exploited())
    added = _turn(session, sa.and_(~Finding.kev, known), kev=True)
    withdrawn = _turn(session, sa.and_(Finding.kev, ~known), kev=False)
    events = [_event(each, now, "known_exploited") for each in added]
    events += [_event(each, now, "kev_withdrawn") for each in withdrawn]
    if events:
        session.execute(sa.insert(FindingEvent), events)
    for user_id in sorted(_watchers(session, added)):
        summary.gather(session, user_id, now)
    return {"findings_exploited": len(added), "findings_withdrawn": len(withdrawn)}


def _watchers(session: Session, findings: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Who has defined a scan of an asset that one of these findings is in."""
    found: set[uuid.UUID] = set()
    for chunk in database.in_lists(findings):
        assets = sa.select(Finding.asset_id).where(Finding.id.in_(chunk))
        query = sa.select(Scan.created_by).where(Scan.asset_id.in_(assets), Scan.created_by.is_not(None))
        found.update(session.scalars(query.distinct()))
    return found


def _turn(session: Session, which: sa.ColumnElement[bool], *, kev: bool) -> Collection[uuid.UUID]:
    turned = sa.update(Finding).where(Finding.status == FindingStatus.OPEN, which)
    turned = turned.values(kev=kev).execution_options(synchronize_session=False)
    return session.scalars(turned.returning(Finding.id)).all()


def _hold_catalogue(session: Session) -> frozenset[str]:
    """The CVEs in CISA's catalogue, which stays as it is until this transaction ends.

    A new catalogue marks the findings that it sees. One that was committed while a run's findings are being written
    would not see them, and they would not know of it.
    """
    source = sa.select(EnrichmentSource.name).where(EnrichmentSource.name == Source.KEV)
    session.execute(source.with_for_update(read=True))
    return frozenset(session.scalars(sa.select(KnownExploited.cve_id)))


def _standing(session: Session, asset_id: uuid.UUID) -> dict[tuple[str, str], _Row]:
    """What is known of the asset's findings, by component key and CVE id."""
    columns: tuple[InstrumentedAttribute[Any], ...] = (
        Finding.id,
        Finding.component_key,
        Finding.cve_id,
        Finding.component_version,
        Finding.status,
        Finding.certainty,
        Finding.severity,
        Finding.score,
        Finding.kev,
        Finding.evidence,
    )
    rows = session.execute(sa.select(*columns).where(Finding.asset_id == asset_id))
    return {(row.component_key, row.cve_id): row for row in rows}


@dataclass(frozen=True, slots=True)
class _Changes:
    """What a recording changes, collected row by row and written at once."""

    recording: Recording
    now: dt.datetime
    inserts: list[dict[str, Any]] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def observe(self, row: _Row | None, each: Observed) -> None:
        """The run saw `each`, of which `row` is known so far."""
        self.counts["findings"] += 1
        self.counts[each.severity] += 1
        if row is None:
            self.inserts.append(_new_row(each, self.recording, self.now))
            self._tell(self.inserts[-1]["id"], "opened")
            self.counts["new"] += 1
            return
        changes = _changes(row, each)
        if row.status != FindingStatus.OPEN:
            changes |= {"status": FindingStatus.OPEN, "fixed_at": None}
            self._tell(row.id, "reopened")
            self.counts["reopened"] += 1
        else:
            self._tell_what_got_worse(row, each)
        if changes:
            self.updates.append({"id": row.id, "snapshot": self.recording.snapshot, **changes})

    def _tell_what_got_worse(self, row: _Row, each: Observed) -> None:
        if each.severity.rank > row.severity.rank:
            self._tell(row.id, "severity_raised", {"from": row.severity.value, "to": each.severity.value})
        if each.kev and not row.kev:
            self._tell(row.id, "known_exploited")

    def miss(self, row: _Row) -> None:
        """The run did not see an open finding."""
        status = _gone_status(row, self.recording)
        fixed_at = self.now if status == FindingStatus.FIXED else None
        self.counts[status] += 1
        self.updates.append({"id": row.id, "status": status, "fixed_at": fixed_at})
        self._tell(row.id, status.value)

    def write(self, session: Session) -> None:
        """Write it all, and that every finding which is open now was seen by this run."""
        if self.inserts:
            session.execute(sa.insert(Finding), self.inserts)
        by_columns: dict[frozenset[str], list[dict[str, Any]]] = {}
        for update in self.updates:  # an executemany needs rows of one shape
            by_columns.setdefault(frozenset(update), []).append(update)
        for rows in by_columns.values():
            session.execute(sa.update(Finding), rows)
        if self.events:
            session.execute(sa.insert(FindingEvent), self.events)
        session.execute(
            sa.update(Finding)
            .where(Finding.asset_id == self.recording.asset_id, Finding.status == FindingStatus.OPEN)
            .values(last_run_id=self.recording.run_id, last_seen_at=self.now)
            .execution_options(synchronize_session=False)
        )

    def _tell(self, finding_id: uuid.UUID, kind: str, detail: Document | None = None) -> None:
        self.events.append(_event(finding_id, self.now, kind, self.recording.run_id, detail))


def _new_row(each: Observed, recording: Recording, now: dt.datetime) -> dict[str, Any]:
    return {
        "id": uuid.uuid4(),
        "asset_id": recording.asset_id,
        "component_key": each.component_key,
        "cve_id": each.cve_id,
        "host": each.host or None,
        "port": each.port or None,
        "component_name": each.component_name,
        "component_version": _joined(each.versions),
        "status": FindingStatus.OPEN,
        "certainty": each.certainty,
        "severity": each.severity,
        "score": each.score,
        "kev": each.kev,
        "evidence": each.evidence,
        "snapshot": recording.snapshot,
        "first_run_id": recording.run_id,
        "last_run_id": recording.run_id,
        "first_seen_at": now,
        "last_seen_at": now,
    }


def _changes(row: _Row, each: Observed) -> dict[str, Any]:
    seen = {
        "component_version": _joined(each.versions),
        "certainty": each.certainty,
        "severity": each.severity,
        "score": each.score,
        "kev": each.kev,
        "evidence": each.evidence,
    }
    return {name: value for name, value in seen.items() if getattr(row, name) != value}


def _gone_status(row: _Row, recording: Recording) -> FindingStatus:
    present = recording.present.get(row.component_key)
    affected = frozenset(row.component_version.split(", ")) if row.component_version else frozenset({""})
    if present is not None and affected <= present:
        return FindingStatus.RETRACTED
    return FindingStatus.FIXED


def _joined(versions: frozenset[str]) -> str | None:
    return ", ".join(sorted(versions)) or None


def _event(
    finding_id: uuid.UUID,
    now: dt.datetime,
    kind: str,
    run_id: uuid.UUID | None = None,
    detail: Document | None = None,
) -> dict[str, Any]:
    return {"finding_id": finding_id, "at": now, "kind": kind, "run_id": run_id, "detail": detail}
