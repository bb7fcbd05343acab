"""Where messages may go: the one rule for URLs, network addresses and mail addresses that users give.

Users name receivers, and the worker connects to them from inside somebody's network; so a receiver must be on the public
Internet unless the operator says otherwise (`VEDETTE_ALLOWED_DESTINATIONS`). `check_url` is asked when a channel is written
and again before sending, `check_address` with every address that a name resolves to and with the one that was connected to.
The rule refuses what it does not know: an IPv6 address outside the global unicast range, a number that only some resolvers
read as an IPv4 address.

The special ranges are those of IANA's registries (RFC 6890):
https://www.iana.org/assignments/iana-ipv4-special-registry and .../iana-ipv6-special-registry.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self
from urllib.parse import SplitResult, urlsplit

import idna

from shared.errors import Forbidden, Invalid

SETTING = "VEDETTE_ALLOWED_DESTINATIONS"
PORTS = frozenset({80, 443, 8080, 8443})
"""Where receivers listen, unless the setting names other ports."""
LONGEST_URL = 2048
LONGEST_MAIL_ADDRESS = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_DEFAULT_PORTS = {"http": 80, "https": 443}


_WRAPPED = "an IPv4 address in another form"


def _networks(rows: Iterable[tuple[str, str]]) -> tuple[tuple[Network, str], ...]:
    return tuple((ipaddress.ip_network(text), kind) for text, kind in rows)


_SPECIAL = _networks(
    [
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a provider's customers"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),  # the metadata services of clouds among them
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.31.196.0/24", "reserved"),
        ("192.52.193.0/24", "reserved"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", _WRAPPED),
        ("::ffff:0:0:0/96", _WRAPPED),
        ("::/96", _WRAPPED),
        ("64:ff9b::/96", _WRAPPED),
        ("64:ff9b:1::/48", _WRAPPED),
        ("2001::/32", "a Teredo tunnel"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "a 6to4 tunnel"),
        ("2620:4f:8000::/48", "reserved"),
        ("3fff::/20", "for documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
    ]
)
_WRAPPERS = tuple(ipaddress.ip_network(text) for text in ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
_GLOBAL = ipaddress.ip_network("2000::/3")
"""The only part of IPv6 from which public addresses are given out."""

_ENTRY = re.compile(
    r"(?P<v4>[0-9./]+)(?::(?P<port4>[0-9]+|\*))?|(?P<plain6>[0-9A-Fa-f:.]*::?[0-9A-Fa-f:.]*(?:/[0-9]+)?)|"
    r"\[(?P<v6>[0-9A-Fa-f:.]+(?:/[0-9]+)?)\](?::(?P<port6>[0-9]+|\*))?"
)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_DOT_ATOM = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
"""A mailbox without quotes (RFC 5322 section 3.2.3)."""
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCALHOST = ("127.0.0.1", "::1")


class Allowing(Protocol):
    """The settings this rule reads."""

    @property
    def allowed_destinations(self) -> str:
        """See SETTING."""


@dataclass(frozen=True)
class Allowed:
    """One entry of the setting: a network, and the port it is about."""

    network: Network
    port: int | None = None
    """None: the usual PORTS."""
    any_port: bool = False

    def admits(self, port: int) -> bool:
        """Whether this entry is about `port`."""
        return self.any_port or (port in PORTS if self.port is None else port == self.port)


@dataclass(frozen=True)
class Destinations:
    """The rule, with what the operator allows beyond the public Internet."""

    allowed: tuple[Allowed, ...] = ()

    @classmethod
    def of(cls, settings: Allowing) -> Self:
        """The rule of an installation."""
        return cls.parse(settings.allowed_destinations)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the setting: networks or addresses, comma separated, each with `:port` or `:*` if it is about others than PORTS.

        Raises Invalid, which counts to the entry that is wrong and does not show it: it may be anything.
        """
        entries = [each.strip() for each in text.split(",")]
        return cls(tuple(_entry(each, place) for place, each in enumerate(entries, 1) if each))

    def check_url(self, url: str, field: str = "target") -> None:
        """Refuse a URL that no message may be sent to, whatever its name resolves to.

        Raises Invalid with what is wrong, under the name of the `field` that holds the URL.
        """
        try:
            parts = split_url(url)
            port = port_of(parts)
            if not self._port_is_usual(port):
                raise Invalid(
                    f"Port {port} is not one that messages are sent to ({_listed(PORTS)}; {SETTING} adds others)."
                )
            host = host_of(parts)
            literal = _literal(host)
            names = [str(literal)] if literal else list(_LOCALHOST) if _is_localhost(host) else []
            if names and not any(self.admits(name, port) for name in names):
                self.check_address(names[0], port)
        except (Invalid, Forbidden) as error:
            raise Invalid(error.detail, {field: [error.detail]}) from None

    def check_address(self, address: str, port: int) -> None:
        """Refuse an address that nothing may be sent to. Raises Forbidden, naming the address and the setting."""
        kind = _kind(address)
        known = _parse(address)
        if known is not None and any(known in each.network and each.admits(port) for each in self.allowed):
            inner = _wrapped(known)
            return self.check_address(str(inner), port) if inner else None
        if kind is not None:
            raise Forbidden(
                f"{address} is no public address ({kind}); {SETTING} would have to list its network."
            )
        if port not in PORTS:
            raise Forbidden(f"Nothing is sent to port {port} of {address} unless {SETTING} lists it.")
        return None

    def admits(self, address: str, port: int) -> bool:
        """Whether `check_address` lets it pass."""
        try:
            self.check_address(address, port)
        except Forbidden:
            return False
        return True

    def _port_is_usual(self, port: int) -> bool:
        return port in PORTS or any(each.admits(port) for each in self.allowed)


