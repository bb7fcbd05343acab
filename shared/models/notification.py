"""Notifications and their deliveries."""

import datetime as dt
import enum
import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.models.base import Base, enum_column


class Priority(enum.StrEnum):
    """How much it matters to its reader."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"


class DeliveryState(enum.StrEnum):
    """Where a delivery stands; the transitions are in `shared.lifecycle.delivery`."""

    PENDING = "pending"
    """Due, or waiting for its next attempt."""
    DELIVERED = "delivered"
    """The receiver has it."""
    FAILED = "failed"
    """Given up; it can be redelivered."""


class Notification(Base):
    """A message for one user."""

    __tablename__ = "notification"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "dedupe_key"),
        sa.Index("ix_notification_user_id", "user_id", "created_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("user.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(sa.String(64))
    title: Mapped[str] = mapped_column(sa.String(200))
    message: Mapped[str] = mapped_column(sa.Text)
    priority: Mapped[Priority] = mapped_column(enum_column(Priority), default=Priority.NORMAL)
    entity_type: Mapped[str | None] = mapped_column(sa.String(32))
    entity_id: Mapped[str | None] = mapped_column(sa.String(64))
    dedupe_key: Mapped[str] = mapped_column(sa.String(200))
    """What, for whom, which transition: a task that runs twice tells once."""
    created_at: Mapped[dt.datetime]
    read_at: Mapped[dt.datetime | None]
    deliveries: Mapped[list["Delivery"]] = relationship(back_populates="notification", passive_deletes=True)


class Delivery(Base):
    """A notification on its way through one channel."""

    __tablename__ = "delivery"
    __table_args__ = (sa.UniqueConstraint("notification_id", "channel"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    notification_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("notification.id", ondelete="CASCADE"))
    channel: Mapped[str] = mapped_column(sa.String(64))
    """`in_app`, the one channel that everybody has."""
    state: Mapped[DeliveryState] = mapped_column(enum_column(DeliveryState), default=DeliveryState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]
    notification: Mapped[Notification] = relationship(back_populates="deliveries")
