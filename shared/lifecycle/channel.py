"""The transitions of a channel; its owner is told of those that they did not make, in the application.

active ── failed for days ──> paused ── resume ──> active
   └───── 410 Gone ─────────> disabled ── resume ──┘
"""

import datetime as dt
import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.errors import Conflict
from shared.lifecycle import notification
from shared.lifecycle.notification import News
from shared.models.channel import Channel, ChannelState
from shared.models.notification import NotificationType, Priority


def lock(session: Session, channel_id: uuid.UUID) -> Channel | None:
    """The channel as it is now, held for this transaction: whoever sends, records, adds or resumes holds it meanwhile."""
    return session.scalar(
        sa.select(Channel)
        .where(Channel.id == channel_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def succeeded(channel: Channel) -> None:
    """Its receiver took a message."""
    channel.failing_since = None


def failed(
    session: Session, channel: Channel, reason: str, now: dt.datetime, pause_after: dt.timedelta
) -> None:
    """Its receiver did not take a message: after `pause_after` of nothing else, it is paused."""
    channel.failing_since = channel.failing_since or now
    if channel.state == ChannelState.ACTIVE and now - channel.failing_since >= pause_after:
        days = (now - channel.failing_since).days
        _stop(
            session,
            channel,
            ChannelState.PAUSED,
            f"It has failed for {days} days. The last time: {reason}",
            now,
        )


def disable(session: Session, channel: Channel, reason: str, now: dt.datetime) -> None:
    """Its receiver wants no more."""
    if channel.state != ChannelState.DISABLED:
        _stop(session, channel, ChannelState.DISABLED, reason, now)


def resume(channel: Channel, now: dt.datetime) -> None:
    """Its owner wants it used again. Raises Conflict when it is active."""
    if channel.state == ChannelState.ACTIVE:
        raise Conflict("The channel is active.")
    channel.state = ChannelState.ACTIVE
    channel.state_reason = None
    channel.state_since = now
    channel.failing_since = None
    channel.next_attempt_at = None


_TYPES = {
    ChannelState.PAUSED: NotificationType.CHANNEL_PAUSED,
    ChannelState.DISABLED: NotificationType.CHANNEL_DISABLED,
}
_CONSEQUENCES = {
    ChannelState.PAUSED: "What is due waits until you resume it.",
    ChannelState.DISABLED: "Nothing is sent through it until you resume it.",
}


def _stop(session: Session, channel: Channel, state: ChannelState, reason: str, now: dt.datetime) -> None:
    channel.state = state
    channel.state_reason = reason
    channel.state_since = now
    news = News(
        type=_TYPES[state],
        title=f"Channel {state}: {channel.name}",
        message=f"The channel {channel.name!r} ({channel.shown_target}) is {state}. {reason} {_CONSEQUENCES[state]}",
        priority=Priority.HIGH,
        dedupe_key=f"{_TYPES[state]}:{channel.id}:{now.isoformat()}",
        entity_type="channel",
        entity_id=str(channel.id),
    )
    notification.write(session, channel.user_id, news)
