"""Against a real mail server on loopback: what arrives, and what each of its faults answers."""

import contextlib
import dataclasses
import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.errors import LeaseLost
from shared.settings import Settings
from tests.receivers.mail import CANARY, Mailbox, Reply, hang_up, reply, stall, taking_mail
from worker_service.clients import smtp
from worker_service.clients.message import Item, Message
from worker_service.clients.outbound import Answer, Outcome
from worker_service.clients.smtp import MailServer

DELIVERED, RETRY, REFUSED = Outcome.DELIVERED, Outcome.RETRY, Outcome.REFUSED
LOGIN = ("vedette", "hunter2-hunter2")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """What the server proves to be 127.0.0.1 with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with taking_mail() as each:
        yield each


@pytest.fixture
def server(mailbox: Mailbox) -> MailServer:
    return reaching(mailbox)


def reaching(mailbox: Mailbox, security: str = "none", login: tuple[str, str] = ("", "")) -> MailServer:
    return MailServer(
        "127.0.0.1", mailbox.port, security, *login, "Vedette <vedette@example.org>", seconds=0.5, total=2
    )


def trusting(server: MailServer, authority: trustme.CA) -> MailServer:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return dataclasses.replace(server, tls=context)


def send(server: MailServer, message: Message, to: str = "ada@example.org") -> Answer:
    return smtp.send(server, to, message, "0b6f9c1e", lambda: None)


def test_a_mail_arrives_as_text_and_html(mailbox: Mailbox, server: MailServer, message: Message) -> None:
    sent = send(server, message)
    assert (sent.outcome, sent.status) == (DELIVERED, 250)
    (mail,) = mailbox.mails
    assert (mail.sender, mail.recipients) == ("vedette@example.org", ("ada@example.org",))
    headers = dict(mail.message.items())
    assert headers["From"] == "Vedette <vedette@example.org>"
    assert headers["To"] == "ada@example.org"
    assert headers["Subject"] == message.title
    assert headers["Message-ID"] == "<0b6f9c1e@example.org>"
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["Importance"] == "high"
    assert dt.datetime.strptime(headers["Date"], "%a, %d %b %Y %H:%M:%S %z") == message.sent_at
    kinds = [part.get_content_type() for part in mail.message.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    for kind in ("plain", "html"):
        body = mail.message.get_body((kind,))
        assert body is not None
        text = body.get_content()
        for said in ("3 new findings in shop", "The scan nightly is over.", "CVE-2014-0160", "openssl 1.0.1f",
                     "known exploited", "https://vedette.example/f/1", "https://vedette.example/scans/1", "Fixed"):  # fmt: skip
            assert said in text


def test_a_repeat_is_the_same_mail(mailbox: Mailbox, server: MailServer, message: Message) -> None:
    mailbox.after = [hang_up]  # taken, but nobody heard of it
    assert [send(server, message).outcome for _ in range(2)] == [RETRY, DELIVERED]
    first, second = mailbox.mails
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert first.message["Date"] == second.message["Date"]


def test_the_end_is_sent_only_after_the_caller_has_been_asked(
    mailbox: Mailbox, server: MailServer, message: Message
) -> None:
    had = []
    answer = smtp.send(server, "ada@example.org", message, "1", lambda: had.append(len(mailbox.mails)))
    assert (answer.outcome, had, len(mailbox.mails)) == (DELIVERED, [0], 1)


def test_a_caller_who_may_not_send_leaves_the_server_without_the_mail(
    mailbox: Mailbox, server: MailServer, message: Message
) -> None:
    def refuse() -> None:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        smtp.send(server, "ada@example.org", message, "1", refuse)
    assert send(server, message).outcome is DELIVERED  # and what was cut off before it has been dealt with
    assert len(mailbox.mails) == 1


def test_the_caller_is_not_asked_for_a_mail_that_the_server_does_not_want(
    mailbox: Mailbox, server: MailServer, message: Message
) -> None:
    mailbox.recipient = [reply("550 5.1.1")]
    asked: list[None] = []
    assert smtp.send(server, "ada@example.org", message, "1", lambda: asked.append(None)).outcome is REFUSED
    assert asked == []


def test_a_server_may_take_longer_for_its_last_word(
    mailbox: Mailbox, server: MailServer, message: Message
) -> None:
    """Who hangs up on a server that looks through a mail sends it twice (RFC 1047)."""
    mailbox.after = [lambda _server: time.sleep(2 * server.seconds)]
    assert send(server, message).outcome is DELIVERED
    assert len(mailbox.mails) == 1


FAULTS: dict[str, tuple[str, Reply, Outcome, int | None, str]] = {
    "greylisted": ("recipient", reply("450 4.7.1"), RETRY, 450, "could not take the recipient now (450)"),
    "local error": ("recipient", reply("451 4.3.0"), RETRY, 451, "could not take the recipient now"),
    "no such user": ("recipient", reply("550 5.1.1"), REFUSED, 550, "refused the recipient (550)"),
    "no relaying": ("recipient", reply("554 5.7.1"), REFUSED, 554, "refused the recipient"),
    "sender put off": ("sender", reply("421 4.3.2"), RETRY, 421, "could not take the sender"),
    "sender refused": ("sender", reply("553 5.1.8"), REFUSED, 553, "refused the sender (SMTP_FROM)"),
    "login wanted": ("sender", reply("530 5.7.0"), RETRY, 530, "wants a login or TLS first"),
    "no room": ("data", reply("452 4.3.1"), RETRY, 452, "could not take the message now"),
    "spam": ("data", reply("554 5.7.1"), REFUSED, 554, "refused the message (554)"),
    "hung up at the sender": ("sender", hang_up, RETRY, None, "hung up"),
    "hung up at the recipient": ("recipient", hang_up, RETRY, None, "hung up"),
    "hung up at the message": ("data", hang_up, RETRY, None, "hung up"),
    "silent": ("recipient", stall, RETRY, None, "did not answer in time"),
}
"""At which command, what the server does, and what the owner sees."""


@pytest.mark.parametrize("name", FAULTS)
def test_what_each_fault_answers(mailbox: Mailbox, server: MailServer, message: Message, name: str) -> None:
    step, fault, outcome, status, detail = FAULTS[name]
    getattr(mailbox, step).append(fault)
    sent = send(server, message)
    assert (sent.outcome, sent.status) == (outcome, status)
    assert detail in sent.detail
    assert CANARY not in repr(sent)
    assert not mailbox.mails


def test_greylisting_is_passed_the_second_time(
    mailbox: Mailbox, server: MailServer, message: Message
) -> None:
    mailbox.recipient = [reply("450 4.7.1")]
    assert [send(server, message).outcome for _ in range(2)] == [RETRY, DELIVERED]
    assert len(mailbox.mails) == 1


def test_nobody_listens(message: Message) -> None:
    with taking_mail() as mailbox:
        server = reaching(mailbox)
    sent = send(server, message)
    assert (sent.outcome, sent.detail) == (
        RETRY,
        "The mail server refuses connections (SMTP_HOST, SMTP_PORT).",
    )


@contextlib.contextmanager
def greeting_with(text: str) -> Iterator[int]:
    """The port of a server that says this and then nothing."""
    over = threading.Event()

    def speak() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(text.encode())
            over.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=speak)
        thread.start()
        yield listener.getsockname()[1]
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("greeting", "status", "detail"),
    [
        ("554 do-not-show-me\r\n", 554, "refused to talk (554)"),
        ("421 do-not-show-me\r\n", 421, "refused to talk (421)"),
        ("", None, "did not answer in time"),
        ("HTTP/1.1 400 do-not-show-me\r\n", None, "refused to talk"),
        ("220 " + "x" * 20_000 + "\r\n", None, "refused to talk"),
    ],
)
def test_a_server_that_does_not_greet(
    server: MailServer, message: Message, greeting: str, status: int | None, detail: str
) -> None:
    with greeting_with(greeting) as port:
        sent = send(dataclasses.replace(server, port=port), message)
    assert sent.outcome is RETRY
    assert status is None or sent.status == status
    assert detail in sent.detail
    assert CANARY not in repr(sent)


def test_a_server_that_trickles_is_cut(server: MailServer, message: Message) -> None:
    """Each byte is well within the time-out of a step; all of them are not within that of the mail."""
    over = threading.Event()

    def speak() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            while not over.wait(0.05):
                connection.sendall(b"2")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=speak)
        thread.start()
        sent = send(dataclasses.replace(server, port=listener.getsockname()[1], total=0.5), message)
        over.set()
        thread.join()
    assert (sent.outcome, sent.detail) == (RETRY, "The mail server did not answer in time.")


def test_starttls_and_a_login(tls: ssl.SSLContext, authority: trustme.CA, message: Message) -> None:
    with taking_mail(tls, starttls=True, login=LOGIN) as mailbox:
        assert send(trusting(reaching(mailbox, "starttls", LOGIN), authority), message).outcome is DELIVERED
        (mail,) = mailbox.mails
        assert mail.secured
        assert mail.user == LOGIN[0]


def test_tls_from_the_start(tls: ssl.SSLContext, authority: trustme.CA, message: Message) -> None:
    with taking_mail(tls) as mailbox:
        assert send(trusting(reaching(mailbox, "tls"), authority), message).outcome is DELIVERED
        assert mailbox.mails[0].secured


def test_a_wrong_password_is_the_operators_to_mend(
    tls: ssl.SSLContext, authority: trustme.CA, message: Message
) -> None:
    with taking_mail(tls, starttls=True, login=LOGIN) as mailbox:
        wrong = trusting(reaching(mailbox, "starttls", ("vedette", "wrong-password")), authority)
        sent = send(wrong, message)
        assert (sent.outcome, sent.status) == (RETRY, None)
        assert "SMTP_PASSWORD" in sent.detail
        assert "wrong-password" not in repr(sent) + repr(wrong)
        assert not mailbox.mails


def test_nothing_is_said_in_the_clear_when_tls_is_wanted(mailbox: Mailbox, message: Message) -> None:
    sent = send(reaching(mailbox, "starttls", LOGIN), message)
    assert (sent.outcome, sent.detail) == (RETRY, "The mail server offers no STARTTLS (SMTP_SECURITY).")
    assert not mailbox.mails


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_cannot_be_trusted(tls: ssl.SSLContext, message: Message, security: str) -> None:
    with taking_mail(tls, starttls=security == "starttls") as mailbox:
        sent = send(reaching(mailbox, security), message)
        assert sent.outcome is RETRY
        assert "certificate cannot be trusted" in sent.detail
        assert not mailbox.mails


def test_tls_where_there_is_none(mailbox: Mailbox, message: Message) -> None:
    sent = send(reaching(mailbox, "tls"), message)
    assert sent.outcome is RETRY
    assert "SMTP_SECURITY" in sent.detail or "in time" in sent.detail


def test_a_login_that_the_server_does_not_know(mailbox: Mailbox, message: Message) -> None:
    sent = send(reaching(mailbox, "none", LOGIN), message)
    assert (sent.outcome, sent.status) == (RETRY, None)
    assert "SMTP_USERNAME" in sent.detail


@pytest.mark.parametrize(
    "to",
    [
        "ada@example.org\r\nBcc: eve@example.org", "ada@example.org, eve@example.org", "Ada <ada@example.org>", "", "ada",
        "ada@example.org>\r\nRCPT TO:<eve@example.org", "ada@example.org\x00",
    ],
)  # fmt: skip
def test_a_recipient_that_is_none_is_refused_before_anything_is_sent(
    mailbox: Mailbox, server: MailServer, message: Message, to: str
) -> None:
    sent = send(server, message, to)
    assert (sent.outcome, sent.status) == (REFUSED, None)
    assert not mailbox.mails


def test_a_domain_beyond_ascii_is_sent_as_it_is_known(
    mailbox: Mailbox, server: MailServer, message: Message
) -> None:
    assert send(server, message, "ada@b\u00fccher.example").outcome is DELIVERED
    assert mailbox.mails[0].recipients == ("ada@xn--bcher-kva.example",)


NASTY = [
    "x\r\nBcc: eve@example.org", "x\n\nbody", "\ud800", "\x00\x1b[31m", "=?utf-8?q?x?=", "\u202egnp.exe", "x" * 5000,
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "\u00e9\u4e2d\U0001f600", ".\r\n.\r\nQUIT\r\n", "{0} {x}",
]  # fmt: skip


def said(text: str) -> Message:
    item = Item(text, text, "javascript:alert(1)", text)
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return Message(text, text, "normal", (item,), ((text, text),), "data:text/html,x", moment)


@pytest.mark.parametrize("text", NASTY)
def test_a_text_is_neither_a_header_nor_markup(mailbox: Mailbox, server: MailServer, text: str) -> None:
    assert send(server, said(text)).outcome is DELIVERED
    (mail,) = mailbox.mails
    assert mail.recipients == ("ada@example.org",)
    expected = {
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    }
    assert set(mail.message.keys()) - {"X-Peer", "X-MailFrom", "X-RcptTo"} == expected
    html = mail.message.get_body(("html",))
    assert html is not None
    for markup in ("<script", "<img", "javascript:", "data:", "<a "):
        assert markup not in html.get_content()


@given(st.text())
def test_any_text_can_be_written_as_a_mail(text: str) -> None:
    server = MailServer("mail.example", 587, "none", "", "", "vedette@example.org")
    bytes(smtp._compose(server, "ada@example.org", said(text), "1"))


@pytest.mark.parametrize("missing", ["smtp_host", "smtp_from"])
def test_settings_that_send_no_mail_are_named_and_may_be_mended(message: Message, missing: str) -> None:
    chosen = {"smtp_host": "127.0.0.1", "smtp_from": "vedette@example.org"} | {missing: ""}
    settings = Settings.model_construct(**Settings.model_construct().model_dump()).with_changes(**chosen)
    sent = send(MailServer.of(settings), message)
    assert (sent.outcome, sent.status) == (RETRY, None)
    assert missing.upper() in sent.detail


def test_a_server_that_wants_tls_first(tls: ssl.SSLContext, message: Message) -> None:
    with taking_mail(tls, starttls=True) as mailbox:
        sent = send(reaching(mailbox), message)
        assert (sent.outcome, sent.status) == (RETRY, 530)
        assert "SMTP_USERNAME, SMTP_SECURITY" in sent.detail
        assert not mailbox.mails


def test_the_settings_make_the_server() -> None:
    settings = Settings.model_construct(**Settings.model_construct().model_dump()).with_changes(
        smtp_host="mail.example",
        smtp_username="v",
        smtp_password=SecretStr("hunter2"),
        smtp_from="v@example.org",
    )
    server = MailServer.of(settings)
    assert (server.host, server.port, server.security) == ("mail.example", 587, "starttls")
    assert (server.username, server.password, server.sender) == ("v", "hunter2", "v@example.org")
    assert "hunter2" not in repr(server)
