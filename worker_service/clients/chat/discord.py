"""Discord's webhooks: one embed (https://discord.com/developers/docs/resources/webhook#execute-webhook)."""

from typing import Any

from worker_service.clients.chat.markdown import fitting, line, plain
from worker_service.clients.message import Message, cut, one_line, safe_url

LONGEST_TITLE, LONGEST_DESCRIPTION, LONGEST_NAME, LONGEST_VALUE = 256, 4096, 256, 1024
MOST_FIELDS = 25
LONGEST_EMBED = 6000
"""Characters of title, description and fields together."""

_COLOURS = {"low": 0x5B6770, "normal": 0x2F6FDE, "high": 0xE8710A, "critical": 0xC5221F}


def payload(message: Message) -> dict[str, Any]:
    """The document to post. It lets nobody be mentioned."""
    title = cut(plain(one_line(message.title, 120)), LONGEST_TITLE)
    fields = [_field(name, value) for name, value in message.facts[:MOST_FIELDS]]
    while fields and sum(len(f["name"]) + len(f["value"]) for f in fields) > 2000:
        fields.pop()
    room = LONGEST_EMBED - len(title) - sum(len(f["name"]) + len(f["value"]) for f in fields)
    embed: dict[str, Any] = {
        "title": title,
        "description": _description(message, min(room, LONGEST_DESCRIPTION)),
        "color": _COLOURS.get(message.priority, _COLOURS["normal"]),
        "fields": fields,
        "timestamp": message.sent_at.isoformat(),
    }
    if url := safe_url(message.link):
        embed["url"] = url
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _field(name: str, value: str) -> dict[str, Any]:
    return {
        "name": plain(one_line(name, LONGEST_NAME // 2)) or "\u200b",
        "value": plain(one_line(value, LONGEST_VALUE // 4)) or "\u200b",
        "inline": True,
    }


def _description(message: Message, room: int) -> str:
    text = "\n".join(plain(one_line(each, 600)) for each in cut(message.text, 600).splitlines())
    items = fitting([line(item) for item in message.items], room - len(text) - 2)
    return cut("\n\n".join(part for part in (text, items) if part), room)
