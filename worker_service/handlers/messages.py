"""What a channel's message says: notifications as the JSON of a webhook, and as the text of a mail or a chat message.

A message is made anew from its notifications at every attempt, and comes out the same.
"""

import datetime as dt
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from shared.models.base import Document
from shared.models.notification import Notification, Priority
from worker_service.clients.message import Item, Message
from worker_service.handlers.summaries import worst_of

SCHEMA_VERSION = 1
"""Of a webhook's body; it grows when a field changes its meaning or goes, not when one is added."""
DIGEST = "digest"
"""The type of a message that collects."""
LARGEST_BODY = 18_000
"""Bytes of a webhook's body; Standard Webhooks advises less than 20 kB."""
LONGEST_TEXT = 4_000
"""Characters of a notification's text in a webhook's body."""
MAX_LINES = 50
"""Notifications that a digest names one by one."""

_FACTS = (
    ("scans", "Scans"),
    ("failed", "Failed scans"),
    ("findings", "Open findings"),
    ("critical", "Critical"),
    ("high", "High"),
    ("new", "New"),
    ("reopened", "Reopened"),
    ("severity_raised", "Severity raised"),
    ("known_exploited_added", "Newly known exploited"),
    ("fixed", "Fixed"),
)


@dataclass(frozen=True)
class Letter:
    """One message, in every form that a channel may want."""

    message_id: str
    """The same at every attempt."""
    body: bytes
    """For a webhook."""
    message: Message
    """For people."""


def letter(message_id: str, notifications: Sequence[Notification], *, digest: bool) -> Letter:
    """The message that tells these notifications, the oldest first."""
    text = _digest(notifications) if digest else _single(notifications[0])
    return Letter(message_id, webhook_body(notifications, digest=digest), text)


def trial(message_id: str, channel_name: str, now: dt.datetime) -> Letter:
    """What a test of a channel says."""
    text = Message(
        title="A test from Vedette",
        text=f"The channel {channel_name!r} works: this is what it was asked to send.",
        priority=Priority.LOW,
        items=(),
        facts=(),
        link=None,
        sent_at=now,
    )
    return Letter(message_id, _body("test", now, {"title": text.title, "message": text.text}), text)


def webhook_body(notifications: Sequence[Notification], *, digest: bool) -> bytes:
    """The JSON that a webhook posts: `{type, timestamp, version, data}`; see `WebhookBody` in the API's document."""
    first, last = notifications[0], notifications[-1]
    if not digest:
        return _body(first.type, first.created_at, _document(first))
    told: list[Document] = []
    size = len(_body(DIGEST, last.created_at, {"notifications": [], "omitted": len(notifications)}))
    for each in map(_document, notifications):
        size += len(_json(each)) + 1
        if size > LARGEST_BODY:
            break
        told.append(each)
    omitted = len(notifications) - len(told)
    return _body(DIGEST, last.created_at, {"notifications": told, "omitted": omitted})


def _body(kind: str, moment: dt.datetime, data: Document) -> bytes:
    return _json({"type": kind, "timestamp": moment.isoformat(), "version": SCHEMA_VERSION, "data": data})


def _json(document: Document) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _document(notification: Notification) -> Document:
    entity = (
        {"type": notification.entity_type, "id": notification.entity_id} if notification.entity_type else None
    )
    return {
        "id": str(notification.id),
        "type": notification.type,
        "events": notification.events,
        "title": notification.title,
        "message": notification.message[:LONGEST_TEXT],
        "priority": notification.priority.value,
        "entity": entity,
        "created_at": notification.created_at.isoformat(),
        "details": notification.data,
    }


def _single(notification: Notification) -> Message:
    data = notification.data or {}
    counts = data.get("counts") or {}
    return Message(
        title=notification.title,
        text=notification.message,
        priority=notification.priority.value,
        items=tuple(map(_item, data.get("worst") or ())),
        facts=tuple((label, str(counts[name])) for name, label in _FACTS if counts.get(name)),
        link=None,
        sent_at=notification.created_at,
    )


def _digest(notifications: Sequence[Notification]) -> Message:
    worst = worst_of(chain.from_iterable((each.data or {}).get("worst") or () for each in notifications))
    lines = [f"{each.created_at:%Y-%m-%d %H:%M} UTC: {each.title}" for each in notifications[:MAX_LINES]]
    if (more := len(notifications) - len(lines)) > 0:
        lines.append(f"and {more} more, in the application.")
    types = Counter(each.type for each in notifications)
    number = len(notifications)
    return Message(
        title="1 notification" if number == 1 else f"{number} notifications",
        text="\n".join(lines),
        priority=max((each.priority for each in notifications), key=lambda priority: priority.rank).value,
        items=tuple(map(_item, worst)),
        facts=tuple((name.replace("_", " ").capitalize(), str(count)) for name, count in types.most_common()),
        link=None,
        sent_at=notifications[-1].created_at,
    )


def _item(item: Document) -> Item:
    version = f" {item['version']}" if item["version"] else ""
    return Item(
        label=item["cve_id"],
        detail=f"{item['component']}{version} in {item['asset']}",
        url=f"https://nvd.nist.gov/vuln/detail/{item['cve_id']}",
        severity=item["severity"],
        kev=item["kev"],
    )
