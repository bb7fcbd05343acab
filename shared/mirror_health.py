"""How complete and how fresh the mirror is, and why: one judgement for the API, the command and the sweeper."""

import datetime as dt
import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database
from shared.models.coverage import MirrorCoverage
from shared.models.mirror import Quarantine, Sync, SyncKind, SyncState, Vulnerability
from shared.models.task import Task, TaskState


class MirrorState(enum.StrEnum):
    """How the mirror stands, in one word."""

    EMPTY = "empty"
    """It holds nothing."""
    BOOTSTRAPPING = "bootstrapping"
    """It is being filled for the first time."""
    FRESH = "fresh"
    """It is proven complete, and news came lately."""
    STALE = "stale"
    """No news for longer than the setting allows."""
    DEGRADED = "degraded"
    """Something is missing, not proven, or failed lately."""


@dataclass(frozen=True)
class Health:
    """The judgement, and what it is made of."""

    state: MirrorState
    reasons: list[str]
    """Why it is not `fresh`, and what else is worth knowing; one sentence each."""
    newest_record_at: dt.datetime | None
    coverage: MirrorCoverage | None
    running: Sync | None
    """The sync that is under way."""
    last: Sync | None
    """The latest sync, running or not."""
    last_success: Sync | None
    quarantined: int


_UNPROVEN = {
    MirrorState.EMPTY: "It holds nothing yet: no feed was imported and no sync has brought anything.",
    MirrorState.BOOTSTRAPPING: "It is being filled for the first time: scans miss what has not been read yet.",
}
"""What follows from there being no proof, where that is better said than that there is none."""


def look(session: Session, stale_after: dt.timedelta) -> Health:
    """Judge the mirror as it is now. In a reading transaction, so that everything is of one moment."""
    newest = session.scalar(sa.select(sa.func.max(Vulnerability.last_modified)))
    coverage = session.get(MirrorCoverage, 1)
    running = _running(session)
    latest = sa.select(Sync).order_by(Sync.id.desc()).limit(1)
    last = session.scalar(latest)
    quarantined = session.scalar(sa.select(sa.func.count()).select_from(Quarantine)) or 0
    old = _old(database.now(session), stale_after, newest, coverage)
    wrong = _wrong(session, coverage, last, running)
    state = _state(newest, coverage, running, old=old, wrong=wrong)
    reasons = [] if state == MirrorState.BOOTSTRAPPING else old
    if not _proven(coverage):
        reasons.append(_UNPROVEN.get(state, "It was never proven complete: no sync has read everything."))
    reasons += wrong
    if quarantined:
        stands = "stands" if quarantined == 1 else "stand"
        reasons.append(f"{_count(quarantined, 'record')} could not be used and {stands} in quarantine.")
    last_success = session.scalar(latest.where(Sync.state == SyncState.COMPLETED))
    return Health(state, reasons, newest, coverage, running, last, last_success, quarantined)


def held(session: Session) -> int:
    """Records that the mirror holds, those that stand in quarantine included."""
    usable = session.scalar(sa.select(sa.func.count()).select_from(Vulnerability)) or 0
    known = sa.exists().where(Vulnerability.cve_id == Quarantine.cve_id).correlate(Quarantine)
    return usable + (session.scalar(sa.select(sa.func.count()).select_from(Quarantine).where(~known)) or 0)


def quarantined_by_year(session: Session) -> Counter[int]:
    """Records in quarantine that the mirror does not hold in an older, usable form, by the year in their id."""
    known = sa.exists().where(Vulnerability.cve_id == Quarantine.cve_id).correlate(Quarantine)
    names: Sequence[str | None] = session.scalars(sa.select(Quarantine.cve_id).where(~known)).all()
    return Counter(int(name[4:8]) for name in names if name is not None)


def _proven(coverage: MirrorCoverage | None) -> bool:
    """It was complete once."""
    return coverage is not None and coverage.watermark is not None


def _state(
    newest: dt.datetime | None,
    coverage: MirrorCoverage | None,
    running: Sync | None,
    *,
    old: list[str],
    wrong: list[str],
) -> MirrorState:
    proven = _proven(coverage)
    if running is not None and not proven and (newest is None or running.kind == SyncKind.BOOTSTRAP):
        return MirrorState.BOOTSTRAPPING
    if newest is None:
        return MirrorState.EMPTY
    if old:
        return MirrorState.STALE
    return MirrorState.DEGRADED if wrong or not proven else MirrorState.FRESH


def _old(
    now: dt.datetime, stale_after: dt.timedelta, newest: dt.datetime | None, coverage: MirrorCoverage | None
) -> list[str]:
    reasons = []
    if newest is not None and now - newest > stale_after:
        reasons.append(f"The newest record is {_age(now - newest)} old.")
    watermark = coverage.watermark if coverage else None
    if watermark is not None and now - watermark > stale_after:
        reasons.append(f"What the NVD changed in the last {_age(now - watermark)} has not been read.")
    return reasons


def _wrong(
    session: Session, coverage: MirrorCoverage | None, last: Sync | None, running: Sync | None
) -> list[str]:
    reasons = []
    total = coverage.upstream_total if coverage and _proven(coverage) else None
    if total is not None and (missing := total - held(session)) > 0:
        reasons.append(f"{missing:,} of the upstream's {total:,} records are missing.")
    if running is not None and running.error:
        reasons.append(f"The sync that is under way had trouble{_until(session, running)}: {running.error}")
    elif last is not None and last.state == SyncState.FAILED:
        reasons.append(f"The last sync failed: {last.error}")
    elif last is not None and last.substitute:
        reasons.append(f"The last sync had to make do: {last.substitute}")
    return reasons


def _until(session: Session, running: Sync) -> str:
    """Until when a sync waits, if it waits for its next attempt."""
    waiting = sa.select(Task.run_after).where(Task.id == running.task_id, Task.state == TaskState.RETRY)
    again = session.scalar(waiting)
    return "" if again is None else f" and is tried again at {again:%Y-%m-%d %H:%M} UTC"


def _running(session: Session) -> Sync | None:
    """The sync whose task has not ended."""
    open_task = sa.exists().where(Task.id == Sync.task_id, Task.ended_at.is_(None))
    under_way = sa.select(Sync).where(Sync.state == SyncState.RUNNING, open_task)
    return session.scalar(under_way.order_by(Sync.id.desc()).limit(1))


def _age(span: dt.timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    hours = minutes // 60
    if hours < 2:
        return _count(minutes, "minute")
    return _count(hours // 24, "day") if hours >= 48 else _count(hours, "hour")


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
