"""A webhook receiver on loopback that does what real ones do: answer, refuse, stall, trickle, break off, lie."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

CANARY = "do-not-show-me"
"""Stands wherever a receiver can write something; no byte of it may reach anybody."""


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@dataclass
class Receiver:
    """What it got, and how it will behave; change it while it serves."""

    faults: list["Fault"] = field(default_factory=list)
    """Each request takes the first one; without any it answers 200."""
    always: "Fault | None" = None
    """What every request gets that finds no other."""
    requests: list[Received] = field(default_factory=list)
    listener: "Callable[[Received], None] | None" = None
    """Told of each request as it comes, one after the other."""
    names: list[str | None] = field(default_factory=list)
    """What clients called it in TLS (SNI)."""
    port: int = 0
    tls: ssl.SSLContext | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Its address by number."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/hook"

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is closed."""
        while not self.stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        with contextlib.suppress(OSError, ValueError), self._secured(connection) as secured:
            request = _read(secured)
            with self._lock:
                self.requests.append(request)
                if self.listener is not None:
                    self.listener(request)
                fault = self.faults.pop(0) if self.faults else self.always or answer(200)
            fault(secured, self.stopped)

    def _secured(self, connection: socket.socket) -> socket.socket:
        with contextlib.ExitStack() as stack:
            stack.callback(connection.close)
            secured = self.tls.wrap_socket(connection, server_side=True) if self.tls else connection
            stack.pop_all()
            return secured


Fault = Callable[[socket.socket, threading.Event], None]
"""Answers a request that was read; the event says that the test is over."""


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on a free port while the block lasts."""
    receiver = Receiver(tls=tls)
    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: receiver.names.append(name)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        receiver.port = listener.getsockname()[1]
        thread = threading.Thread(target=receiver.serve, args=(listener,), daemon=True)
        thread.start()
        yield receiver
        receiver.stopped.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def answer(status: int, body: str = CANARY, **headers: str) -> Fault:
    """A plain answer; `retry_after="5"` becomes the header Retry-After."""
    lines = [f"HTTP/1.1 {status} {CANARY}", f"X-Canary: {CANARY}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join([*lines, "", body]))


def raw(text: str) -> Fault:
    """These bytes and nothing else."""

    def fault(connection: socket.socket, _stopped: threading.Event) -> None:
        connection.sendall(text.encode("latin-1"))

    return fault


def silence(_connection: socket.socket, stopped: threading.Event) -> None:
    """Never a word."""
    stopped.wait(60)


def hang_up(_connection: socket.socket, _stopped: threading.Event) -> None:
    """Close without a word."""


def reset(connection: socket.socket, _stopped: threading.Event) -> None:
    """Break the connection off."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def trickle(start: str, drop: str, pause: float = 0.02) -> Fault:
    """Some bytes, and then for ever a few more, each well within any time-out between two bytes."""

    def fault(connection: socket.socket, stopped: threading.Event) -> None:
        connection.sendall(start.encode())
        while not stopped.wait(pause):
            connection.sendall(drop.encode())

    return fault


def endless(start: str, block: str) -> Fault:
    """Some bytes, and then as many as the client takes."""

    def fault(connection: socket.socket, stopped: threading.Event) -> None:
        connection.sendall(start.encode())
        while not stopped.is_set():
            connection.sendall(block.encode() * 64)

    return fault


def _read(connection: socket.socket) -> Received:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += _some(connection)
    method, target, _ = first.split(" ")
    return Received(method, target, headers, body)


def _some(connection: socket.socket) -> bytes:
    if not (data := connection.recv(65536)):
        raise ConnectionError
    return data
