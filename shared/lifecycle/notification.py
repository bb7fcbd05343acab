"""The making of a notification: once per user and transition, whoever asks however often."""

import uuid
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared import database
from shared.lifecycle import delivery
from shared.models.base import Document
from shared.models.notification import IN_APP, Delivery, DeliveryState, Notification, Priority


@dataclass(frozen=True)
class News:
    """What there is to tell."""

    type: str
    title: str
    message: str
    priority: Priority
    dedupe_key: str
    """Which transition of what: the same is told to a user once."""
    entity_type: str | None = None
    entity_id: str | None = None
    data: Document | None = None


def write(session: Session, user_id: uuid.UUID, news: News) -> tuple[Notification, bool]:
    """The notification that tells `user_id` this news in the application, and whether it was told just now."""
    told = sa.select(Notification).where(
        Notification.user_id == user_id, Notification.dedupe_key == news.dedupe_key
    )
    if (standing := session.scalar(told)) is not None:
        return standing, False
    notification = _row(session, user_id, news)
    try:
        with session.begin_nested():
            session.add(notification)
    except IntegrityError:
        if (standing := session.scalar(told)) is None:
            raise  # it was not the key
        return standing, False
    session.add(_in_app(notification))
    session.flush()
    return notification, True


def _row(session: Session, user_id: uuid.UUID, news: News) -> Notification:
    return Notification(
        id=uuid.uuid4(),
        user_id=user_id,
        type=news.type,
        title=news.title,
        message=news.message,
        priority=news.priority,
        entity_type=news.entity_type,
        entity_id=news.entity_id,
        dedupe_key=news.dedupe_key,
        data=news.data,
        created_at=database.now(session),
    )


def _in_app(notification: Notification) -> Delivery:
    """The delivery in the application: the row itself is what its reader sees."""
    now = notification.created_at
    row = Delivery(
        id=uuid.uuid4(),
        notification_id=notification.id,
        channel=IN_APP,
        state=DeliveryState.PENDING,
        attempts=0,
        step=0,
        due_at=now,
        waits=False,
        created_at=now,
    )
    delivery.deliver(row, now)
    return row
