"""What scans and catalogues changed, told to a person in one message: counts, what is new, and the worst five of it."""

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database
from shared.lifecycle import summary
from shared.lifecycle.notification import News
from shared.models.asset import Asset
from shared.models.base import Document
from shared.models.enrichment import EpssScore
from shared.models.finding import Finding, FindingEvent, FindingStatus, Severity, Triage
from shared.models.mirror import Vulnerability
from shared.models.notification import NotificationType, Priority
from shared.models.scan import OPEN_RUN, Run, RunStatus, Scan, Trigger
from worker_service.handlers.notifications import tell
from worker_service.tasks import Effect, Work

VERSION = 1
"""Of the document in `Notification.data`."""
WORST = 5
MAX_SCANS = 20
"""Scans that are named; all are counted."""
PATIENCE = dt.timedelta(hours=1)
"""Runs that go on for longer hold back no news."""

_KIND = {
    "opened": "new",
    "reopened": "reopened",
    "severity_raised": "severity_raised",
    "known_exploited": "known_exploited_added",
    "fixed": "fixed",
    "retracted": "retracted",
}
"""What a finding's event counts as."""
_WORSE = ("opened", "reopened", "severity_raised", "known_exploited")
_DECIDED = (Triage.NOT_AFFECTED, Triage.FALSE_POSITIVE)
"""Somebody looked, and it concerns nobody. A risk that was accepted may be another one now."""
_LEVELS = ("findings", *Severity)
"""Counts that say how an asset stands, not what a run changed."""


@dataclass
class Summary:
    """What there is to tell."""

    scans: list[Document] = field(default_factory=list)
    """`{scan_id, name, run_id, status, trigger, findings, new}`, the first MAX_SCANS."""
    counts: Counter[str] = field(default_factory=Counter)
    worst: list[Document] = field(default_factory=list)
    completed: int = 0
    """Runs that somebody asked for, by hand or by a schedule, and that ended well."""
    names: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """The names of scans that were given up."""

    @property
    def events(self) -> list[str]:
        """The types that it tells, in the order of `NotificationType`."""
        counts = self.counts
        there = {
            NotificationType.SCAN_COMPLETED: self.completed,
            NotificationType.SCAN_FAILED: len(self.failed),
            NotificationType.NEW_FINDINGS: counts["new"] + counts["reopened"],
            NotificationType.SEVERITY_RAISED: counts["severity_raised"],
            NotificationType.KNOWN_EXPLOITED_ADDED: counts["known_exploited_added"],
            NotificationType.FIXED: counts["fixed"] + counts["retracted"],
        }
        return [kind.value for kind, number in there.items() if number]

    @property
    def priority(self) -> Priority:
        """As urgent as the worst that is new."""
        if any(each["kev"] or each["severity"] == Severity.CRITICAL for each in self.worst):
            return Priority.CRITICAL
        if self.failed or any(each["severity"] == Severity.HIGH for each in self.worst):
            return Priority.HIGH
        return Priority.NORMAL if self.worst else Priority.LOW

    @property
    def data(self) -> Document:
        """The document for programs."""
        return {
            "version": VERSION,
            "events": self.events,
            "known_exploited": any(each["kev"] for each in self.worst),
            "counts": {name: self.counts[name] for name in ("scans", "failed", *_LEVELS, *_KIND.values())},
            "scans": self.scans,
            "worst": self.worst,
        }

    @property
    def title(self) -> str:
        """What is most worth knowing, in one line."""
        number = len(self.names)
        if number == 1:
            what = "failed" if self.failed else "completed" if self.completed else "has news"
            return f"Scan {what}: {self.names[0]}"[:200]
        if number == 0:
            return f"{_count(self.counts['known_exploited_added'], 'finding')} now known to be exploited"
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"{_count(number, 'scan')}{failed}: {self.changes or 'nothing new'}"[:200]

    @property
    def text(self) -> str:
        """The same in sentences."""
        counts = self.counts
        said = []
        if counts["scans"]:
            said.append(
                f"{counts['findings']} open findings, {counts['critical']} critical, {counts['high']} high."
            )
        said.append(f"Since the last one: {self.changes or 'nothing new'}.")
        if self.failed:
            shown = ", ".join(self.failed[:MAX_SCANS])
            more = f" and {len(self.failed) - MAX_SCANS} more" if len(self.failed) > MAX_SCANS else ""
            said.append(f"Failed, changing no finding: {shown}{more}.")
        return " ".join(said)

    @property
    def changes(self) -> str:
        """What is different, as a list; empty when nothing is."""
        words = {
            "new": "new",
            "reopened": "reopened",
            "severity_raised": "more severe",
            "known_exploited_added": "newly known to be exploited",
            "fixed": "fixed",
            "retracted": "retracted",
        }
        return ", ".join(f"{self.counts[name]} {word}" for name, word in words.items() if self.counts[name])


