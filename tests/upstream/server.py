"""A fake NVD on loopback: the API 2.0 and the feeds of a list of records, with faults on a script.

It keeps the rules that the NVD documents (https://nvd.nist.gov/developers/vulnerabilities): pages of at most 2,000,
`lastMod` windows of at most 120 days with both ends, a key in the header `apiKey`. Its clock is its own: a second passes
with every request, nothing else moves it.
"""

import datetime as dt
import gzip
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.upstream.faults import Answer, Fault
from tests.upstream.records import Record, text

START = dt.datetime(dt.datetime.now(dt.UTC).year, 3, 15, 12, 0, tzinfo=dt.UTC)
"""What its clock shows first. The year is the real one, since mirrors ask for the feeds up to theirs."""
FIRST_YEAR = START.year - 2
"""Its oldest feed, which holds the years before as well."""
API = "/rest/json/cves/2.0"
FEEDS = "/feeds/json/cve/2.0"
_FEED = re.compile(rf"{FEEDS}/nvdcve-2\.0-(\d{{4}}|modified|recent)\.(meta|json\.gz)")
_WEEK = dt.timedelta(days=8)


@dataclass(frozen=True)
class Request:
    """One request as it came, and what became of it."""

    at: float
    """Monotonic seconds."""
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    status: int
    faulty: bool

    @property
    def is_api(self) -> bool:
        """It went to the API, not to the feeds."""
        return self.path == API

    @property
    def start(self) -> int:
        """The index it asked for."""
        return int(self.params.get("startIndex", 0))


@dataclass
class Upstream:
    """What the fake holds and does; change it while it serves."""

    records: dict[str, Record] = field(default_factory=dict)
    faults: list[Fault | None] = field(default_factory=list)
    """Each request takes the first one; None is a request without fault."""
    api_faults: list[Fault | None] = field(default_factory=list)
    """The same, for requests to the API only."""
    feed_faults: list[Fault | None] = field(default_factory=list)
    keys: frozenset[str] = frozenset()
    """Keys that are accepted; a request without key always is."""
    api_down: Fault | None = None
    """What every request to the API gets."""
    feeds_down: Fault | None = None
    before: Callable[[Request], None] = lambda _request: None
    """Called before a request is answered, with the world as it stands."""
    requests: list[Request] = field(default_factory=list)
    clock: dt.datetime = START
    url: str = ""
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _feeds: dict[str, tuple[dt.datetime, list[Record]]] = field(default_factory=dict)

    def put(self, *records: Record) -> None:
        """Add or replace records as they are."""
        with self._lock:
            self.records.update({record["id"]: record for record in records})

    def modify(self, cve_id: str, **changes: Any) -> None:
        """Change a record now, by the upstream's clock; it moves to the end of the list, the worst a pager can meet."""
        with self._lock:
            self.clock += dt.timedelta(milliseconds=1)
            self.records[cve_id] = self.records.pop(cve_id) | changes | {"lastModified": text(self.clock)}

    def add(self, record: Record) -> None:
        """Publish a record now."""
        with self._lock:
            self.clock += dt.timedelta(milliseconds=1)
            self.records[record["id"]] = record | {"lastModified": text(self.clock)}

    def publish_feeds(self) -> None:
        """Write all feeds anew from what is there; they stand still until the next time."""
        with self._lock:
            years: dict[str, list[Record]] = {str(y): [] for y in range(FIRST_YEAR, self.clock.year + 1)}
            for record in self.records.values():
                years[str(max(FIRST_YEAR, int(record["id"][4:8])))].append(record)
            lately = [r for r in self.records.values() if r["lastModified"] > text(self.clock - _WEEK)]
            for name, records in (*years.items(), ("modified", lately), ("recent", lately)):
                if name not in self._feeds or self._feeds[name][1] != records:
                    self._feeds[name] = (self.clock, records)

    def forget_requests(self) -> list[Request]:
        """The requests so far; the list is empty afterwards."""
        with self._lock:
            seen, self.requests = self.requests, []
            return seen

    def answer(self, path: str, params: dict[str, str], headers: dict[str, str]) -> Answer:
        """Answer one request and note it."""
        with self._lock:
            is_api = path == API
            fault = self._fault(is_api)
            request = Request(time.monotonic(), path, params, headers, 0, faulty=fault is not None)
            self.before(request)
            self.clock += dt.timedelta(seconds=1)
            right = self._page(params, headers) if is_api else self._file(path)
            answer = fault(right) if fault else right
            self.requests.append(
                Request(request.at, path, params, headers, answer.status, faulty=fault is not None)
            )
            return answer

    def _fault(self, is_api: bool) -> Fault | None:
        lasting = self.api_down if is_api else self.feeds_down
        own = self.api_faults if is_api else self.feed_faults
        if lasting is not None:
            return lasting
        return own.pop(0) if own else self.faults.pop(0) if self.faults else None

    def _page(self, params: dict[str, str], headers: dict[str, str]) -> Answer:
        key = headers.get("apikey")
        if key is not None and key not in self.keys:
            return Answer(404, b"", {"message": "Invalid apiKey."})
        try:
            start, size = int(params.get("startIndex", 0)), int(params.get("resultsPerPage", 2000))
            chosen = _chosen(self.records.values(), params)
        except (ValueError, KeyError) as error:
            return Answer(404, b"", {"message": f"Invalid parameters: {error}"})
        if not 0 < size <= 2000:
            return Answer(404, b"", {"message": "Invalid resultsPerPage parameter."})
        page = chosen[start : start + size]
        document = _envelope(page, start, len(chosen), text(self.clock))
        return Answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _file(self, path: str) -> Answer:
        found = _FEED.fullmatch(path)
        if found is None or found[1] not in self._feeds:
            return Answer(404, b"<html>not found</html>", {"Content-Type": "text/html"})
        written, records = self._feeds[found[1]]
        document = _envelope(records, 0, len(records), text(written))
        plain = json.dumps(document, indent=1).encode()
        packed = gzip.compress(plain, 1, mtime=0)
        if found[2] == "json.gz":
            return Answer(200, packed, {"Content-Type": "application/x-gzip"})
        meta = (
            f"lastModifiedDate:{written.isoformat(timespec='seconds')}\r\nsize:{len(plain)}\r\n"
            f"zipSize:{len(packed) + 136}\r\ngzSize:{len(packed)}\r\n"
            f"sha256:{hashlib.sha256(plain).hexdigest().upper()}\r\n"
        )
        return Answer(200, meta.encode(), {"Content-Type": "text/plain"})


