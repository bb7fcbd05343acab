"""What each fault of a receiver answers, and that nothing of what a receiver writes is shown."""

import datetime as dt
import email.utils
import socket
import ssl
import threading
from collections.abc import Callable

import pytest
import trustme

from shared.destinations import Destinations
from tests.receivers import http as faults
from tests.receivers.http import CANARY, Fault, Receiver, receiving
from tests.worker_service.clients.conftest import QUICK
from worker_service.clients.outbound import LONGEST_RETRY_AFTER, Answer, Outbound, Outcome, trust

DELIVERED, RETRY, REFUSED, GONE = Outcome.DELIVERED, Outcome.RETRY, Outcome.REFUSED, Outcome.GONE
HEAD = "HTTP/1.1 200 OK\r\n"

FAULTS: dict[str, tuple[Fault, Outcome, int | None, str]] = {
    "took it": (faults.answer(200), DELIVERED, 200, "took it"),
    "took it for later": (faults.answer(202), DELIVERED, 202, "took it"),
    "took it in silence": (faults.raw("HTTP/1.1 204 No Content\r\n\r\n"), DELIVERED, 204, "took it"),
    "continue first": (faults.raw("HTTP/1.1 100 C\r\n\r\n" + HEAD + "\r\n"), DELIVERED, 200, "took it"),
    "huge body": (faults.endless(HEAD + "\r\n", CANARY * 100), DELIVERED, 200, "took it"),
    "huge promise": (
        faults.raw(HEAD + f"Content-Length: {10**12}\r\n\r\n{CANARY}"),
        DELIVERED,
        200,
        "took it",
    ),
    "trickled body": (faults.trickle(HEAD + "Content-Length: 9999\r\n\r\n", "x"), DELIVERED, 200, "took it"),
    "broken chunks": (
        faults.raw(HEAD + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + CANARY),
        DELIVERED,
        200,
        "took it",
    ),
    "moved": (faults.answer(301, Location="http://169.254.169.254/latest/"), REFUSED, 301, "redirect"),
    "moved, post again": (faults.answer(307, Location="/other"), REFUSED, 307, "redirect"),
    "bad request": (faults.answer(400), REFUSED, 400, "refused it"),
    "unauthorized": (faults.answer(401), REFUSED, 401, "refused it"),
    "no such hook": (faults.answer(404), REFUSED, 404, "refused it"),
    "too large": (faults.answer(413), REFUSED, 413, "refused it"),
    "request timeout": (faults.answer(408), RETRY, 408, "could not take it now"),
    "too early": (faults.answer(425), RETRY, 425, "could not take it now"),
    "throttled": (faults.answer(429), RETRY, 429, "asks for patience"),
    "gone": (faults.answer(410), GONE, 410, "no more"),
    "error": (faults.answer(500), RETRY, 500, "could not take it now"),
    "bad gateway": (faults.answer(502), RETRY, 502, "could not take it now"),
    "unavailable": (faults.answer(503), RETRY, 503, "could not take it now"),
    "odd status": (faults.answer(799), RETRY, 799, "could not take it now"),
    "early hints only": (faults.answer(103), RETRY, 103, "could not take it now"),
    "silent": (faults.silence, RETRY, None, "did not answer within 0.6 s"),
    "trickled head": (faults.trickle(HEAD, f"X-{CANARY}: 1\r\n"), RETRY, None, "did not answer within 0.6 s"),
    "trickled line": (faults.trickle("HTTP/1.1 ", "2"), RETRY, None, "did not answer within 0.6 s"),
    "endless headers": (faults.endless(HEAD, f"X-{CANARY}: 1\r\n"), RETRY, None, "not HTTP"),
    "one endless header": (faults.endless(HEAD + "X: ", CANARY * 50), RETRY, None, "not HTTP"),
    "endless continues": (faults.endless("", "HTTP/1.1 100 Continue\r\n\r\n"), RETRY, None, "not HTTP"),
    "hung up": (faults.hang_up, RETRY, None, "hung up"),
    "reset": (faults.reset, RETRY, None, "hung up"),
    "cut in the status": (faults.raw("HTTP/1.1"), RETRY, None, "not HTTP"),
    "not HTTP": (faults.raw(f"220 {CANARY} ESMTP\r\n"), RETRY, None, "not HTTP"),
    "HTTP of another kind": (faults.raw(f"ICY 200 {CANARY}\r\n\r\n"), RETRY, None, "not HTTP"),
}
"""What a receiver does, and what its owner sees: outcome, status and a piece of the detail."""


