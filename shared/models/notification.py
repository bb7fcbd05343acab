"""Notifications and their deliveries."""

import datetime as dt
import enum
import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.models.base import Base, Document, enum_column

IN_APP = "in_app"
"""The one channel that everybody has: the list of notifications itself."""


class Priority(enum.StrEnum):
    """How much it matters to its reader."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Greater matters more."""
        return list(Priority).index(self)


class NotificationType(enum.StrEnum):
    """What a notification can tell. One may tell several of the first six at once; its type is then the first of them.

    Admins may send types of their own beside these.
    """

    SCAN_COMPLETED = "scan_completed"
    """Scans ended well."""
    SCAN_FAILED = "scan_failed"
    """Scans were given up; they changed no finding."""
    NEW_FINDINGS = "new_findings"
    """A scan saw what none had seen before, or what was fixed once."""
    SEVERITY_RAISED = "severity_raised"
    """An open finding became more severe."""
    KNOWN_EXPLOITED_ADDED = "known_exploited_added"
    """An open finding became known to be exploited."""
    FIXED = "fixed"
    """What was found before is gone."""
    MIRROR_STALE = "mirror_stale"
    """The mirror has had no news for too long."""
    CHANNEL_PAUSED = "channel_paused"
    """A channel of one's own failed for days and is not tried any more."""
    CHANNEL_DISABLED = "channel_disabled"
    """The receiver of a channel of one's own said that it is gone."""
    ANNOUNCEMENT = "announcement"
    """An admin's word."""


IN_APP_ONLY = frozenset({NotificationType.CHANNEL_PAUSED, NotificationType.CHANNEL_DISABLED})
"""What is told in the application and nowhere else: news of channels must not depend on channels."""


class Outcome(enum.StrEnum):
    """How an attempt ended."""

    DELIVERED = "delivered"
    """The receiver has it."""
    RETRY = "retry"
    """It failed in a way that may pass."""
    REFUSED = "refused"
    """It failed in a way that will not pass."""
    GONE = "gone"
    """The receiver wants no more, ever."""
    LOST = "lost"
    """Its worker ended before it could record the answer: the receiver may have it."""


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
    data: Mapped[Document | None]
    """What it tells, for programs: see `WebhookData` in the API's document; None where there is no more than the text."""
    created_at: Mapped[dt.datetime]
    read_at: Mapped[dt.datetime | None]
    deliveries: Mapped[list["Delivery"]] = relationship(back_populates="notification", passive_deletes=True)

    @property
    def events(self) -> list[str]:
        """All types that it tells, its own first."""
        return list((self.data or {}).get("events") or [self.type])


_PENDING_SQL = sa.text("state = 'pending'")


class Delivery(Base):
    """A notification on its way through one channel.

    In a digest one delivery, the carrier, stands for the message that goes out; the others point at it and end with it.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        sa.UniqueConstraint("notification_id", "channel_id"),
        sa.UniqueConstraint("channel_id", "digest_due"),
        sa.Index("ix_delivery_carrier_id", "carrier_id"),
        sa.Index(
            "ix_delivery_pending",
            "channel_id",
            "order_key",
            sqlite_where=_PENDING_SQL,
            postgresql_where=_PENDING_SQL,
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    notification_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("notification.id", ondelete="CASCADE"))
    channel: Mapped[str] = mapped_column(sa.String(64))
    """The channel's kind, or `in_app`."""
    channel_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("channel.id", ondelete="CASCADE"))
    """None: in the application."""
    state: Mapped[DeliveryState] = mapped_column(enum_column(DeliveryState), default=DeliveryState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    """How often it was tried, over all its life."""
    step: Mapped[int] = mapped_column(default=0)
    """How many steps of the retry schedule are used up; a redelivery begins anew."""
    due_at: Mapped[dt.datetime]
    """When it is meant to go out: at once, at the end of quiet hours, or with its digest."""
    run_after: Mapped[dt.datetime | None]
    """Not before this; None when there is nothing more to do."""
    waits: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Its task ended without an attempt, since something stands before it: who takes that away asks again."""
    order_key: Mapped[str | None] = mapped_column(sa.String(120))
    """Deliveries of one channel with the same key go out one after the other; None: whenever."""
    digest_due: Mapped[dt.datetime | None]
    """Of a carrier that has not ended: when its period does. One per channel and period."""
    carrier_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("delivery.id", ondelete="CASCADE"))
    """The delivery whose message holds this one's notification; None when it has a message of its own."""
    error: Mapped[str | None] = mapped_column(sa.Text)
    """Why the last attempt failed, or why it was given up."""
    created_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]
    notification: Mapped[Notification] = relationship(back_populates="deliveries")
    tries: Mapped[list["DeliveryAttempt"]] = relationship(
        order_by="DeliveryAttempt.started_at", viewonly=True
    )

    @property
    def message_id(self) -> str:
        """What names the message to its receiver: the same for every attempt."""
        return f"msg_{(self.carrier_id or self.id).hex}"


class DeliveryAttempt(Base):
    """One try to hand a message over; committed before it is made, completed after it."""

    __tablename__ = "delivery_attempt"
    __table_args__ = (
        sa.Index("ix_delivery_attempt_delivery_id", "delivery_id", "started_at"),
        sa.Index("ix_delivery_attempt_channel_id", "channel_id", "started_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    channel_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("channel.id", ondelete="CASCADE"))
    delivery_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("delivery.id", ondelete="CASCADE"))
    """None: its owner tried the channel out."""
    started_at: Mapped[dt.datetime]
    handing_over_at: Mapped[dt.datetime | None]
    """When a mail was about to be ended: without a word of the server's, nobody knows since whether it has the mail. None
    before, and of channels whose receivers know a repeat by its id."""
    seconds: Mapped[float | None]
    """How long the receiver took; None while it is under way, or when nobody knows."""
    status: Mapped[int | None]
    """What HTTP or SMTP answered, if anything."""
    outcome: Mapped[Outcome | None] = mapped_column(enum_column(Outcome))
    """None while it is under way."""
    detail: Mapped[str | None] = mapped_column(sa.Text)
    """In plain words; never any byte of the answer."""
