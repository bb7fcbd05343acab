"""Channels: where a user wants to be told beside the application itself, and when."""

import datetime as dt
import enum
import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Document, enum_column
from shared.models.notification import Priority


class ChannelKind(enum.StrEnum):
    """How a channel is spoken to; one module each in `worker_service.clients`."""

    WEBHOOK = "webhook"
    """Signed JSON, after Standard Webhooks."""
    EMAIL = "email"
    """Text and HTML, through the operator's SMTP server."""
    CHAT = "chat"
    """Slack, Teams, Mattermost or Discord, by an incoming webhook of theirs."""


class ChannelState(enum.StrEnum):
    """Whether a channel is used; the transitions are in `shared.lifecycle.channel`."""

    ACTIVE = "active"
    """Messages go out."""
    PAUSED = "paused"
    """It failed for days: what is due waits until its owner resumes it."""
    DISABLED = "disabled"
    """Its receiver said that it is gone: nothing is kept for it until its owner resumes it."""


class Digest(enum.StrEnum):
    """How often a channel speaks at most (`shared.preferences` says when)."""

    IMMEDIATE = "immediate"
    """One message per notification."""
    HOURLY = "hourly"
    """One message that collects an hour's."""
    DAILY = "daily"
    """One message that collects a day's."""


class Channel(Base):
    """One way to one user."""

    __tablename__ = "channel"
    __table_args__ = (sa.Index("ix_channel_user_id", "user_id", "created_at"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("user.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(sa.String(100))
    kind: Mapped[ChannelKind] = mapped_column(enum_column(ChannelKind))
    target: Mapped[bytes]
    """The URL or address, encrypted: an incoming webhook's URL is its own secret."""
    shown_target: Mapped[str] = mapped_column(sa.String(300))
    """What its owner is shown of the target: all of an address, of a URL nothing behind its host."""
    destination: Mapped[str] = mapped_column(sa.String(300))
    """Whom its messages are handed to, `host:port` or `smtp`: what is shared by all that hand to the same."""
    secret: Mapped[bytes | None]
    """A webhook's signing secret, encrypted."""
    previous_secret: Mapped[bytes | None]
    """The one before, encrypted; it signs too until `previous_secret_until`."""
    previous_secret_until: Mapped[dt.datetime | None]
    min_priority: Mapped[Priority] = mapped_column(enum_column(Priority), default=Priority.LOW)
    types: Mapped[list[str] | None]
    """Only what is of one of these types; None: all."""
    quiet_hours: Mapped[Document | None]
    """`{from, to, timezone}`, wall-clock times `HH:MM`; None: none."""
    digest: Mapped[Digest] = mapped_column(enum_column(Digest), default=Digest.IMMEDIATE)
    state: Mapped[ChannelState] = mapped_column(enum_column(ChannelState), default=ChannelState.ACTIVE)
    state_reason: Mapped[str | None] = mapped_column(sa.Text)
    """Why it is not active."""
    state_since: Mapped[dt.datetime]
    failing_since: Mapped[dt.datetime | None]
    """The first failure after the last success; None when the last attempt went well."""
    next_attempt_at: Mapped[dt.datetime | None]
    """No attempt before this: its receiver asked for patience, or was spoken to a moment ago."""
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