@pytest.mark.parametrize("name", FAULTS)
def test_what_each_fault_answers(receiver: Receiver, outbound: Outbound, name: str) -> None:
    fault, outcome, status, detail = FAULTS[name]
    receiver.faults = [fault]
    answer = outbound.post(receiver.url, b"{}", {})
    assert (answer.outcome, answer.status) == (outcome, status)
    assert detail in answer.detail
    assert CANARY not in repr(answer)
    assert 0 < answer.seconds < 5
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", range(200, 600, 7))
def test_nothing_that_a_receiver_writes_is_shown(receiver: Receiver, outbound: Outbound, status: int) -> None:
    receiver.faults = [faults.answer(status, Retry_After=CANARY, Location=f"http://{CANARY}/")]
    assert CANARY not in repr(outbound.post(receiver.url, b"{}", {}))


def test_the_request_is_a_plain_post_to_the_address_given(receiver: Receiver, outbound: Outbound) -> None:
    url = f"http://LOCALHOST.:{receiver.port}/a b/h\u00f6k?x=1&y=%20#fragment".replace(" ", "%20")
    assert outbound.post(url, b'{"a": 1}', {"Content-Type": "application/json"}).outcome is DELIVERED
    (request,) = receiver.requests
    assert (request.method, request.target) == ("POST", "/a%20b/h%C3%B6k?x=1&y=%20")
    assert request.body == b'{"a": 1}'
    assert request.headers["host"] == f"localhost:{receiver.port}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("Vedette/")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("30", 30.0),
        ("1.5", 1.5),
        ("999999999", LONGEST_RETRY_AFTER),
        ("99999999999999999999999", None),
        ("-5", None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0.0),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_read(
    receiver: Receiver, outbound: Outbound, status: int, value: str, seconds: float | None
) -> None:
    receiver.faults = [faults.answer(status, Retry_After=value)]
    assert outbound.post(receiver.url, b"{}", {}).retry_after == seconds


def test_retry_after_a_date_counts_from_now(receiver: Receiver, outbound: Outbound) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=10)
    receiver.faults = [faults.answer(429, Retry_After=email.utils.format_datetime(soon, usegmt=True))]
    seconds = outbound.post(receiver.url, b"{}", {}).retry_after
    assert seconds is not None
    assert 500 < seconds <= 600


def test_nobody_listens(receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outbound = Outbound(Destinations.parse(f"127.0.0.1:{port}"), timeouts=QUICK)
    answer = outbound.post(f"http://127.0.0.1:{port}/", b"{}", {})
    assert (answer.outcome, answer.detail) == (RETRY, "The receiver refuses connections.")


def test_nobody_takes_the_connection() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [_connecting(port) for _ in range(4)]  # the kernel's queue is full; further ones wait
        outbound = Outbound(Destinations.parse(f"127.0.0.1:{port}"), timeouts=QUICK)
        answer = outbound.post(f"http://127.0.0.1:{port}/", b"{}", {})
        assert (answer.outcome, answer.detail) == (RETRY, "The receiver cannot be reached within 0.3 s.")
        for each in waiting:
            each.close()


def _connecting(port: int) -> socket.socket:
    each = socket.socket()
    each.setblocking(False)
    each.connect_ex(("127.0.0.1", port))
    return each


def test_a_receiver_that_does_not_read_is_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        outbound = Outbound(Destinations.parse(f"127.0.0.1:{port}"), timeouts=QUICK)
        answer = outbound.post(f"http://127.0.0.1:{port}/", bytes(32 * 1024 * 1024), {})
    assert (answer.outcome, answer.detail) == (RETRY, "The receiver did not answer within 0.6 s.")


def test_the_next_address_is_tried_when_the_first_does_not_answer(receiver: Receiver) -> None:
    rule = Destinations.parse(f"127.0.0.0/8:{receiver.port}")
    outbound = Outbound(rule, lambda _host, _port: ["127.0.0.9", "127.0.0.1"], QUICK)
    assert outbound.post(f"http://two.example:{receiver.port}/", b"{}", {}).outcome is DELIVERED


def no_name(_host: str, _port: int) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, CANARY)


def no_answer(_host: str, _port: int) -> list[str]:
    raise socket.gaierror(socket.EAI_AGAIN, CANARY)


