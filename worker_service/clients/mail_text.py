"""A message as the two bodies of a mail."""

import textwrap
from html import escape

from worker_service.clients.message import Item, Message, one_line, safe_url, tags

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<body style="font-family: sans-serif; font-size: 15px; line-height: 1.45; color: #1c2733; max-width: 44em">
<h2 style="font-size: 19px; border-left: 5px solid {colour}; padding-left: 10px">{title}</h2>
{parts}
</body>
</html>
"""
_COLOURS = {"low": "#5b6770", "normal": "#2f6fde", "high": "#e8710a", "critical": "#c5221f"}
_CELL = "padding: 3px 14px 3px 0; vertical-align: top; text-align: left"


def plain(message: Message) -> str:
    """For readers of text."""
    parts = [one_line(message.title, 200)]
    if message.text:
        parts.append("\n".join(textwrap.fill(_shown(each), 76) for each in message.text.splitlines()))
    if message.facts:
        parts.append("\n".join(f"{one_line(n, 60)}: {one_line(v, 200)}" for n, v in message.facts))
    if message.items:
        parts.append("\n".join(_plain_item(item) for item in message.items))
    if url := safe_url(message.link):
        parts.append(f"Read on: {url}")
    return "\n\n".join(parts) + "\n"


def html(message: Message) -> str:
    """For everybody else: one small page without pictures, scripts or anything to fetch."""
    parts = [f"<p>{escape(_shown(each))}</p>" for each in message.text.splitlines() if each.strip()]
    if message.facts:
        rows = [_row(f"<th style='{_CELL}'>{escape(n)}</th>", v) for n, v in _lines(message.facts)]
        parts.append(f"<table>{''.join(rows)}</table>")
    if message.items:
        parts.append(f"<table>{''.join(_html_item(item) for item in message.items)}</table>")
    if url := safe_url(message.link):
        parts.append(f'<p><a href="{escape(url)}">Read on in Vedette</a></p>')
    colour = _COLOURS.get(message.priority, _COLOURS["normal"])
    return _PAGE.format(colour=colour, title=escape(one_line(message.title, 200)), parts="\n".join(parts))


def _lines(facts: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return [(one_line(name, 60), one_line(value, 200)) for name, value in facts]


def _row(head: str, text: str) -> str:
    return f"<tr>{head}<td style='{_CELL}'>{escape(text)}</td></tr>"


def _plain_item(item: Item) -> str:
    marks = f" ({tags(item)})" if tags(item) else ""
    line = f"- {one_line(item.label, 80)}{marks} {one_line(item.detail, 200)}".rstrip()
    url = safe_url(item.url)
    return f"{line}\n  {url}" if url else line


def _html_item(item: Item) -> str:
    label = escape(one_line(item.label, 80))
    if url := safe_url(item.url):
        label = f'<a href="{escape(url)}">{label}</a>'
    marks = f"<br><small>{escape(tags(item))}</small>" if tags(item) else ""
    return _row(f"<th style='{_CELL}'>{label}{marks}</th>", one_line(item.detail, 200))


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
