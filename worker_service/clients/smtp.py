"""Mail: one message for one person, text and HTML, handed to the operator's own server.

The server is a setting and not a user's, so it may be internal. The same message keeps its Message-ID in every attempt, so
that a mailbox that got it twice can tell. What a server says is not shown: its code tells what became of the mail.

A server has a mail once it has read the line that ends it (RFC 5321 section 4.1.1.4), and a client that hears nothing then
cannot tell (RFC 1047). So that line is sent by itself, after the caller has written down that it will be.
"""

import contextlib
import email.policy
import email.utils
import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Self

from shared.destinations import mail_address
from shared.errors import Invalid
from shared.settings import Settings
from worker_service.clients import mail_text
from worker_service.clients.message import Message, one_line
from worker_service.clients.outbound import Answer, Outcome, trust

IMPORTANT = frozenset({"high", "critical"})
UNSECURED = frozenset({530, 534, 535, 538})
"""What a server says to whom it wants to log in first, or to speak TLS (RFC 4954 section 6, RFC 3207 section 4)."""


@dataclass(frozen=True)
class MailServer:
    """The server that takes our mail, and whom it is from."""

    host: str
    """Empty: there is none."""
    port: int
    security: str
    """`starttls`, `tls` or `none`."""
    username: str
    password: str = field(repr=False)
    sender: str
    """`name@domain` or `Name <name@domain>`; checked where settings are read."""
    seconds: float = 15.0
    """How long the server may take for one step."""
    total: float = 60.0
    """And for all of them."""
    tls: ssl.SSLContext = field(default_factory=trust, repr=False)

    @property
    def origin(self) -> Address:
        """Whom the mail is from. Raises Invalid when that is no address."""
        name, address = email.utils.parseaddr(self.sender)
        return Address(one_line(name, 100), addr_spec=mail_address(address))

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The server of an installation."""
        password = settings.smtp_password.get_secret_value() if settings.smtp_password else ""
        return cls(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_security,
            settings.smtp_username,
            password,
            settings.smtp_from,
        )


def send(
    server: MailServer, to: str, message: Message, message_id: str, before_end: Callable[[], None]
) -> Answer:
    """Hand one mail to the server. It never raises for what the server does: the answer says it.

    `message_id` names the delivery and stays the same in every attempt. `before_end` is called when all but the end of the
    message has been sent; if it raises, the connection is dropped, and the server does not have the mail.
    """
    started = time.monotonic()
    try:
        outcome, status, detail = _send(server, _compose(server, to, message, message_id), before_end)
    except _Wrong as wrong:
        outcome, status, detail = wrong.outcome, None, wrong.detail
    return Answer(outcome, status, time.monotonic() - started, detail)


class _Wrong(Exception):
    """The attempt ends without a word of the server about the mail."""

    def __init__(self, detail: str, outcome: Outcome = Outcome.RETRY) -> None:
        super().__init__(detail)
        self.detail = detail
        self.outcome = outcome


class _Session(smtplib.SMTP):
    """A session that sends the end of a message by itself, and waits longer for what the server says to it."""

    before_end: Callable[[], None]
    patience: float
    """Seconds that the server may take once it has the whole message: who hangs up then may be sending twice."""

    def data(self, msg: bytes) -> tuple[int, bytes]:  # type: ignore[override]  # sendmail gives bytes
        """What `sendmail` calls to send the message."""
        code, answer = self.docmd("data")
        if code != 354:
            raise smtplib.SMTPDataError(code, answer)
        lines = re.sub(rb"(?m)^\.", b"..", msg)  # transparency, RFC 5321 section 4.5.2
        self.send(lines if lines.endswith(b"\r\n") else lines + b"\r\n")
        self.before_end()
        assert self.sock is not None  # noqa: S101  # it has just sent through it
        self.sock.settimeout(self.patience)
        self.send(b".\r\n")
        return self.getreply()


class _SecuredSession(_Session, smtplib.SMTP_SSL):
    """The same, with TLS from the start."""


def _send(
    server: MailServer, mail: EmailMessage, before_end: Callable[[], None]
) -> tuple[Outcome, int | None, str]:
    end = time.monotonic() + server.total
    try:
        with _session(server) as session:
            session.before_end = before_end
            session.send_message(mail)
    except (smtplib.SMTPException, OSError) as error:
        return _failure(error if time.monotonic() < end else TimeoutError())
    return Outcome.DELIVERED, 250, "The mail server took it (250)."


def _failure(error: Exception) -> tuple[Outcome, int | None, str]:
    match error:
        case smtplib.SMTPRecipientsRefused():
            code = next(iter(error.recipients.values()))[0]
            return _judge(code, "the recipient")
        case smtplib.SMTPSenderRefused():
            return _judge(error.smtp_code, "the sender (SMTP_FROM)")
        case smtplib.SMTPDataError():
            return _judge(error.smtp_code, "the message")
        case smtplib.SMTPResponseException():
            detail = f"The mail server refused to talk ({error.smtp_code})."
            return Outcome.RETRY, error.smtp_code, detail
    return Outcome.RETRY, None, _plain(error)


def _judge(code: int, what: str) -> tuple[Outcome, int, str]:
    """What a code about the mail means for it: 4xx may pass, as with greylisting, 5xx will not (RFC 5321 section 4.2.1)."""
    if code in UNSECURED:
        detail = f"The mail server wants a login or TLS first ({code}; SMTP_USERNAME, SMTP_SECURITY)."
        return Outcome.RETRY, code, detail
    if 500 <= code < 600:
        return Outcome.REFUSED, code, f"The mail server refused {what} ({code})."
    return Outcome.RETRY, code, f"The mail server could not take {what} now ({code})."


@contextlib.contextmanager
def _session(server: MailServer) -> Iterator[_Session]:
    """A session that is secured and logged in as the settings want it, and that ends in time whatever the server does."""
    session = _unconnected(server)
    end = threading.Timer(server.total, _cut, [session])
    end.daemon = True
    end.start()
    try:
        _greet(session, server)
        if server.security == "starttls":
            _starttls(session, server)
        if server.username:
            _login(session, server)
        yield session
        with contextlib.suppress(smtplib.SMTPException, OSError):
            session.quit()
    finally:
        end.cancel()
        session.close()


def _unconnected(server: MailServer) -> _Session:
    """A session that can be ended before it has connected, so that even a greeting comes in time."""
    name = server.origin.domain  # by default the machine's, for which smtplib asks the DNS without a time-out
    session = (
        _SecuredSession(local_hostname=name, timeout=server.seconds, context=server.tls)
        if server.security == "tls"
        else _Session(local_hostname=name, timeout=server.seconds)
    )
    session.patience = server.total
    # Whom the certificate must name; only the constructor that connects sets it.
    session._host = server.host  # type: ignore[attr-defined]  # noqa: SLF001  # the stubs know only what is public
    return session


def _greet(session: smtplib.SMTP, server: MailServer) -> None:
    code, greeting = session.connect(server.host, server.port)
    if code != 220:
        raise smtplib.SMTPConnectError(code, greeting)


def _cut(session: smtplib.SMTP) -> None:
    with contextlib.suppress(OSError):
        if session.sock is not None:
            socket.socket.shutdown(session.sock, socket.SHUT_RDWR)


def _starttls(session: smtplib.SMTP, server: MailServer) -> None:
    """Never go on in the clear: a password and findings would be read on the way."""
    try:
        session.starttls(context=server.tls)
    except smtplib.SMTPNotSupportedError:
        raise _Wrong("The mail server offers no STARTTLS (SMTP_SECURITY).") from None


def _login(session: smtplib.SMTP, server: MailServer) -> None:
    try:
        session.login(server.username, server.password)
    except smtplib.SMTPAuthenticationError as refused:
        why = f"({refused.smtp_code}; SMTP_USERNAME, SMTP_PASSWORD)"
        raise _Wrong(f"The mail server refuses the login {why}.") from None
    except smtplib.SMTPNotSupportedError:
        raise _Wrong("The mail server knows no login that we know (SMTP_USERNAME).") from None


def _compose(server: MailServer, to: str, message: Message, message_id: str) -> EmailMessage:
    if not server.host or not server.sender:
        raise _Wrong("No mail is sent here: SMTP_HOST and SMTP_FROM are not set.")
    try:
        recipient = mail_address(to)
    except Invalid as error:
        raise _Wrong(error.detail, Outcome.REFUSED) from None
    mail = EmailMessage(email.policy.SMTP)
    mail["From"] = server.origin
    mail["To"] = Address(addr_spec=recipient)
    mail["Subject"] = one_line(message.title, 200)
    mail["Date"] = message.sent_at
    mail["Message-ID"] = f"<{message_id}@{server.origin.domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies, please
    if message.priority in IMPORTANT:
        mail["Importance"] = "high"
    mail.set_content(mail_text.plain(message))
    mail.add_alternative(mail_text.html(message), subtype="html")
    return mail


def _plain(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"The mail server's certificate cannot be trusted ({error.verify_message})."
        case ssl.SSLError():
            return "No TLS connection to the mail server came about (SMTP_SECURITY)."
        case socket.gaierror():
            return "The mail server's name cannot be resolved (SMTP_HOST)."
        case TimeoutError() | smtplib.SMTPServerDisconnected(__context__=TimeoutError()):
            return "The mail server did not answer in time."
        case ConnectionRefusedError():
            return "The mail server refuses connections (SMTP_HOST, SMTP_PORT)."
        case smtplib.SMTPServerDisconnected() | ConnectionError():
            return "The mail server hung up."
        case smtplib.SMTPException():
            return "The mail server answered something that is not SMTP."
    return "The mail server cannot be reached (SMTP_HOST, SMTP_PORT)."
