"""Plain text in a service's Markdown: shown as it is, mentioning nobody, linking to nothing."""

import re

from worker_service.clients.message import Item, one_line, safe_url, tags

_MARKUP = re.compile(r"([\\`*_{}\[\]|~>])")
_AT_THE_START = re.compile(r"^(\s*)([#+-]|\d+(?=[.)]))", re.MULTILINE)
"""What makes a heading or a list of a line."""
_GAP = "\u200b"
"""A space without width: takes the meaning from what it stands in, and not its look."""


def plain(text: str) -> str:
    """Text that looks like itself."""
    for sign in ("@", "<"):  # mentions and tags
        text = re.sub(f"{sign}(?=\\S)", sign + _GAP, text)
    text = text.replace("://", f":{_GAP}//")
    text = re.sub(r"\bwww\.", f"www{_GAP}.", text, flags=re.IGNORECASE)
    text = _AT_THE_START.sub(rf"\1{_GAP}\2", text)
    return _MARKUP.sub(r"\\\1", text)


def link(label: str, url: str | None) -> str:
    """A label that leads somewhere, if there is where."""
    target = safe_url(url)
    return f"[{plain(label)}](<{target}>)" if target else plain(label)


def line(item: Item) -> str:
    """An item in one line."""
    label = f"**{link(one_line(item.label, 80), item.url)}**"
    marks = f" ({plain(tags(item))})" if tags(item) else ""
    return f"{label}{marks} {plain(one_line(item.detail, 200))}".rstrip()


def fitting(lines: list[str], room: int) -> str:
    """As many lines as have room, with a word on those that have not."""
    taken: list[str] = []
    for each in lines:
        if sum(len(one) + 1 for one in taken) + len(each) + 1 > room - 40:
            taken.append(f"… and {len(lines) - len(taken)} more")
            break
        taken.append(each)
    return "\n".join(taken)