def send_findings_news(work: Work, user_id: str, since: str) -> Effect:
    """Tell a user, in one message, of the runs that they were not told of, and of findings marked from `since` on.

    While more of their runs are under way it is put off, for PATIENCE at most.
    """
    who, moment = uuid.UUID(user_id), dt.datetime.fromisoformat(since)

    def effect(session: Session) -> Document | None:
        runs = _untold(session, who)
        now = database.now(session)
        if runs and now - min(run.ended_at or now for run in runs) < PATIENCE and _under_way(session, who):
            summary.gather(session, who, moment, after=work.task_id)
            return {"runs": len(runs), "told": False}
        found = summarise(session, runs, _marked(session, who, moment))
        for run in runs:
            run.told_at = now
        if not found.events:
            return {"runs": len(runs), "told": False}
        return {"runs": len(runs), "told": True, **tell(session, who, _news(found, f"task:{work.task_id}"))}

    return effect


def send_scan_completion(
    work: Work,
    scan_id: str,
    user_id: str,
    scan_name: str,
    total_findings: int,
    critical_count: int,
    high_count: int,
) -> Effect:
    """Tell a user how a scan that they started ended: its open findings, and what is new since the last one.

    Once for a run, which is the oldest of the scan that they were not told of.
    """
    priority = Priority.CRITICAL if critical_count else Priority.HIGH if high_count else Priority.NORMAL

    def effect(session: Session) -> Document:
        run = _oldest_untold(session, scan_id, uuid.UUID(user_id))
        found = summarise(session, [run] if run else [], ())
        if run is not None:
            run.told_at = database.now(session)
        text = f"{scan_name}: {total_findings} open findings, {critical_count} critical, {high_count} high."
        if found.changes:
            text = f"{text} Since the last one: {found.changes}."
        news = News(
            type=NotificationType.SCAN_COMPLETED,
            title=f"Scan completed: {scan_name}"[:200],
            message=text,
            priority=priority,
            entity_type="scan",
            entity_id=scan_id,
            dedupe_key=f"scan_completed:{run.id}" if run else f"task:{work.task_id}",
            data=found.data if run else None,
        )
        return tell(session, uuid.UUID(user_id), news)

    return effect


def summarise(session: Session, runs: Sequence[Run], marked: Collection[uuid.UUID]) -> Summary:
    """What these runs changed, and that the findings `marked` became known to be exploited."""
    found = Summary()
    names = _names(session, {run.scan_id for run in runs})
    latest = {run.scan_id: run for run in runs if run.status == RunStatus.COMPLETED}
    for run in latest.values():
        found.counts.update({name: (run.counts or {}).get(name, 0) for name in _LEVELS})
    for run in runs:
        name = names[run.scan_id]
        if run.status == RunStatus.FAILED:
            found.failed.append(name)
        elif run.trigger != Trigger.MIRROR:
            found.completed += 1
    found.names = list(dict.fromkeys(names[run.scan_id] for run in runs))
    found.counts["scans"] = len(latest)
    found.counts["failed"] = len(found.failed)
    found.scans = [_scan(run, names[run.scan_id]) for run in runs[:MAX_SCANS]]
    worst: list[Document] = []
    for ids in database.in_lists([run.id for run in runs]):
        changed = FindingEvent.run_id.in_(ids)
        found.counts.update(_events(session, changed))
        worst += _worst(session, changed)
    for chunk in database.in_lists(marked):
        worst += _worst(session, FindingEvent.finding_id.in_(chunk))
    found.counts["known_exploited_added"] += len(marked)
    found.worst = worst_of(worst)
    return found


def _news(found: Summary, key: str) -> News:
    single = found.scans[0] if len(found.names) == 1 else None
    return News(
        type=found.events[0],
        title=found.title,
        message=found.text,
        priority=found.priority,
        entity_type="scan" if single else None,
        entity_id=single["scan_id"] if single else None,
        dedupe_key=key,
        data=found.data,
    )


