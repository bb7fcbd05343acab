"""Slack's incoming webhooks: blocks (https://docs.slack.dev/reference/block-kit/blocks).

Slack's markup has three characters that must be escaped (https://docs.slack.dev/messaging/formatting-message-text);
`verbatim` keeps it from finding links and names in the rest by itself.
"""

from typing import Any

from worker_service.clients.message import Item, Message, cut, one_line, safe_url, tags

LONGEST_HEADER, LONGEST_SECTION, LONGEST_FIELD = 150, 3000, 2000
MOST_BLOCKS, MOST_FIELDS = 50, 10
MOST_ITEMS = 30
"""One block each; more than that nobody reads in a chat."""


def payload(message: Message) -> dict[str, Any]:
    """The document to post."""
    title = one_line(message.title, LONGEST_HEADER) or "Vedette"
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(title)}]
    if message.text:
        blocks.append({"type": "section", "text": _plain(cut(message.text, LONGEST_SECTION))})
    if message.facts:
        fields = [_markup(_fact(name, value)) for name, value in message.facts[:MOST_FIELDS]]
        blocks.append({"type": "section", "fields": fields})
    blocks += [{"type": "section", "text": _markup(_item(each))} for each in message.items[:MOST_ITEMS]]
    if (more := len(message.items) - MOST_ITEMS) > 0:
        blocks.append({"type": "context", "elements": [_plain(f"… and {more} more")]})
    if (url := safe_url(message.link)) and len(url) <= LONGEST_SECTION // 2:
        blocks.append({"type": "section", "text": _markup(f"<{_escape(url)}|Open in Vedette>")})
    return {"text": _escape(title), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def _item(item: Item) -> str:
    label = _escape(one_line(item.label, 80))
    url = safe_url(item.url)
    head = f"<{_escape(url)}|{label.replace('|', '¦')}>" if url and len(url) < 1500 else f"*{label}*"
    marks = f" ({_escape(tags(item))})" if tags(item) else ""
    return f"{head}{marks} {_escape(one_line(item.detail, 200))}".rstrip()


def _fact(name: str, value: str) -> str:
    return f"*{_escape(one_line(name, 60))}*\n{_escape(one_line(value, 200))}"


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _markup(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
