"""The transitions of a finding, and the recording of what a completed run observed.

    (none) ──> open ──> fixed ──> open (reopened)
                 └────> retracted ──> open (reopened)

`fixed`: an affected version is gone from the inventory. `retracted`: the same versions are still there, but the CVE was
rejected or its data no longer matches, so nothing was fixed. A failed or cancelled run records nothing.
"""

import datetime as dt
import hashlib
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from packageurl import PackageURL
from sqlalchemy.orm import Session

from shared import database
from shared.matching.component import Component
from shared.models.base import Document
from shared.models.finding import Finding, FindingEvent, FindingStatus, Severity

_KEY_LENGTH = 400


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


@dataclass(frozen=True, slots=True)
class Recording:
    """The frame of a recording: which run of which asset, against which snapshot, and what its inventory holds."""

    asset_id: uuid.UUID
    run_id: uuid.UUID
    snapshot: int
    present: Mapping[str, frozenset[str]]
    """Versions by component key, over the asset's whole inventory."""


def component_key(component: Component) -> str:
    """A component's identity without its version: the purl's coordinates, else a CPE's product, else its name."""
    key = _purl_key(component.purl) or _cpe_key(component.cpes) or f"name:{component.name.casefold()}"
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
    now = database.now(session)
    standing = {
        (row.component_key, row.cve_id): row
        for row in session.execute(
            sa.select(
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
            ).where(Finding.asset_id == recording.asset_id)
        )
    }
    inserts: list[dict[str, Any]] = []
    updates: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    for each in observed:
        counts["findings"] += 1
        counts[each.severity] += 1
        row = standing.pop((each.component_key, each.cve_id), None)
        if row is None:
            inserts.append(_new_row(each, recording, now))
            events.append(_event(inserts[-1]["id"], now, "opened", recording.run_id))
            continue
        changes = _changes(row, each)
        if row.status != FindingStatus.OPEN:
            changes |= {"status": FindingStatus.OPEN, "fixed_at": None}
            events.append(_event(row.id, now, "reopened", recording.run_id))
            counts["reopened"] += 1
        if changes:
            updates.append({"id": row.id, "snapshot": recording.snapshot, **changes})
    for row in standing.values():
        if row.status == FindingStatus.OPEN:
            status = _gone_status(row, recording)
            counts[status] += 1
            updates.append({"id": row.id, "status": status, "fixed_at": now if status == "fixed" else None})
            events.append(_event(row.id, now, status.value, recording.run_id))
    _write(session, inserts, updates, events)
    session.execute(
        sa.update(Finding)
        .where(Finding.asset_id == recording.asset_id, Finding.status == FindingStatus.OPEN)
        .values(last_run_id=recording.run_id, last_seen_at=now)
        .execution_options(synchronize_session=False)
    )
    counts["new"] = len(inserts)
    names = ("findings", "new", "reopened", "fixed", "retracted", *Severity)
    return {name: counts[name] for name in names}


def _write(
    session: Session,
    inserts: list[dict[str, Any]],
    updates: list[dict[str, Any]],
    events: list[dict[str, Any]],
) -> None:
    if inserts:
        session.execute(sa.insert(Finding), inserts)
    by_columns: dict[frozenset[str], list[dict[str, Any]]] = {}
    for update in updates:  # an executemany needs rows of one shape
        by_columns.setdefault(frozenset(update), []).append(update)
    for rows in by_columns.values():
        session.execute(sa.update(Finding), rows)
    if events:
        session.execute(sa.insert(FindingEvent), events)


def _new_row(each: Observed, recording: Recording, now: dt.datetime) -> dict[str, Any]:
    return {
        "id": uuid.uuid4(),
        "asset_id": recording.asset_id,
        "component_key": each.component_key,
        "cve_id": each.cve_id,
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


def _changes(row: sa.Row[*tuple[Any, ...]], each: Observed) -> dict[str, Any]:
    seen = {
        "component_version": _joined(each.versions),
        "certainty": each.certainty,
        "severity": each.severity,
        "score": each.score,
        "kev": each.kev,
        "evidence": each.evidence,
    }
    return {name: value for name, value in seen.items() if getattr(row, name) != value}


def _gone_status(row: sa.Row[*tuple[Any, ...]], recording: Recording) -> FindingStatus:
    present = recording.present.get(row.component_key)
    affected = frozenset(row.component_version.split(", ")) if row.component_version else frozenset({""})
    if present is not None and affected <= present:
        return FindingStatus.RETRACTED
    return FindingStatus.FIXED


def _joined(versions: frozenset[str]) -> str | None:
    return ", ".join(sorted(versions)) or None


def _event(finding_id: uuid.UUID, now: dt.datetime, kind: str, run_id: uuid.UUID) -> dict[str, Any]:
    return {"finding_id": finding_id, "at": now, "kind": kind, "run_id": run_id}
