"""What can be wrong with an upstream, one function a fault. A fault takes the right answer and gives the wrong one."""

import datetime as dt
import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.upstream.records import text

HTML = b"<!DOCTYPE html><html><head><title>NVD</title></head><body><h1>Service Unavailable</h1></body></html>"


@dataclass(frozen=True)
class Answer:
    """What goes over the wire."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    """Break the connection off after that many bytes of the body."""
    delay: float = 0.0
    """Seconds of silence before the answer."""


Fault = Callable[[Answer], Answer]


def forbidden(_right: Answer) -> Answer:
    """How the NVD throttles: 403, nothing else."""
    return Answer(403, HTML, {"Content-Type": "text/html"})


def too_many(retry_after: str) -> Fault:
    """429 with `Retry-After`: seconds, or a date."""
    return lambda _right: Answer(429, b"", {"Retry-After": retry_after})


def unavailable(_right: Answer) -> Answer:
    """503 with a page of HTML."""
    return Answer(503, HTML, {"Content-Type": "text/html"})


def bad_gateway(_right: Answer) -> Answer:
    """502 with nothing."""
    return Answer(502)


def silence(seconds: float) -> Fault:
    """An answer that comes too late."""
    return lambda right: replace(right, delay=seconds)


def cut(right: Answer) -> Answer:
    """The connection ends in the middle of the body."""
    return replace(right, cut_at=len(right.body) // 2)


def hung_up(_right: Answer) -> Answer:
    """The connection ends before any answer."""
    return Answer(cut_at=-1)


def truncated(right: Answer) -> Answer:
    """Half a body with a `Content-Length` that fits it: only the parser can notice."""
    return replace(right, body=right.body[: len(right.body) // 2])


def html(_right: Answer) -> Answer:
    """200, and a page for people."""
    return Answer(200, HTML, {"Content-Type": "text/html"})


def other_json(_right: Answer) -> Answer:
    """200, and JSON that is no page of records."""
    return Answer(200, b'{"error": "try again"}', {"Content-Type": "application/json"})


def empty_page(right: Answer) -> Answer:
    """A page that names a total and holds nothing."""
    return _edit(right, lambda page: page | {"vulnerabilities": [], "resultsPerPage": 0})


def nothing_at_all(right: Answer) -> Answer:
    """An upstream that says it holds no record."""
    return _edit(right, lambda page: page | {"vulnerabilities": [], "resultsPerPage": 0, "totalResults": 0})


def wrong_key(_right: Answer) -> Answer:
    """How the NVD refuses a key: 404, an empty body and a header."""
    return Answer(404, b"", {"message": "Invalid apiKey."})


def short_page(right: Answer) -> Answer:
    """Fewer records than were asked for, though more would be there."""
    return _edit(right, _halve)


def repeated(right: Answer) -> Answer:
    """The page's last record is its first one once more: an id twice, and one that is missing."""
    return _edit(
        right,
        lambda page: page | {"vulnerabilities": page["vulnerabilities"][:-1] + page["vulnerabilities"][:1]},
    )


def late_clock(right: Answer) -> Answer:
    """A time stamp from five minutes ago, as servers behind a balancer give."""

    def turn_back(page: dict[str, Any]) -> dict[str, Any]:
        moment = dt.datetime.fromisoformat(page["timestamp"]).replace(tzinfo=dt.UTC)
        return page | {"timestamp": text(moment - dt.timedelta(minutes=5))}

    return _edit(right, turn_back)


def other_digest(right: Answer) -> Answer:
    """A `.meta` whose digest is not the feed's; a feed whose bytes are not the `.meta`'s."""
    if right.body.startswith(b"lastModifiedDate"):
        head, _, _ = right.body.partition(b"sha256:")
        return replace(right, body=head + b"sha256:" + b"0" * 64 + b"\r\n")
    if right.body.startswith(b"\x1f\x8b"):
        return replace(right, body=gzip.compress(gzip.decompress(right.body) + b" "))
    return right


def storm(chance: random.Random, length: int) -> list[Fault]:
    """Trouble of every passing kind, in a row."""
    passing: list[Fault] = [
        forbidden,
        too_many("0"),
        unavailable,
        bad_gateway,
        cut,
        hung_up,
        truncated,
        html,
        other_json,
    ]
    return [chance.choice(passing) for _ in range(length)]


def _halve(page: dict[str, Any]) -> dict[str, Any]:
    kept = page["vulnerabilities"][: max(1, len(page["vulnerabilities"]) // 2)]
    return page | {"vulnerabilities": kept, "resultsPerPage": len(kept)}


def _edit(right: Answer, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Answer:
    if right.status != 200 or not right.body.startswith(b"{"):
        return right
    return replace(right, body=json.dumps(change(json.loads(right.body))).encode())
