"""The transitions between a mirror that has news and one that is stale; the admins are told once for each episode.

fresh ── no news for too long ──> stale (told) ── news ──> fresh
"""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database
from shared.models.coverage import MirrorCoverage
from shared.models.mirror import Vulnerability
from shared.models.user import Role, User
from shared.tasks import SEND_NOTIFICATION, ask


def tell_if_stale(session: Session, stale_after: dt.timedelta) -> int:
    """Tell every admin when the mirror has become stale. Gives how many were told.

    The row that remembers the episode is changed by compare-and-set, so that of many who look at once one tells. A mirror
    that was never proven complete is none that somebody relies on: nothing is told of it.
    """
    coverage = session.execute(
        sa.select(MirrorCoverage.watermark, MirrorCoverage.stale_told_at).where(
            MirrorCoverage.watermark.is_not(None)
        )
    ).one_or_none()
    if coverage is None:
        return 0
    newest = session.scalar(sa.select(sa.func.max(Vulnerability.last_modified)))
    now = database.now(session)
    news = min(coverage.watermark, newest or coverage.watermark)
    stale = now - news > stale_after
    if stale == (coverage.stale_told_at is not None):
        return 0
    turned = sa.update(MirrorCoverage).where(
        MirrorCoverage.stale_told_at.is_(None) if stale else MirrorCoverage.stale_told_at.is_not(None)
    )
    changed = session.execute(
        turned.values(stale_told_at=now if stale else None).returning(MirrorCoverage.id)
    )
    if changed.one_or_none() is None or not stale:
        return 0
    return _tell(session, news)


def _tell(session: Session, news: dt.datetime) -> int:
    admins = session.scalars(sa.select(User.id).where(User.role == Role.ADMIN, User.active)).all()
    for admin in admins:
        ask(
            session,
            SEND_NOTIFICATION,
            user_id=str(admin),
            notification_type="mirror_stale",
            title="The mirror of the NVD is stale",
            message=f"The mirror has had no news since {news:%Y-%m-%d %H:%M} UTC, so scans miss what became known "
            "since then. `vedette nvd status` says why.",
            priority="high",
            entity_type="mirror",
            entity_id=None,
        )
    return len(admins)
