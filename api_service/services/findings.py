"""Findings: what is open, what a human decided about it, and why it was found."""

import datetime as dt
import uuid
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session, selectinload

from api_service.paging import Page, PageRequest, fetch
from api_service.services import search
from shared import database
from shared.errors import Invalid, NotFound, Stale
from shared.models.base import Document
from shared.models.enrichment import EpssScore
from shared.models.finding import Finding, FindingEvent, FindingStatus, Severity, Triage
from shared.models.mirror import Vulnerability
from shared.models.scan import Scan

NEED_JUSTIFICATION = (Triage.NOT_AFFECTED, Triage.FALSE_POSITIVE)


@dataclass(frozen=True)
class Filters:
    """Which findings; None stands for all."""

    asset_id: uuid.UUID | None = None
    scan_id: uuid.UUID | None = None
    """Findings belong to the scan's asset: these are all of that asset's."""
    status: FindingStatus | None = None
    severity: Severity | None = None
    min_severity: Severity | None = None
    cve_id: str | None = None
    kev: bool | None = None
    epss_min: float | None = None
    triage: Triage | None = None
    component: str | None = None
    certainty: str | None = None
    host: str | None = None


def list_findings(
    session: Session, filters: Filters, page: PageRequest, *, likeliest_first: bool = False
) -> Page[Finding]:
    """Findings, the worst first: by severity, then by score; those alike in the order of their CVE ids.

    Or those first whose vulnerability is the likeliest to be exploited; those alike the worst first.
    """
    statement = sa.select(Finding).where(*_conditions(filters)).options(selectinload(Finding.epss))
    if likeliest_first:
        statement = statement.outerjoin(Vulnerability, Vulnerability.cve_id == Finding.cve_id)
        statement = statement.outerjoin(EpssScore, EpssScore.vulnerability_id == Vulnerability.id)
        statement = statement.order_by(sa.func.coalesce(EpssScore.score, -1.0).desc())
    rank = sa.case({severity: severity.rank for severity in Severity}, value=Finding.severity)
    order = (rank.desc(), sa.func.coalesce(Finding.score, -1.0).desc(), Finding.cve_id, Finding.id)
    return fetch(session, statement.order_by(*order), page)


def count_open(session: Session) -> dict[Severity, int]:
    """How many findings of each severity are open."""
    query = sa.select(Finding.severity, sa.func.count()).where(Finding.status == FindingStatus.OPEN)
    counted = dict(session.execute(query.group_by(Finding.severity)).all())
    return {severity: counted.get(severity, 0) for severity in Severity}


def suppressed(session: Session, asset_id: uuid.UUID, key: str, cve_id: str) -> str | None:
    """The decision, in words, because of which a component's finding counts as no finding; None when there is none."""
    this = (Finding.asset_id == asset_id, Finding.component_key == key, Finding.cve_id == cve_id)
    finding = session.scalar(sa.select(Finding).where(*this))
    if finding is None or finding.triage not in _SUPPRESSING:
        return None
    until = finding.risk_accepted_until
    if until is not None and until < database.now(session).date():
        return None
    told = _SUPPRESSING[finding.triage] + (f" until {until}" if until else "")
    return f"{told} ({finding.justification})" if finding.justification else told


_SUPPRESSING = {
    Triage.NOT_AFFECTED: "not affecting the asset",
    Triage.FALSE_POSITIVE: "a false positive",
    Triage.RISK_ACCEPTED: "an accepted risk",
}


def _conditions(filters: Filters) -> list[search.Condition]:
    conditions = search.conjunction(
        (Finding.asset_id, filters.asset_id),
        (Finding.status, filters.status),
        (Finding.severity, filters.severity),
        (Finding.cve_id, filters.cve_id),
        (Finding.kev, filters.kev),
        (Finding.triage, filters.triage),
        (Finding.certainty, filters.certainty),
        (Finding.host, filters.host),
    )
    if filters.scan_id is not None:
        conditions.append(Finding.asset_id.in_(sa.select(Scan.asset_id).where(Scan.id == filters.scan_id)))
    if filters.min_severity is not None:
        least = filters.min_severity.rank
        conditions.append(Finding.severity.in_([each for each in Severity if each.rank >= least]))
    if filters.epss_min is not None:
        scored = sa.select(Vulnerability.cve_id).join(
            EpssScore, EpssScore.vulnerability_id == Vulnerability.id
        )
        conditions.append(Finding.cve_id.in_(scored.where(EpssScore.score >= filters.epss_min)))
    if filters.component is not None:
        conditions.append(search.contains(Finding.component_name, filters.component))
    return conditions


