"""The NVD's API 2.0 (https://nvd.nist.gov/developers/vulnerabilities): one page after the other, as it is.

Whether the pages add up to something is decided by who asks for them.
"""

import datetime as dt
from dataclasses import dataclass, field

import msgspec
import requests

from shared.errors import Permanent
from worker_service.clients.allowance import Allowance
from worker_service.clients.http import Caller, Spoiled, describe
from worker_service.clients.nvd_text import moment

PAGE_SIZE = 2000
"""The largest page there is."""
LONGEST_WINDOW = dt.timedelta(days=120)
"""The longest `lastMod` window there is."""


class _Answer(msgspec.Struct):
    start: int = msgspec.field(name="startIndex")
    total: int = msgspec.field(name="totalResults")
    timestamp: str
    records: list[msgspec.Raw] = msgspec.field(name="vulnerabilities")


_ANSWER = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True)
class Window:
    """Records last modified from `since` to `until`, both included; at most LONGEST_WINDOW."""

    since: dt.datetime
    until: dt.datetime


@dataclass(frozen=True)
class Page:
    """One page, as it was answered."""

    start: int
    total: int
    """What the whole question has, by this answer; it may move from one page to the next."""
    timestamp: dt.datetime
    """The upstream's own time."""
    records: list[bytes] = field(repr=False)
    """Without insignificant white space."""

    @property
    def end(self) -> int:
        """Index behind its last record."""
        return self.start + len(self.records)


@dataclass(frozen=True)
class NvdApi:
    """Asks for pages. Several threads may ask at once."""

    url: str
    caller: Caller
    allowance: Allowance
    key: str | None = None
    page_size: int = PAGE_SIZE

    @property
    def in_flight(self) -> int:
        """How many pages are worth asking for at once: a page takes 3 to 6 s, and a key allows 50 in 30 s."""
        return 4 if self.key else 1

    def probe(self) -> Page:
        """The smallest question there is: how many records there are, and what time it is there."""
        return self._ask({"startIndex": "0", "resultsPerPage": "1"})

    def page(self, window: Window | None, start: int) -> Page:
        """The page of a window (of everything without one) that begins at `start`.

        Raises Permanent when the key is refused or the question is not understood, Transient when the NVD cannot be asked.
        """
        params = {"startIndex": str(start), "resultsPerPage": str(self.page_size)}
        if window is not None:
            params["lastModStartDate"] = _text(window.since)
            params["lastModEndDate"] = _text(window.until)
        return self._ask(params)

    def _ask(self, params: dict[str, str]) -> Page:
        headers = {"apiKey": self.key} if self.key else {}
        return self.caller.call(
            self.url,
            lambda answer: _read(answer, int(params["startIndex"])),
            params,
            headers,
            self.allowance.wait,
        )


def _read(response: requests.Response, start: int) -> Page:
    _check_status(response)
    body = response.content
    if response.headers.get("Content-Type", "").startswith("text/html") or body.lstrip()[:1] == b"<":
        raise Spoiled("answered an HTML page where JSON belongs")
    try:
        answer = _ANSWER.decode(body)
    except msgspec.ValidationError as error:
        raise Spoiled(f"answered JSON that is no page of records: {error}") from None
    except (msgspec.DecodeError, RecursionError):
        raise Spoiled("answered JSON that breaks off or is damaged") from None
    timestamp = moment(answer.timestamp)
    if timestamp is None:
        raise Spoiled(f"answered a page with a time stamp that is none: {answer.timestamp[:40]!r}")
    if answer.start != start:
        raise Spoiled(f"answered the page from {answer.start} when asked for the one from {start}")
    if not answer.records and start < answer.total:
        raise Spoiled(f"answered an empty page at {start} of {answer.total}")
    return Page(
        start, answer.total, timestamp, [msgspec.json.format(raw, indent=-1) for raw in answer.records]
    )


def _check_status(response: requests.Response) -> None:
    """A wrong key answers 404 with an empty body and a header `message: Invalid apiKey.`"""
    if response.ok:
        return
    message = response.headers.get("message", "")
    if "apikey" in message.casefold():
        raise Permanent(f"The NVD refuses the API key (NVD_API_KEY): {message[:200]}")
    if response.status_code >= 500:
        raise Spoiled(describe(response))
    raise Permanent(f"The NVD API {describe(response)}; is NVD_API_URL right?")


def _text(value: dt.datetime) -> str:
    """A time as the NVD takes it, with its zone spelled out."""
    return value.astimezone(dt.UTC).isoformat(timespec="milliseconds")
