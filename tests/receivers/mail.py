"""An SMTP server on loopback that does what real ones do: take mail, want TLS and a login, put off, refuse, hang up."""

import asyncio
import email
import email.policy
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

CANARY = "do-not-show-me"
"""Stands in every refusal's text."""


@dataclass(frozen=True)
class Mail:
    """One mail that was taken."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    secured: bool
    user: str | None


Reply = Callable[[SMTP], "str | None"]
"""What answers a command; None lets it pass."""


@dataclass
class Mailbox:
    """What was taken, and what stands in the way; change it while it serves."""

    mails: list[Mail] = field(default_factory=list)
    sender: list[Reply] = field(default_factory=list)
    """Each MAIL FROM takes the first one."""
    recipient: list[Reply] = field(default_factory=list)
    data: list[Reply] = field(default_factory=list)
    after: list[Reply] = field(default_factory=list)
    """The same, once the mail was taken."""
    port: int = 0

    # aiosmtpd calls what is named after the command
    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if reply := _next(self.sender, server):
            return reply
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if reply := _next(self.recipient, server):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if reply := _next(self.data, server):
            return reply
        content = envelope.content
        assert isinstance(content, bytes)
        user = session.auth_data.decode() if isinstance(session.auth_data, bytes) else None
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        secured = _transport(server).get_extra_info("sslcontext") is not None
        self.mails.append(Mail(envelope.mail_from or "", tuple(envelope.rcpt_tos), message, secured, user))
        return _next(self.after, server) or "250 OK"


def reply(code: str) -> Reply:
    """A refusal, now (4xx) or for ever (5xx)."""
    return lambda _server: f"{code} {CANARY}"


def hang_up(server: SMTP) -> str:
    """Break the connection off."""
    _transport(server).abort()
    return "421 nobody hears this"


def stall(server: SMTP) -> None:
    """Say nothing more to anybody until the end of the test."""
    _transport(server).write = lambda _data: None  # type: ignore[method-assign]


def _transport(server: SMTP) -> asyncio.Transport:
    assert isinstance(server.transport, asyncio.Transport)
    return server.transport


def _next(replies: list[Reply], server: SMTP) -> str | None:
    return replies.pop(0)(server) if replies else None


@contextmanager
def taking_mail(
    tls: ssl.SSLContext | None = None, *, starttls: bool = False, login: tuple[str, str] | None = None
) -> Iterator[Mailbox]:
    """A mail server while the block lasts. With a context it speaks TLS from the start, or wants STARTTLS."""
    mailbox = Mailbox()

    def authenticate(_server: Any, _session: Any, _envelope: Any, _kind: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        right = login is not None and (data.login.decode(), data.password.decode()) == login
        return AuthResult(success=right, handled=False, auth_data=data.login)

    protocols: list[SMTP] = []

    def protocol() -> SMTP:
        each = SMTP(
            mailbox,
            hostname="mail.example",
            tls_context=tls if starttls else None,
            require_starttls=starttls,
            authenticator=authenticate if login else None,
            auth_required=login is not None,
            auth_require_tls=starttls,
            loop=loop,
        )
        protocols.append(each)
        return each

    loop = asyncio.new_event_loop()
    started = loop.create_server(protocol, "127.0.0.1", 0, ssl=None if starttls else tls)
    server = loop.run_until_complete(started)
    mailbox.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, name="mail", daemon=True)
    thread.start()
    try:
        yield mailbox
    finally:
        asyncio.run_coroutine_threadsafe(_end(server, protocols), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(server: asyncio.Server, protocols: list[SMTP]) -> None:
    server.close()
    for each in protocols:
        if each.transport is not None:
            each.transport.abort()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0.01)  # an aborted transport closes its socket a turn later
