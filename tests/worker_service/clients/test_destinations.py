"""Nothing connects where it must not: every destination here ends with no connection, whatever its name resolves to.

A recorder stands in the place where sockets connect. It lets loopback through and stops everything else, so that a test
that fails contacts nobody. `test_the_recorder_sees` shows that the same destinations would be connected to were it not for
the rule.
"""

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest

from shared.destinations import PORTS, Destinations
from tests.receivers.http import CANARY, Receiver, answer
from tests.worker_service.clients.conftest import QUICK
from worker_service.clients.outbound import Outbound, Outcome, Timeouts

EVERYTHING = Destinations.parse("0.0.0.0/0:*,[::/0]:*")

LITERALS = [
    "http://127.0.0.1/", "http://127.0.0.1:8080/", "https://127.0.0.1/", "http://127.8.8.8/", "http://0.0.0.0/",
    "http://10.0.0.1/", "http://10.255.255.255/", "http://172.16.0.1/", "http://172.31.255.254/",
    "http://192.168.0.1/", "http://169.254.169.254/latest/meta-data/", "http://169.254.170.2/", "http://100.64.0.1/",
    "http://100.100.100.200/latest/", "http://198.18.0.1/", "http://192.0.0.192/", "http://192.0.2.1/",
    "http://198.51.100.1/", "http://203.0.113.1/", "http://224.0.0.251/", "http://239.255.255.250/",
    "http://240.0.0.1/", "http://255.255.255.255/", "http://192.88.99.1/",
    "http://[::1]/", "http://[::]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:a9fe:a9fe]/",
    "http://[::ffff:0:127.0.0.1]/", "http://[::127.0.0.1]/", "http://[64:ff9b::169.254.169.254]/",
    "http://[64:ff9b:1::7f00:1]/", "http://[2002:7f00:1::]/", "http://[2002:a9fe:a9fe::1]/",
    "http://[2001:0:7f00:1::80ff:fffe]/", "http://[fe80::1]/", "http://[fc00::1]/", "http://[fd00:ec2::254]/",
    "http://[fec0::1]/", "http://[ff02::1]/", "http://[2001:db8::1]/", "http://[100::1]/", "http://[5f00::1]/",
    "http://127.0.0.1./", "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11/", "http://127\u30020\u30020\u30021/",
    "http://LocalHost/", "http://localhost./", "http://x.localhost/", "http://\u24db\u24de\u24d2alhost/",
]  # fmt: skip
"""What is understood, and refused for where it leads."""

RIDDLES = [
    "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/", "http://0/",
    "http://127.0.0.1.1/", "http://00000127.0.0.1/", "http://[fe80::1%25lo]/", "http://[::1%lo]/",
    "http://[::1]x/", "http://[127.0.0.1]/", "http://%31%32%37.0.0.1/", "http://127.0.0.1%00.example/",
    "http://127.0.0.1\\@hook.example/", "http://hook.example@127.0.0.1/", "http://127.0.0.1#@hook.example/",
    "http:///127.0.0.1/", "http:127.0.0.1", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x",
    "unix:///var/run/docker.sock", "http://127.0.0.1:22/", "http://hook.example:6379/", "http://127.0.0.1\r\n/",
]  # fmt: skip
"""What somebody might read as an internal address, and other schemes and ports."""