def _envelope(records: list[Record], start: int, total: int, timestamp: str) -> dict[str, Any]:
    return {
        "resultsPerPage": len(records),
        "startIndex": start,
        "totalResults": total,
        "format": "NVD_CVE",
        "version": "2.0",
        "timestamp": timestamp,
        "vulnerabilities": [{"cve": record} for record in records],
    }


def _chosen(records: Iterable[Record], params: dict[str, str]) -> list[Record]:
    """The records that the parameters name, in the order in which they were put; the NVD documents none."""
    if "lastModStartDate" not in params and "lastModEndDate" not in params:
        return list(records)
    since, until = (_moment(params[name]) for name in ("lastModStartDate", "lastModEndDate"))
    if until < since or until - since > dt.timedelta(days=120):
        raise ValueError("lastModEndDate must be within 120 days of lastModStartDate")
    return [r for r in records if since <= _moment(r["lastModified"]) <= until]


def _moment(value: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(value)
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    upstream: Upstream

    def do_GET(self) -> None:  # the name that http.server calls
        url = urlsplit(self.path)
        params = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.upstream.answer(url.path, params, headers)
        try:
            self._send(answer)
        except OSError:  # the client did not wait
            self.close_connection = True

    def _send(self, answer: Answer) -> None:
        time.sleep(answer.delay)
        if answer.cut_at == -1:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[: answer.cut_at])
        self.wfile.flush()
        self.close_connection = self.close_connection or answer.cut_at is not None

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name in http.server
        """Keep quiet; `Upstream.requests` is the log."""


@contextmanager
def serving(upstream: Upstream) -> Iterator[Upstream]:
    """Serve `upstream` on a free port of the loopback while the block lasts; `upstream.url` says where."""
    handler = type("Handler", (_Handler,), {"upstream": upstream})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    upstream.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield upstream
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
