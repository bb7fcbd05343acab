"""Cleaning up."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database
from shared.models.base import Document
from shared.models.notification import Delivery, DeliveryAttempt, Notification
from worker_service.tasks import Effect, Work


def cleanup_old_notifications(work: Work, days_old: int) -> Effect:  # noqa: ARG001  # every handler takes its work
    """Remove notifications that are read and older than `days_old` days, and unread ones four times as old.

    With their deliveries; of a notification that stays, what ended in channels is removed after `days_old` days too, and so
    are the attempts of tests.
    """

    def remove(session: Session) -> Document:
        now = database.now(session)
        read = Notification.read_at.is_not(None) & (
            Notification.created_at < now - dt.timedelta(days=days_old)
        )
        unread = Notification.created_at < now - dt.timedelta(days=4 * days_old)
        before = now - dt.timedelta(days=days_old)
        ended = Delivery.channel_id.is_not(None) & (Delivery.ended_at < before)
        session.execute(sa.delete(Delivery).where(ended))
        tests = DeliveryAttempt.delivery_id.is_(None) & (DeliveryAttempt.started_at < before)
        session.execute(sa.delete(DeliveryAttempt).where(tests))
        gone = session.scalars(sa.delete(Notification).where(read | unread).returning(Notification.id)).all()
        return {"removed": len(gone)}

    return remove
