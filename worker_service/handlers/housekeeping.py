"""Cleaning up."""

import datetime as dt

import sqlalchemy as sa

from shared import database
from shared.models.base import Document
from shared.models.notification import Notification
from worker_service.tasks import Effect, Work


def cleanup_old_notifications(work: Work, days_old: int) -> Effect:  # noqa: ARG001  # every handler takes its work
    """Remove notifications that are read and older than `days_old` days, and unread ones four times as old."""

    def remove(session: database.Session) -> Document:
        now = database.now(session)
        read = Notification.read_at.is_not(None) & (
            Notification.created_at < now - dt.timedelta(days=days_old)
        )
        unread = Notification.created_at < now - dt.timedelta(days=4 * days_old)
        gone = session.scalars(sa.delete(Notification).where(read | unread).returning(Notification.id)).all()
        return {"removed": len(gone)}

    return remove
