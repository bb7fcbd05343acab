"""Notes of what is proven, in the caller's transaction. The watermark never moves back."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database
from shared.models.coverage import MirrorCoverage, ProvenRange
from shared.models.mirror import Vulnerability


def load(session: Session) -> MirrorCoverage:
    """The one row, made when it is not there yet."""
    coverage = session.get(MirrorCoverage, 1, with_for_update=True)
    if coverage is None:
        coverage = MirrorCoverage(id=1)
        session.add(coverage)
        session.flush()
    return coverage


def prove(session: Session, proven: ProvenRange) -> None:
    """Note a proven range. It moves the watermark if nothing lies between the two."""
    proven.proven_at = database.now(session)
    session.add(proven)
    coverage = load(session)
    reaches = proven.since is None or (coverage.watermark is not None and proven.since <= coverage.watermark)
    if reaches:
        coverage.watermark = max(coverage.watermark or proven.until, proven.until)


def note_total(session: Session, total: int, at: dt.datetime) -> None:
    """Note how many records the upstream says it has."""
    coverage = load(session)
    if coverage.upstream_total_at is None or coverage.upstream_total_at <= at:
        coverage.upstream_total, coverage.upstream_total_at = total, at


def held_between(session: Session, since: dt.datetime, until: dt.datetime) -> int:
    """Records that the mirror holds and that were last modified in the range."""
    between = Vulnerability.last_modified.between(since, until)
    return session.scalar(sa.select(sa.func.count()).select_from(Vulnerability).where(between)) or 0
