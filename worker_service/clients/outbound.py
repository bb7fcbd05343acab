"""Posts to receivers that users name: only where it is allowed, within a time, and with no trust in what comes back.

A name is resolved once, every address that it has is checked, and the connection goes to a checked address and is checked
again, so a name that changes its address gains nothing. TLS and `Host` are about the name. No redirect is followed, no
proxy is asked, no cookie kept. Of the answer only the status and `Retry-After` are read; nothing else of it leaves here.
"""

import contextlib
import enum
import functools
import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import SplitResult, quote

import certifi

from shared.destinations import Destinations, host_of, port_of, split_url
from shared.errors import Forbidden, Invalid
from worker_service.clients.http import PRODUCT, read_retry_after

LARGEST_HEAD = 64 * 1024
"""How many bytes of an answer are read for its status and headers."""
LARGEST_BODY = 16 * 1024
"""How many bytes of its body are taken from the wire, and dropped, so that a receiver sees its answer read."""
LONGEST_RETRY_AFTER = 86_400.0
"""Seconds; nobody may put a message off by more than a day."""
REPEATABLE = frozenset({408, 425, 429})
"""Answers of the 4xx that may be different next time, beside all 5xx."""

_PATH_SAFE = "%/?:@!$&'()*+,;=~-._[]"


class Outcome(enum.StrEnum):
    """What became of an attempt."""

    DELIVERED = "delivered"
    """The receiver took it (2xx)."""
    RETRY = "retry"
    """It may go better next time."""
    REFUSED = "refused"
    """Never worth repeating as it stands: the destination is not allowed, or the receiver does not want this."""
    GONE = "gone"
    """The receiver wants nothing more, ever (410)."""


@dataclass(frozen=True)
class Answer:
    """An attempt, as its owner may see it."""

    outcome: Outcome
    status: int | None
    """The receiver's code, when there was an answer."""
    seconds: float
    """From the start to the answer or to the end of the attempt."""
    detail: str
    """What happened in plain words; never anything that the receiver wrote."""
    retry_after: float | None = None
    """Seconds that the receiver asks to be left alone."""


@dataclass(frozen=True)
class Timeouts:
    """How long a receiver may take, in seconds."""

    total: float = 15.0
    """From the start to the end of the answer's headers, whatever happens in between."""
    connect: float = 5.0
    """Of that, for one connection."""
    drain: float = 0.5
    """After that, for the answer's body."""


Resolver = Callable[[str, int], Sequence[str]]
"""The addresses of a name, as numbers; raises OSError when there are none."""


def resolve(host: str, port: int) -> list[str]:
    """The system's own answer, each address once, in the order in which they should be tried."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@functools.cache
def trust() -> ssl.SSLContext:
    """TLS as browsers would have it: certificates of the system's authorities and of Mozilla's, names checked, 1.2 or newer."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context


