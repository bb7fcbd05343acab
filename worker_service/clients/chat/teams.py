"""Microsoft Teams: an Adaptive Card for the workflow that takes webhooks (https://adaptivecards.io/explorer).

All text stands in text runs, which know no markup; a mention would need an entity of its own, which no card of ours has.
"""

import json
from typing import Any

from worker_service.clients.message import Item, Message, cut, one_line, safe_url, tags

LARGEST_POST = 28 * 1024
"""What Teams takes, in bytes; a quarter is left for what the workflow adds."""
MOST_ITEMS = 30

_COLOURS = {"critical": "attention", "high": "warning"}


def payload(message: Message) -> dict[str, Any]:
    """The document to post; it has as many items as Teams has room for."""
    shown = min(len(message.items), MOST_ITEMS)
    while shown and len(json.dumps(_document(message, shown))) > LARGEST_POST * 3 // 4:
        shown -= 1
    return _document(message, shown)


def _document(message: Message, shown: int) -> dict[str, Any]:
    title = _run(one_line(message.title, 200), size="large", weight="bolder")
    if colour := _COLOURS.get(message.priority):
        title["color"] = colour
    body = [_text(title)]
    body += [_text(_run(one_line(each, 500))) for each in cut(message.text, 1500).splitlines() if each]
    body += [_fact(name, value) for name, value in message.facts[:10]]
    body += [_item(each) for each in message.items[:shown]]
    if (more := len(message.items) - shown) > 0:
        body.append(_text(_run(f"… and {more} more")))
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if url := safe_url(message.link):
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open in Vedette", "url": url}]
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [attachment]}


def _item(item: Item) -> dict[str, Any]:
    label = _run(one_line(item.label, 80), weight="bolder")
    if (url := safe_url(item.url)) and len(url) < 500:
        label["selectAction"] = {"type": "Action.OpenUrl", "url": url}
    marks = f" ({tags(item)})" if tags(item) else ""
    return _text(label, _run(f"{marks} {one_line(item.detail, 200)}".rstrip()))


def _fact(name: str, value: str) -> dict[str, Any]:
    return _text(_run(f"{one_line(name, 60)}: ", weight="bolder"), _run(one_line(value, 200)))


def _text(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [run for run in runs if run["text"]]}


def _run(text: str, **style: str) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **style}