ADDRESSES = [
    "127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.9.9", "0.0.0.0", "224.0.0.1", "::1", "::", "fe80::1",
    "fe80::1%eth0", "::ffff:10.0.0.1", "fd00:ec2::254", "64:ff9b::a00:1", "2002:a00:1::", "ff02::1",
]  # fmt: skip
"""What a harmless name may resolve to."""


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int]]]:
    """Every address that a socket of this process was about to connect to."""
    seen: list[tuple[str, int]] = []

    def recorder(real: Callable[[socket.socket, tuple[str, int]], object]) -> Callable[..., object]:
        def connect(self: socket.socket, address: tuple[str, int]) -> object:
            seen.append(address[:2])
            if not address[0].startswith("127."):
                raise ConnectionRefusedError("the recorder lets only loopback through")
            return real(self, address)

        return connect

    monkeypatch.setattr(socket.socket, "connect", recorder(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", recorder(socket.socket.connect_ex))
    return seen


def names(*answers: str) -> Callable[[str, int], list[str]]:
    """A resolver that knows these addresses for every name, and numbers as themselves."""

    def resolver(host: str, port: int) -> list[str]:
        with contextlib.suppress(OSError):
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
            return [str(address[0]) for *_, address in found]
        return list(answers)

    return resolver


def posted(destinations: Destinations, url: str, resolver: Callable[[str, int], list[str]]) -> Outcome:
    return Outbound(destinations, resolver, Timeouts(0.5, 0.1, 0.1)).post(url, b"{}", {}).outcome


def test_there_are_enough_of_them() -> None:
    assert len({*LITERALS, *RIDDLES}) + 2 * len(ADDRESSES) >= 60


@pytest.mark.parametrize("url", LITERALS + RIDDLES)
def test_a_destination_that_is_refused_is_not_connected_to(connects: list[tuple[str, int]], url: str) -> None:
    public = names("93.184.216.34")
    assert posted(Destinations(), url, public) is Outcome.REFUSED
    assert connects == []


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_name_that_leads_inside_is_not_connected_to(connects: list[tuple[str, int]], address: str) -> None:
    for addresses in ([address], ["93.184.216.34", address], [address, "93.184.216.34"]):
        assert posted(Destinations(), "https://hook.example/", names(*addresses)) is Outcome.REFUSED
    assert connects == []


@pytest.mark.parametrize("url", LITERALS)
def test_the_recorder_sees(connects: list[tuple[str, int]], url: str) -> None:
    posted(EVERYTHING, url, names("127.0.0.1"))
    assert len(connects) == 1


def test_a_public_name_is_connected_to_by_the_address_that_was_checked(
    connects: list[tuple[str, int]],
) -> None:
    assert posted(Destinations(), "https://hook.example/", names("93.184.216.34")) is Outcome.RETRY
    assert connects == [("93.184.216.34", 443)]


def test_a_name_that_changes_its_address_gains_nothing(
    receiver: Receiver, connects: list[tuple[str, int]]
) -> None:
    """Public to whoever asks first, internal to whoever asks again: nobody asks again."""
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) % 2 else ["127.0.0.2", "169.254.169.254"]

    outbound = Outbound(Destinations.parse(f"127.0.0.1:{receiver.port}"), rebinding, QUICK)
    url = f"http://hook.example:{receiver.port}/"
    assert outbound.post(url, b"{}", {}).outcome is Outcome.DELIVERED
    assert asked == ["hook.example"]
    assert connects == [("127.0.0.1", receiver.port)]
    assert outbound.post(url, b"{}", {}).outcome is Outcome.REFUSED
    assert len(connects) == len(receiver.requests) == 1


def test_where_the_connection_really_went_is_checked_too(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if something on this machine sent connections elsewhere."""
    monkeypatch.setattr(socket.socket, "getpeername", lambda _self: ("169.254.169.254", receiver.port))
    outbound = Outbound(Destinations.parse(f"127.0.0.1:{receiver.port}"), timeouts=QUICK)
    answered = outbound.post(receiver.url, b"{}", {})
    assert (answered.outcome, answered.status) == (Outcome.REFUSED, None)
    assert "169.254.169.254" in answered.detail
    assert not receiver.requests


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "to", ["http://169.254.169.254/latest/", "http://127.0.0.2/", "/again", "//127.0.0.1/"]
)
def test_a_redirect_is_not_followed(
    receiver: Receiver, outbound: Outbound, connects: list[tuple[str, int]], status: int, to: str
) -> None:
    receiver.always = answer(status, Location=to)
    answered = outbound.post(receiver.url, b"{}", {})
    assert answered.outcome is Outcome.REFUSED
    assert CANARY not in answered.detail
    assert to not in answered.detail
    assert len(connects) == len(receiver.requests) == 1


@pytest.mark.parametrize("port", sorted({1, 22, 25, 53, 6379, 11211, 65535} - PORTS))
def test_no_other_port_is_connected_to(connects: list[tuple[str, int]], port: int) -> None:
    outcome = posted(Destinations(), f"http://hook.example:{port}/", names("93.184.216.34"))
    assert outcome is Outcome.REFUSED
    assert connects == []


def test_a_network_that_the_operator_lists_is_connected_to(
    receiver: Receiver, outbound: Outbound, connects: list[tuple[str, int]]
) -> None:
    assert outbound.post(receiver.url, b"{}", {}).outcome is Outcome.DELIVERED
    assert connects == [("127.0.0.1", receiver.port)]