def split_url(url: str) -> SplitResult:
    """The parts of an http or https URL with a host and without a user. Raises Invalid."""
    if len(url) > LONGEST_URL:
        raise Invalid(f"The URL is longer than {LONGEST_URL} characters.")
    if not url.isprintable() or " " in url or "\\" in url:
        raise Invalid("The URL has a character that no URL has: a space, a control character or a backslash.")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Invalid("The URL cannot be read.") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise Invalid("The URL must begin with https:// or http://.")
    if "@" in parts.netloc:
        raise Invalid("The URL must not hold a user or password.")
    if not parts.hostname:
        raise Invalid("The URL names no host.")
    return parts


def port_of(parts: SplitResult) -> int:
    """The port that a URL leads to. Raises Invalid."""
    try:
        port = parts.port
    except ValueError:
        raise Invalid("The URL's port is no port.") from None
    if port == 0:
        raise Invalid("The URL's port is no port.")
    return port or _DEFAULT_PORTS[parts.scheme]


def host_of(parts: SplitResult) -> str:
    """The host as it is resolved, named in TLS and sent in `Host`: ASCII, lower case, without a last dot; IPv6 bare.

    Raises Invalid for what is neither a name nor an address in its usual notation.
    """
    host = parts.hostname or ""
    if "[" in parts.netloc:
        return _ipv6(host)
    if ":" in host or "%" in host:
        raise Invalid("The URL's host is no name.")
    host = _ascii(host)
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):  # some resolvers read 127.1, 0x7f000001 and 017700000001 as addresses
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise Invalid("An address in the URL must be written as four decimal numbers.") from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Invalid("The URL's host is no name.")
    return host


def check_mail_address(address: str, field: str = "target") -> None:
    """Refuse what is not one plain mail address. Raises Invalid under the name of `field`."""
    try:
        if len(address) > LONGEST_MAIL_ADDRESS:
            raise Invalid(f"The address is longer than {LONGEST_MAIL_ADDRESS} characters.")
        mail_address(address)
    except Invalid as error:
        raise Invalid(error.detail, {field: [error.detail]}) from None


def mail_address(address: str) -> str:
    """A mail address as it is sent: its domain in ASCII. Raises Invalid when it is not one plain address."""
    local, _, domain = address.rpartition("@")
    try:
        domain = _ascii(domain)
    except Invalid:
        domain = ""
    if not _DOT_ATOM.fullmatch(local) or not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        raise Invalid("This is not one plain mail address, like ada@example.org.")
    return f"{local}@{domain}"


def _ascii(host: str) -> str:
    """A host name in ASCII (UTS 46: full-width digits and ideographic dots become plain ones), without its last dot."""
    try:
        text = host.lower() if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise Invalid("The host's name is not one that can exist.") from None
    text = text.removesuffix(".")
    if not text:
        raise Invalid("There is no host.")
    return text


def _ipv6(host: str) -> str:
    if "%" in host:
        raise Invalid("An address in the URL must not have a zone.")
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        raise Invalid("The URL's host is no IPv6 address.") from None


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _parse(address: str) -> Address | None:
    """An address without a zone; None for anything else."""
    return None if "%" in address else _literal(address)


def _wrapped(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address in the last 32 bits of an IPv6 one, as of a translator (NAT64) that the operator allows."""
    if any(address in network for network in _WRAPPERS):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _kind(address: str) -> str | None:
    """What is special about an address, None when it is public."""
    known = _parse(address)
    if known is None:
        return "with a zone, or no address"
    for network, kind in _SPECIAL:
        if known in network:
            return kind
    return None if known.version == 4 or known in _GLOBAL else "reserved"


def _is_localhost(host: str) -> bool:
    """Names that mean this machine wherever they are asked for (RFC 6761 section 6.3)."""
    return host == "localhost" or host.endswith(".localhost")


def _entry(text: str, place: int) -> Allowed:
    wrong = Invalid(f"entry {place} is no network like 10.0.0.0/8, 10.1.2.3:9000 or [fd00::/8]:9000")
    found = _ENTRY.fullmatch(text)
    if found is None:
        raise wrong
    port = found["port4"] or found["port6"]
    try:
        network = ipaddress.ip_network(found["v4"] or found["v6"] or found["plain6"])
    except ValueError:
        raise wrong from None
    if port is None or port == "*":
        return Allowed(network, any_port=port == "*")
    if not 0 < int(port) < 65536:
        raise wrong
    return Allowed(network, int(port))


def _listed(ports: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(ports)))
