"""What is to be told, before it takes the form of a mail or of a chat's cards. Everything in it is plain text."""

import datetime as dt
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

_URL_SAFE = "%/:?#@!$&*+,;=~-._[]"
"""What stands in URLs as it is; quotes, parentheses and angle brackets would end one in somebody's markup."""


@dataclass(frozen=True)
class Item:
    """One thing that the message is about, such as a finding."""

    label: str
    """Short: a CVE id."""
    detail: str = ""
    """One line: what it affects."""
    url: str | None = None
    severity: str | None = None
    """As in findings: `critical`, `high`, `medium`, `low`, `none`."""
    kev: bool = False
    """CISA knows it to be exploited."""


@dataclass(frozen=True)
class Message:
    """A message for one person, as text; whoever writes it in markup escapes it."""

    title: str
    text: str
    priority: str
    """`low`, `normal`, `high` or `critical`."""
    items: tuple[Item, ...]
    """The worst first."""
    facts: tuple[tuple[str, str], ...]
    """Counts and the like: a name and a value each."""
    link: str | None
    """Where to read on."""
    sent_at: dt.datetime


def one_line(text: str, longest: int) -> str:
    """A text in one line, without control characters, and with an ellipsis when it is cut to `longest` characters."""
    return cut(" ".join("".join(c if c.isprintable() else " " for c in text).split()), longest)


def cut(text: str, longest: int) -> str:
    """A text of at most `longest` characters, with an ellipsis when some are missing."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def tags(item: Item) -> str:
    """What marks an item, in words."""
    known = ["known exploited"] if item.kev else []
    return ", ".join([*([one_line(item.severity, 20)] if item.severity else []), *known])


def safe_url(url: str | None) -> str | None:
    """An http or https URL that ends nobody's markup early; None for anything else."""
    if url is None or len(url) > 2048:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        return None
    return quote(url, safe=_URL_SAFE)
