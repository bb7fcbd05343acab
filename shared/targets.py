"""What a network scan may be pointed at: targets as data, and the allowance that every address must lie within.

A target is an address, a block in CIDR notation, a range (`192.0.2.10-192.0.2.20`, `192.0.2.10-20`) or a host's name.
Nothing else passes `parse`: no option, no shell character, no zone id. `expand` turns targets into the addresses that are
scanned, each of them checked; a name is resolved there, once, and all its addresses are checked, so that what was checked
is what is scanned.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve: TypeAlias = Callable[[str], Sequence[str]]
"""From a host's name to its addresses, as texts."""

SETTING = "VEDETTE_SCAN_ALLOWED_TARGETS"
MAX_TEXT = 253
"""Characters of a target; no host's name is longer (RFC 1035 section 2.3.4)."""

_CHARACTERS = re.compile(r"[A-Za-z0-9.:/_-]+")
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
# What inet_aton and browsers read as a part of an IPv4 address, however odd: 127.1, 0x7f.1, 2130706433.
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?")


class TargetError(ValueError):
    """A target that cannot be scanned; the message says why."""


class NotAllowedError(TargetError):
    """An address that the installation may not scan."""

    def __init__(self, address: Address, name: str = "") -> None:
        what = f"{address} ({name})" if name else str(address)
        super().__init__(
            f"{what} is not within {SETTING}: whoever runs this installation decides what it may scan"
        )
        self.address = address


class TooManyError(TargetError):
    """More addresses than one scan may have."""


@dataclass(frozen=True)
class Block:
    """Consecutive addresses, both ends included."""

    first: Address
    last: Address

    @property
    def size(self) -> int:
        """How many addresses it holds, however many."""
        return int(self.last) - int(self.first) + 1

    def __iter__(self) -> Iterator[Address]:
        kind = type(self.first)
        return (kind(number) for number in range(int(self.first), int(self.last) + 1))


@dataclass(frozen=True)
class Name:
    """A host's name, to be resolved when the scan runs."""

    text: str


Target: TypeAlias = Block | Name


@dataclass(frozen=True)
class Allowance:
    """The addresses that may be scanned."""

    networks: tuple[Network, ...]

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


@dataclass(frozen=True)
class Limits:
    """What one scan may be pointed at."""

    allowance: Allowance
    addresses: int
    """How many at most."""


def parse_allowance(text: str) -> Allowance:
    """Addresses and CIDR blocks, separated by commas or blanks. Raises ValueError, which names the one that is neither."""
    networks = []
    for each in re.split(r"[,\s]+", text.strip()):
        if not each:
            continue
        try:
            networks.append(ipaddress.ip_network(each))
        except ValueError as error:
            raise ValueError(f"{each!r} is neither an address nor a CIDR block: {error}") from None
    return Allowance(tuple(networks))


def parse(text: str) -> Target:
    """What a target's text means. Raises TargetError where it is no target."""
    if not text or len(text) > MAX_TEXT:
        raise TargetError(f"a target has 1 to {MAX_TEXT} characters")
    if "%" in text:
        raise TargetError(
            "an address with a zone id belongs to one link of one machine and cannot be scanned"
        )
    if not text.isascii():
        raise TargetError("write the name in its ASCII form (xn--...)")
    if _CHARACTERS.fullmatch(text) is None:
        raise TargetError("it holds a character that no address and no host's name has")
    block = _block(text)
    if block is not None:
        return block
    if _NUMERIC_END.fullmatch(text):
        raise TargetError("it is no address, and no host's name ends in a number")
    if _NAME.fullmatch(text) is None:
        raise TargetError("it is neither an address, a CIDR block, a range of addresses nor a host's name")
    return Name(text.rstrip(".").lower())


def expand(targets: Iterable[Target], resolve: Resolve, limits: Limits) -> dict[Address, list[str]]:
    """Every address of the targets, each once and checked, with the names under which it was asked for.

    Raises TooManyError before a range beyond the limit is walked, NotAllowedError for the first address outside the
    allowance, and TargetError for a name without a usable address.
    """
    found: dict[Address, list[str]] = {}
    for target in targets:
        if isinstance(target, Name):
            for address in _resolved(target.text, resolve):
                _take(found, address, limits, target.text)
        else:
            check(target, limits)
            for address in target:
                _take(found, address, limits)
    return found


def check(target: Target, limits: Limits) -> None:
    """Check what can be checked of one target without any look-up. Raises TooManyError and NotAllowedError."""
    if isinstance(target, Name):
        return
    if target.size > limits.addresses:
        raise TooManyError(f"it holds {target.size:,} addresses; {_at_most(limits)}")
    for address in target:
        _check(plain(address), limits)


def plain(address: Address) -> Address:
    """The IPv4 address that an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) really is; others as they are."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _take(found: dict[Address, list[str]], address: Address, limits: Limits, name: str = "") -> None:
    address = plain(address)
    _check(address, limits, name)
    names = found.setdefault(address, [])
    if name and name not in names:
        names.append(name)
    if len(found) > limits.addresses:
        raise TooManyError(f"the targets hold more; {_at_most(limits)}")


def _check(address: Address, limits: Limits, name: str = "") -> None:
    if address not in limits.allowance:
        raise NotAllowedError(address, name)


def _at_most(limits: Limits) -> str:
    return f"a scan may have {limits.addresses:,} addresses (VEDETTE_SCAN_MAX_ADDRESSES)"


def _resolved(name: str, resolve: Resolve) -> list[Address]:
    texts = resolve(name)
    if not texts:
        raise TargetError(f"{name} has no address")
    try:
        if any("%" in text for text in texts):
            raise ValueError
        return [ipaddress.ip_address(text) for text in texts]
    except ValueError:
        raise TargetError(f"{name} has an address that cannot be scanned: {', '.join(texts)}") from None


def _block(text: str) -> Block | None:
    """The text as one address, a CIDR block or a range; None when it is none of them."""
    first, dash, last = text.partition("-")
    try:
        if "/" in text:
            return _cidr(text)
        start = ipaddress.ip_address(first)
        if not dash:
            return Block(start, start)
    except ValueError:
        return None
    return _range(start, last)


def _cidr(text: str) -> Block:
    address, _, prefix = text.partition("/")
    if not re.fullmatch(r"[0-9]{1,3}", prefix):
        raise TargetError("behind the slash stands how many bits the addresses have in common, such as /24")
    try:
        network = ipaddress.ip_network(f"{address}/{prefix}", strict=False)
    except ValueError as error:
        raise TargetError(f"it is no CIDR block: {error}") from None
    return Block(network.network_address, network.broadcast_address)


def _range(start: Address, last: str) -> Block:
    whole = (
        last
        if "." in last or ":" in last or start.version != 4
        else f"{str(start).rpartition('.')[0]}.{last}"
    )
    try:
        end = ipaddress.ip_address(whole)
    except ValueError:
        raise TargetError(f"the range ends in {last!r}, which is no address") from None
    if end.version != start.version or int(end) < int(start):
        raise TargetError("the range ends before it begins")
    return Block(start, end)
