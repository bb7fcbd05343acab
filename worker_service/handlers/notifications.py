"""Telling people: a notification is a row for its reader and a delivery per channel."""

import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database
from shared.errors import Permanent
from shared.lifecycle import delivery
from shared.models.base import Document
from shared.models.notification import Delivery, DeliveryState, Notification, Priority
from shared.models.user import User
from worker_service.tasks import Effect, Work

IN_APP = "in_app"


def send(  # noqa: PLR0913, PLR0917  # the arguments of the contract
    work: Work,
    user_id: str,
    notification_type: str,
    title: str,
    message: str,
    priority: str,
    entity_type: str | None,
    entity_id: str | None,
) -> Effect:
    """Tell a user something. Raises Permanent when the user is gone or the priority is none."""
    if priority not in list(Priority):
        raise Permanent(f"{priority!r} is no priority (there are {', '.join(Priority)}).")
    notification = Notification(
        user_id=uuid.UUID(user_id),
        type=notification_type,
        title=title,
        message=message,
        priority=Priority(priority),
        entity_type=entity_type,
        entity_id=entity_id,
        dedupe_key=f"task:{work.task_id}",
    )
    return lambda session: _tell(session, notification)


def send_scan_completion(
    work: Work,
    scan_id: str,
    user_id: str,
    scan_name: str,
    total_findings: int,
    critical_count: int,
    high_count: int,
) -> Effect:
    """Tell a user how a scan ended: its open findings, and how many of them are critical and high."""
    priority = Priority.CRITICAL if critical_count else Priority.HIGH if high_count else Priority.NORMAL
    return send(
        work,
        user_id,
        "scan_completed",
        f"Scan completed: {scan_name}"[:200],
        f"{scan_name}: {total_findings} open findings, {critical_count} critical, {high_count} high.",
        priority,
        "scan",
        scan_id,
    )


def _tell(session: Session, notification: Notification) -> Document:
    """Write the notification and its deliveries, unless it was told already."""
    told = sa.select(Notification.id).where(
        Notification.user_id == notification.user_id, Notification.dedupe_key == notification.dedupe_key
    )
    if (standing := session.scalar(told)) is not None:
        return {"notification_id": str(standing)}
    if session.get(User, notification.user_id) is None:
        raise Permanent("The user is gone.")
    now = database.now(session)
    notification.created_at = now
    in_app = Delivery(
        notification=notification, channel=IN_APP, state=DeliveryState.PENDING, attempts=0, created_at=now
    )
    delivery.deliver(in_app, now)  # the row itself is what its reader sees
    session.add_all([notification, in_app])
    session.flush()
    return {"notification_id": str(notification.id)}