def _untold(session: Session, user_id: uuid.UUID) -> Sequence[Run]:
    """The user's ended runs that nobody started by hand, of which they were not told; the first to end first."""
    return session.scalars(
        sa.select(Run)
        .where(
            Run.requested_by == user_id,
            Run.told_at.is_(None),
            Run.trigger != Trigger.MANUAL,
            Run.status.in_((RunStatus.COMPLETED, RunStatus.FAILED)),
        )
        .order_by(Run.ended_at, Run.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def _under_way(session: Session, user_id: uuid.UUID) -> bool:
    more = sa.select(Run.id).where(
        Run.requested_by == user_id, Run.trigger != Trigger.MANUAL, Run.status.in_(OPEN_RUN)
    )
    return session.scalar(more.limit(1)) is not None


def _oldest_untold(session: Session, scan_id: str, user_id: uuid.UUID) -> Run | None:
    try:
        scan = uuid.UUID(scan_id)
    except ValueError:
        return None
    return session.scalar(
        sa.select(Run)
        .where(
            Run.scan_id == scan,
            Run.requested_by == user_id,
            Run.trigger == Trigger.MANUAL,
            Run.status == RunStatus.COMPLETED,
            Run.told_at.is_(None),
        )
        .order_by(Run.ended_at, Run.id)
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _marked(session: Session, user_id: uuid.UUID, since: dt.datetime) -> set[uuid.UUID]:
    """The open findings, in assets that the user has scanned, that a catalogue marked from `since` on."""
    return set(
        session.scalars(
            sa.select(FindingEvent.finding_id)
            .join(Finding, Finding.id == FindingEvent.finding_id)
            .where(
                FindingEvent.kind == "known_exploited",
                FindingEvent.run_id.is_(None),
                FindingEvent.at >= since,
                Finding.status == FindingStatus.OPEN,
                Finding.asset_id.in_(sa.select(Scan.asset_id).where(Scan.created_by == user_id)),
            )
        )
    )


def _names(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    names: dict[uuid.UUID, str] = {}
    for chunk in database.in_lists(ids):
        rows = session.execute(sa.select(Scan.id, Scan.name).where(Scan.id.in_(chunk)))
        names.update((row.id, row.name) for row in rows)
    return names


def _scan(run: Run, name: str) -> Document:
    counts = run.counts or {}
    return {
        "scan_id": str(run.scan_id),
        "name": name,
        "run_id": str(run.id),
        "status": run.status.value,
        "trigger": run.trigger.value,
        "findings": counts.get("findings", 0),
        "new": counts.get("new", 0),
    }


def _events(session: Session, which: sa.ColumnElement[bool]) -> dict[str, int]:
    """How many findings changed, by what it counts as."""
    rows = session.execute(
        sa.select(FindingEvent.kind, sa.func.count(FindingEvent.finding_id.distinct()))
        .where(which, FindingEvent.kind.in_(_KIND))
        .group_by(FindingEvent.kind)
    )
    return {_KIND[kind]: number for kind, number in rows}


def _worst(session: Session, which: sa.ColumnElement[bool]) -> list[Document]:
    """The worst of the open findings with such an event: known-exploited ones first, then by EPSS, then by CVSS."""
    changed = sa.select(FindingEvent.finding_id).where(which, FindingEvent.kind.in_(_WORSE))
    rows = session.execute(
        sa.select(Finding, Asset.name, EpssScore.score.label("epss"))
        .join(Asset, Asset.id == Finding.asset_id)
        .outerjoin(Vulnerability, Vulnerability.cve_id == Finding.cve_id)
        .outerjoin(EpssScore, EpssScore.vulnerability_id == Vulnerability.id)
        .where(Finding.id.in_(changed), Finding.status == FindingStatus.OPEN, Finding.triage.not_in(_DECIDED))
        .order_by(
            Finding.kev.desc(),
            EpssScore.score.desc().nulls_last(),
            Finding.score.desc().nulls_last(),
            Finding.cve_id,
            Finding.id,
        )
        .limit(WORST)
    )
    return [_item(finding, asset, epss) for finding, asset, epss in rows]


def _item(finding: Finding, asset: str, epss: float | None) -> Document:
    return {
        "finding_id": str(finding.id),
        "cve_id": finding.cve_id,
        "component": finding.component_name,
        "version": finding.component_version,
        "asset_id": str(finding.asset_id),
        "asset": asset,
        "severity": finding.severity.value,
        "score": finding.score,
        "epss": epss,
        "kev": finding.kev,
    }


def worst_of(items: Iterable[Document]) -> list[Document]:
    """The worst WORST of several lists, each finding once: known-exploited ones first, then by EPSS, then by CVSS."""
    unique = {item["finding_id"]: item for item in items}
    return sorted(unique.values(), key=_badness)[:WORST]


def _badness(item: Document) -> tuple[bool, float, float, str]:
    return (not item["kev"], -(item["epss"] or 0.0), -(item["score"] or 0.0), item["cve_id"])


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