RESOLVERS: dict[str, tuple[Callable[[str, int], list[str]], str]] = {
    "no such name": (no_name, "cannot be resolved"),
    "no answer": (no_answer, "cannot be resolved"),
    "no address": (lambda _host, _port: [], "cannot be resolved"),
    "too long": (lambda _host, _port: threading.Event().wait(2) or [], "not resolved within 0.6 s"),
}


@pytest.mark.parametrize("name", RESOLVERS)
def test_a_name_that_does_not_resolve_may_do_so_later(name: str) -> None:
    resolver, detail = RESOLVERS[name]
    answer = Outbound(Destinations(), resolver, QUICK).post("https://hook.example/", b"{}", {})
    assert (answer.outcome, answer.status) == (RETRY, None)
    assert detail in answer.detail
    assert CANARY not in answer.detail


def test_no_proxy_is_asked(receiver: Receiver, outbound: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert outbound.post(receiver.url, b"{}", {}).outcome is DELIVERED
        assert not proxy.requests
    assert len(receiver.requests) == 1


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def secured(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def over_tls(
    receiver: Receiver, authority: trustme.CA | None, name: str = "hook.example", scheme: str = "https"
) -> Answer:
    """A post to `name`, which is the receiver's, with only the authority trusted, or with what is usual."""
    context = trust()
    if authority is not None:
        context = ssl.create_default_context()
        authority.configure_trust(context)
    rule = Destinations.parse(f"127.0.0.1:{receiver.port}")
    outbound = Outbound(rule, lambda _host, _port: ["127.0.0.1"], QUICK, context)
    return outbound.post(f"{scheme}://{name}:{receiver.port}/hook", b"{}", {})


def test_tls_and_host_are_about_the_name(authority: trustme.CA) -> None:
    with receiving(secured(authority.issue_cert("hook.example"))) as receiver:
        assert over_tls(receiver, authority, "HOOK.example.").outcome is DELIVERED
        assert receiver.names == ["hook.example"]
        assert receiver.requests[0].headers["host"] == f"hook.example:{receiver.port}"


def test_a_certificate_for_an_address_is_good_for_that(authority: trustme.CA) -> None:
    with receiving(secured(authority.issue_cert("127.0.0.1"))) as receiver:
        assert over_tls(receiver, authority, "127.0.0.1").outcome is DELIVERED


def test_a_certificate_that_cannot_be_trusted_ends_it(authority: trustme.CA) -> None:
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    future = dt.datetime(2999, 1, 1, tzinfo=dt.UTC)
    cases = [
        (authority.issue_cert("other.example"), authority, "is for another name"),
        (authority.issue_cert("hook.example", not_after=past), authority, "has expired"),
        (authority.issue_cert("hook.example", not_before=future), authority, "is not valid yet"),
        (authority.issue_cert("hook.example"), None, "authority that is not trusted"),
    ]
    for certificate, trusted, detail in cases:
        with receiving(secured(certificate)) as receiver:
            answer = over_tls(receiver, trusted)
            assert (answer.outcome, answer.status) == (RETRY, None)
            assert answer.detail.startswith("The receiver's certificate ")
            assert detail in answer.detail
            assert not receiver.requests


def test_a_receiver_that_speaks_no_tls() -> None:
    def speak() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=speak)
        thread.start()
        outbound = Outbound(Destinations.parse(f"127.0.0.1:{port}"), timeouts=QUICK)
        answer = outbound.post(f"https://127.0.0.1:{port}/", b"{}", {})
        thread.join()
    assert (answer.outcome, answer.detail) == (RETRY, "No TLS connection to the receiver came about.")


def test_a_handshake_that_never_comes_is_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        answer = Outbound(Destinations.parse(f"127.0.0.1:{port}"), timeouts=QUICK).post(
            f"https://127.0.0.1:{port}/", b"{}", {}
        )
    assert (answer.outcome, answer.detail) == (RETRY, "The receiver did not answer within 0.6 s.")


def test_a_secured_receiver_that_trickles_is_cut(authority: trustme.CA) -> None:
    with receiving(secured(authority.issue_cert("hook.example"))) as receiver:
        receiver.faults = [faults.trickle(HEAD, "X-a: 1\r\n")]
        answer = over_tls(receiver, authority)
        assert (answer.outcome, answer.detail) == (RETRY, "The receiver did not answer within 0.6 s.")
