"""Mattermost's incoming webhooks: one text in Markdown (https://developers.mattermost.com/integrate/webhooks/incoming/)."""

from typing import Any

from worker_service.clients.chat.markdown import fitting, line, link, plain
from worker_service.clients.message import Message, cut, one_line

LONGEST_TEXT = 12_000
"""A post may have 16,383 characters."""


def payload(message: Message) -> dict[str, Any]:
    """The document to post."""
    head = [f"#### {link(one_line(message.title, 200), message.link)}"]
    if message.text:
        head.append(_lines(cut(message.text, 800)))
    facts = [f"**{plain(one_line(n, 60))}:** {plain(one_line(v, 100))}" for n, v in message.facts[:10]]
    head += [" · ".join(facts)] if facts else []
    text = "\n\n".join(head)
    items = fitting([f"- {line(item)}" for item in message.items], LONGEST_TEXT - len(text))
    return {"text": f"{text}\n\n{items}" if items else text}


def _lines(text: str) -> str:
    return "\n".join(plain(one_line(each, 800)) for each in text.splitlines())
