"""What a channel's preferences would have sent of what its owner was told lately; nothing is sent."""

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from api_service.services.channels import get_channel
from api_service.services.tokens import Principal
from shared import database, preferences
from shared.models.notification import Notification, Priority
from shared.preferences import Silence

SPAN = dt.timedelta(days=30)
SHOWN = 200
"""How many messages are listed; all are counted."""


@dataclass
class Message:
    """One message that would have gone out."""

    due_at: dt.datetime
    digest: bool
    held: bool
    """Whether quiet hours would have put it off."""
    notifications: list[Notification] = field(default_factory=list)

    @property
    def titles(self) -> list[str]:
        """What it would have told."""
        return [each.title for each in self.notifications]

    @property
    def priority(self) -> Priority:
        """That of its most urgent notification."""
        return max((each.priority for each in self.notifications), key=lambda priority: priority.rank)


@dataclass(frozen=True)
class Preview:
    """All that would have gone out, the latest first, and why the rest would not."""

    since: dt.datetime
    until: dt.datetime
    notifications: int
    """How many there were."""
    total: int
    """How many messages would have gone out."""
    messages: Sequence[Message]
    """The latest of them."""
    left_out: Mapping[str, int]
    """How many notifications would not have gone out, by reason."""


def preview(session: Session, who: Principal, channel_id: uuid.UUID, changes: Mapping[str, Any]) -> Preview:
    """What the channel's rules, with `changes` to them, would have sent over the last 30 days.

    Raises NotFound, and Invalid for quiet hours that cannot be used.
    """
    channel = get_channel(session, who, channel_id)
    values = {
        name: changes.get(name, getattr(channel, name))
        for name in ("min_priority", "types", "quiet_hours", "digest")
    }
    rules = preferences.make_rules(**values)
    now = database.now(session)
    told = session.scalars(
        sa.select(Notification)
        .where(Notification.user_id == who.user_id, Notification.created_at >= now - SPAN)
        .order_by(Notification.created_at, Notification.id)
    ).all()
    left_out: Counter[str] = Counter()
    messages: list[Message] = []
    digests: dict[dt.datetime, Message] = {}
    for each in told:
        decision = preferences.decide(rules, each, each.created_at)
        if isinstance(decision, Silence):
            left_out[decision.reason] += 1
            continue
        message = digests.get(decision.due_at) if decision.digest else None
        if message is None:
            message = Message(decision.due_at, decision.digest, decision.held)
            messages.append(message)
        if decision.digest:
            digests[decision.due_at] = message
        message.notifications.append(each)
    messages.sort(key=lambda message: message.due_at, reverse=True)
    reasons = {reason: left_out[reason] for reason in ("min_priority", "types", "in_app_only")}
    return Preview(now - SPAN, now, len(told), len(messages), messages[:SHOWN], reasons)