@dataclass(frozen=True)
class Outbound:
    """Posts to receivers. Threads may share one; every post has a connection of its own."""

    destinations: Destinations
    resolver: Resolver = resolve
    timeouts: Timeouts = Timeouts()
    tls: ssl.SSLContext = field(default_factory=trust)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send `body` once. It never raises for what a receiver does or what a URL is: the answer says it."""
        started = time.monotonic()
        line = _Line(started + self.timeouts.total)
        try:
            with contextlib.closing(line):
                status, retry_after = self._exchange(line, url, body, headers)
        except (Invalid, Forbidden) as error:
            return Answer(Outcome.REFUSED, None, time.monotonic() - started, error.detail)
        except (OSError, http.client.HTTPException) as error:
            return Answer(Outcome.RETRY, None, time.monotonic() - started, _plain(error, self.timeouts))
        return _judge(status, line.answered - started, retry_after)

    def _exchange(
        self, line: "_Line", url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, float | None]:
        self.destinations.check_url(url)
        parts = split_url(url)
        host, port = host_of(parts), port_of(parts)
        line.connect(self._addresses(host, port, line), port, self.destinations, self.timeouts.connect)
        if parts.scheme == "https":
            line.secure(self.tls, host)
        connection = http.client.HTTPConnection(host, port)
        connection.sock = cast(Any, line)
        connection.request("POST", _target(parts), body, _headers(parts.scheme, host, port, headers))
        with connection.getresponse() as response:
            line.answer(self.timeouts.drain)
            with contextlib.suppress(OSError, http.client.HTTPException):
                response.read(LARGEST_BODY)
            return response.status, read_retry_after(response.headers.get("Retry-After", ""))

    def _addresses(self, host: str, port: int, line: "_Line") -> Sequence[str]:
        """All addresses of a host, each of them checked."""
        addresses = _in_time(lambda: self.resolver(host, port), line.left())
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        for address in addresses:
            self.destinations.check_address(address, port)
        return addresses


class _Line:
    """A connection with an end in time and a bound on what comes through it; http.client takes it for a socket."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._room = LARGEST_HEAD
        self._socket: socket.socket | None = None
        self.answered = 0.0
        """When the answer's headers had come (monotonic)."""

    def left(self, most: float = float("inf")) -> float:
        """Seconds until the deadline. Raises TimeoutError when it is over."""
        seconds = min(self._deadline - time.monotonic(), most)
        if seconds <= 0:
            raise TimeoutError
        return seconds

    def connect(
        self, addresses: Sequence[str], port: int, destinations: Destinations, seconds: float
    ) -> None:
        """Connect to the first address that answers. Raises Forbidden when that turns out to be another than was checked."""
        failure: OSError = ConnectionError("no address")
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            attempt = socket.socket(family, socket.SOCK_STREAM)
            try:
                attempt.settimeout(self.left(seconds))
                attempt.connect((address, port))
                destinations.check_address(attempt.getpeername()[0], port)
            except OSError as error:
                attempt.close()
                failure = _Unreachable(error)
                continue
            except BaseException:
                attempt.close()
                raise
            attempt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = attempt
            return
        raise failure

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Speak TLS from here on, with the one who can prove to be `host`."""
        plain = self._open()
        plain.settimeout(self.left())
        self._socket = context.wrap_socket(plain, server_hostname=host)

    def answer(self, seconds: float) -> None:
        """The headers have come: give the body so many seconds and LARGEST_BODY bytes."""
        self.answered = time.monotonic()
        self._deadline = min(self._deadline, self.answered + seconds)
        self._room = LARGEST_BODY

    def sendall(self, data: bytes) -> None:
        """Send it all, before the deadline."""
        view = memoryview(data)
        while view:
            self._open().settimeout(self.left())
            view = view[self._open().send(view) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What comes, for reading."""
        return io.BufferedReader(_Incoming(self))

    def receive(self, buffer: memoryview) -> int:
        """Read what is there, before the deadline and within the bound."""
        if self._room <= 0:
            raise http.client.HTTPException("too much")
        connection = self._open()
        connection.settimeout(self.left())
        size = connection.recv_into(buffer[: self._room])
        self._room -= size
        return size

    def close(self) -> None:
        """Hang up, if it was not done yet."""
        if self._socket is not None:
            self._socket.close()

    def _open(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionError("not connected")
        return self._socket


class _Incoming(io.RawIOBase):
    """The reading end of a line."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._line.receive(memoryview(buffer))


class _Unreachable(OSError):
    """No connection came about; `reason` says why not."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _NotResolved(TimeoutError):
    """Whoever knows the receiver's name did not say in time."""


def _in_time(ask: Callable[[], Sequence[str]], seconds: float) -> Sequence[str]:
    """The system's resolver knows no time-out, so it is asked in a thread that may be left behind."""
    found: list[Sequence[str]] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            found.append(ask())
        except (OSError, UnicodeError) as error:
            failed.append(error if isinstance(error, OSError) else socket.gaierror(str(error)))

    thread = threading.Thread(target=work, name="resolver", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise _NotResolved
    return found[0]


def _target(parts: SplitResult) -> str:
    query = f"?{parts.query}" if parts.query else ""
    return quote((parts.path or "/") + query, safe=_PATH_SAFE)


def _headers(scheme: str, host: str, port: int, headers: Mapping[str, str]) -> dict[str, str]:
    name = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[scheme]
    return {
        "Host": name if port == usual else f"{name}:{port}",
        "User-Agent": PRODUCT,
        "Accept": "*/*",
        "Connection": "close",
        **headers,
    }


def _judge(status: int, seconds: float, retry_after: float | None) -> Answer:
    """What an answer's status means for the message."""
    wait = None if retry_after is None else min(retry_after, LONGEST_RETRY_AFTER)
    if 200 <= status < 300:
        return Answer(Outcome.DELIVERED, status, seconds, f"The receiver took it ({status}).")
    if status == 410:
        return Answer(Outcome.GONE, status, seconds, "The receiver wants no more messages (410).")
    if 300 <= status < 400:
        detail = f"The receiver answered {status}, a redirect; these are not followed. Give the address it leads to."
        return Answer(Outcome.REFUSED, status, seconds, detail)
    if 400 <= status < 500 and status not in REPEATABLE:
        return Answer(Outcome.REFUSED, status, seconds, f"The receiver refused it ({status}).")
    what = "asks for patience" if status == 429 else "could not take it now"
    detail = f"The receiver {what} ({status})."
    return Answer(Outcome.RETRY, status, seconds, detail, wait)


_CERTIFICATE = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed",
    19: "was issued by an authority that is not trusted",
    20: "was issued by an authority that is not trusted",
    21: "was issued by an authority that is not trusted",
    62: "is for another name",
    64: "is for another address",
}
"""OpenSSL's codes for why a certificate is not accepted (X509_V_ERR_...)."""


def _plain(error: Exception, timeouts: Timeouts) -> str:
    match error:
        case socket.gaierror():
            return "The receiver's name cannot be resolved."
        case _NotResolved():
            return f"The receiver's name was not resolved within {timeouts.total:g} s."
        case _Unreachable(reason=ConnectionRefusedError()):
            return "The receiver refuses connections."
        case _Unreachable(reason=TimeoutError()):
            return f"The receiver cannot be reached within {timeouts.connect:g} s."
        case _Unreachable():
            return "The receiver cannot be reached."
        case ssl.SSLCertVerificationError():
            why = _CERTIFICATE.get(error.verify_code, "cannot be trusted")
            return f"The receiver's certificate {why}."
        case TimeoutError():
            return f"The receiver did not answer within {timeouts.total:g} s."
        case ssl.SSLError():
            return "No TLS connection to the receiver came about."
        case http.client.RemoteDisconnected() | ConnectionError():
            return "The receiver hung up without an answer."
    return "The receiver answered something that is not HTTP."