def get_finding(session: Session, finding_id: uuid.UUID, *, lock: bool = False) -> Finding:
    """One finding with its history, its row locked for this transaction if asked for. Raises NotFound."""
    finding = session.get(Finding, finding_id, with_for_update=True if lock else None)
    if finding is None:
        raise NotFound("There is no such finding.")
    _ = finding.events, finding.epss  # read with it, for use after the transaction
    return finding


@dataclass(frozen=True)
class Decision:
    """What a human says of a finding; a field that is not in `given` stays as it is, or falls with the triage."""

    given: Document
    """Some of `triage`, `justification`, `risk_accepted_until`."""
    comment: str | None = None


def triage_finding(
    session: Session,
    finding_id: uuid.UUID,
    versions: Collection[str] | None,
    decision: Decision,
    user_id: uuid.UUID,
) -> Finding:
    """Record a decision, with its author, in the finding's permanent history.

    `versions` are those that the decision may have been made on; None means any. Raises NotFound, Stale when the finding was
    triaged since, and Invalid for a decision that lacks what it needs.
    """
    finding = get_finding(session, finding_id, lock=True)
    if versions is not None and str(finding.version) not in versions:
        raise Stale("The finding was triaged since you read it; read it again.")
    if not decision.given and not decision.comment:
        raise Invalid("There is nothing to change: send a triage or a comment.")
    now = database.now(session)
    before = _decided(finding)
    for name, value in _completed(finding, decision.given, now.date()).items():
        setattr(finding, name, value)
    finding.version += 1
    detail: Document = {"before": before, "after": _decided(finding)}
    if decision.comment:
        detail["comment"] = decision.comment
    finding.events.append(FindingEvent(at=now, kind="triaged", user_id=user_id, detail=detail))
    session.flush()
    return finding


def _completed(finding: Finding, given: Document, today: dt.date) -> Document:
    """The whole decision: with another triage, what belonged to the former falls. Raises Invalid when it lacks something."""
    triage = given.get("triage", finding.triage)
    standing = triage == finding.triage
    after = {
        "triage": triage,
        "justification": given.get("justification", finding.justification if standing else None),
        "risk_accepted_until": given.get(
            "risk_accepted_until", finding.risk_accepted_until if standing else None
        ),
    }
    until = after["risk_accepted_until"]
    errors: dict[str, list[str]] = {}
    if triage in NEED_JUSTIFICATION and not (after["justification"] or "").strip():
        errors["justification"] = [f"{triage} needs a justification."]
    if triage == Triage.RISK_ACCEPTED and until is None:
        errors["risk_accepted_until"] = ["risk_accepted needs a date until which it holds."]
    if triage != Triage.RISK_ACCEPTED and until is not None:
        errors["risk_accepted_until"] = ["Only risk_accepted holds until a date."]
    if triage == Triage.RISK_ACCEPTED and until is not None and until <= today:
        errors["risk_accepted_until"] = ["Must be a date in the future."]
    if errors:
        raise Invalid("; ".join(texts[0] for texts in errors.values()), errors)
    return after


def _decided(finding: Finding) -> Document:
    """What a human has said so far, ready for JSON."""
    until = finding.risk_accepted_until
    return {
        "triage": finding.triage.value,
        "justification": finding.justification,
        "risk_accepted_until": until.isoformat() if until else None,
    }


def explain_finding(session: Session, finding_id: uuid.UUID) -> Document:
    """The evidence as it was stored with the finding, and what it says in words. Raises NotFound."""
    finding = get_finding(session, finding_id)
    return {
        "finding_id": finding.id,
        "cve_id": finding.cve_id,
        "component_name": finding.component_name,
        "component_version": finding.component_version,
        "status": finding.status,
        "certainty": finding.certainty,
        "snapshot": finding.snapshot,
        "sentences": [each["sentence"] for each in finding.evidence if each.get("sentence")],
        "evidence": finding.evidence,
    }
