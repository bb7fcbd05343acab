"""Asking others over HTTP: again when it may help, waiting as they wish, and saying in plain words what was wrong.

Every party that is only read from (the NVD, CISA, FIRST) is asked through a `Caller`. It holds no database connection and
its waits are the caller's own, so that a task which is cancelled stops waiting.
"""

import datetime as dt
import email.utils
import importlib.metadata
import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import requests
import structlog

from shared.errors import Transient

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

PRODUCT = f"Vedette/{importlib.metadata.version('vedette')}"
"""Who we are, for receivers of messages."""
USER_AGENT = f"{PRODUCT} (self-hosted vulnerability scanner; mirrors the NVD)"
"""Says who asks: the NVD refuses some libraries' own."""
LONGEST_RETRY_AFTER = 600.0
"""A longer `Retry-After` is no wait any more: the task itself is put off by it."""
PASSING = frozenset({403, 408, 425, 429, 500, 502, 503, 504, 520, 522, 524})
"""Statuses that may pass. 403 is how the NVD throttles (https://nvd.nist.gov/developers/start-here)."""

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]+)?")
"""The standard's whole seconds, and the fractions that some send."""

Pause = Callable[[float], None]
"""Waits for seconds, or raises what ends the work."""


class Spoiled(Exception):
    """An answer that cannot be used but may be better next time; says what it was instead."""


@dataclass(frozen=True)
class Patience:
    """How long and how often to try."""

    attempts: int = 9
    first: float = 2.0
    """Seconds before the second attempt; doubled from there."""
    longest: float = 60.0
    connect: float = 10.0
    read: float = 90.0
    """Seconds between two bytes; the NVD's own gateway gives up after 45 to 60."""

    def backoff(self, attempt: int) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 1): exponential, jitter on the upper half."""
        ceiling = min(self.longest, self.first * 2.0 ** (attempt - 1))
        return ceiling * random.uniform(0.5, 1.0)  # noqa: S311  # spreading load, no secret


@dataclass
class Troubles:
    """What went wrong on the way, in plain words, with how often. Threads may share one."""

    counts: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, text: str) -> None:
        """Note one."""
        with self._lock:
            self.counts[text] = self.counts.get(text, 0) + 1

    def drain(self) -> dict[str, int]:
        """What was noted since the last time."""
        with self._lock:
            counts, self.counts = self.counts, {}
            return counts


@dataclass(frozen=True)
class Caller:
    """Asks one party; `pause` waits, `troubles` hears of everything that had to be asked again."""

    party: str
    """For people: "the NVD API"."""
    pause: Pause
    troubles: Troubles
    patience: Patience = Patience()
    session: requests.Session = field(default_factory=requests.Session)

    def call(
        self,
        url: str,
        use: Callable[[requests.Response], _T],
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> _T:
        """What `use` makes of the answer. `use` raises Spoiled for an answer that does not do.

        `before` is called before every attempt (it may wait for an allowance). Raises Transient when all attempts are
        used up or the party asks for a longer wait than LONGEST_RETRY_AFTER, and what `use` raises beside Spoiled.
        """
        attempt = 0
        while True:
            attempt += 1
            before()
            asked_for: float | None = None
            try:
                with self._get(url, params, headers) as response:
                    asked_for = retry_after(response)
                    return use(_passing(response))
            except (Spoiled, requests.RequestException) as error:
                text = f"{self.party} {_plain(error, self.patience)}"
            self.troubles.add(text)
            log.warning("upstream_trouble", party=self.party, error=text, attempt=attempt)
            if asked_for is not None and asked_for > LONGEST_RETRY_AFTER:
                raise Transient(f"{text}, and asks for {asked_for:.0f} s of patience", delay=asked_for)
            if attempt >= self.patience.attempts:
                raise Transient(f"{text} ({attempt} attempts)")
            self.pause(max(asked_for or 0.0, self.patience.backoff(attempt)))

    def _get(
        self, url: str, params: Mapping[str, str] | None, headers: Mapping[str, str] | None
    ) -> requests.Response:
        return self.session.get(
            url,
            params=params,
            headers={"User-Agent": USER_AGENT, **(headers or {})},
            timeout=(self.patience.connect, self.patience.read),
            stream=True,
        )


def retry_after(response: requests.Response) -> float | None:
    """Seconds that an answer asks to be left alone; None when it does not."""
    return read_retry_after(response.headers.get("Retry-After", ""))


def read_retry_after(value: str) -> float | None:
    """Seconds from `Retry-After`, given as a number or as a date (RFC 9110 section 10.2.3); None for anything else."""
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:  # "-0000": UTC, from nowhere in particular
        moment = moment.replace(tzinfo=dt.UTC)
    return max(0.0, (moment - dt.datetime.now(dt.UTC)).total_seconds())


def describe(response: requests.Response) -> str:
    """An answer that is not what it should be, for people."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
    message = response.headers.get("message", "")
    what = f"answered {response.status_code}"
    if kind.endswith("html"):
        what += " with an HTML page"
    return f"{what} ({message[:200]})" if message else what


def _passing(response: requests.Response) -> requests.Response:
    if response.status_code in PASSING:
        raise Spoiled(describe(response))
    return response


def _plain(error: Exception, patience: Patience) -> str:
    match error:
        case Spoiled():
            return str(error)
        case requests.ConnectTimeout():
            return f"cannot be reached within {patience.connect:g} s"
        case requests.Timeout():
            return f"did not answer within {patience.read:g} s"
        case requests.exceptions.ChunkedEncodingError() | requests.exceptions.ContentDecodingError():
            return "broke off in the middle of its answer"
        case requests.exceptions.SSLError():
            return "has a certificate that cannot be trusted"
        case requests.ConnectionError():
            text = str(error)
            if "Read timed out" in text:
                return f"did not answer within {patience.read:g} s"
            return "hung up without an answer" if "abort" in text or "reset" in text else "cannot be reached"
    return f"cannot be asked: {type(error).__name__}"
