"""A network scan's options, and the one place where they become arguments of nmap.

What a user writes is read into numbers, enums and booleans first; the arguments are made of those. Targets are not among
them at all: nmap reads checked addresses from its standard input.
"""

import enum
from typing import Any

import msgspec

from shared import targets
from shared.nmap import ports

MAX_TARGETS = 1_000
"""Targets of one scan; each may be a block."""
DISCOVERY_PORTS = "21-23,25,53,80,110,135,139,143,443,445,993,3306,3389,5432,5900,8000,8080,8443"
"""Where a host is asked for a sign of life; an answer from any of them, a refusal included, is one."""
HOSTS_AT_ONCE = 32
"""Hosts in one of nmap's groups: it reports a group when the whole group is done."""


class OptionError(ValueError):
    """An option that cannot be used: `where` it stands among the options (`targets.3`) and why."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}" if where else why)
        self.where = where
        self.why = why


class Technique(enum.StrEnum):
    """How ports are tried."""

    CONNECT = "connect"
    """A whole connection, as any program may open one."""
    SYN = "syn"
    """Half a connection; needs the right to raw sockets."""


class Timing(enum.StrEnum):
    """How fast; nmap's timing templates."""

    POLITE = "polite"
    NORMAL = "normal"
    AGGRESSIVE = "aggressive"


_TEMPLATES = {Timing.POLITE: "-T2", Timing.NORMAL: "-T3", Timing.AGGRESSIVE: "-T4"}


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a network scan is asked to do."""

    targets: tuple[str, ...] = ()
    """Empty: nothing is scanned, what was uploaded last is matched again."""
    ports: str = "top-100"
    technique: Technique = Technique.CONNECT
    timing: Timing = Timing.NORMAL
    udp: bool = False
    """The same ports by UDP as well; needs the right to raw sockets."""
    os: bool = False
    """Guess the operating system; needs the right to raw sockets."""
    assume_up: bool = False
    """Scan hosts that give no sign of life, too."""

    @property
    def needs_raw_sockets(self) -> bool:
        """Whether an ordinary user cannot do this."""
        return self.udp or self.os or self.technique is Technique.SYN


def read(document: dict[str, Any]) -> Options:
    """Options as they are stored with a scan. Raises OptionError for the first that cannot be used."""
    try:
        options = msgspec.convert(document, Options)
    except msgspec.ValidationError as error:
        why, _, path = str(error).partition(" - at ")
        raise OptionError(
            path.strip("`").removeprefix("$").replace("[", ".").replace("]", "").strip("."), why
        ) from None
    parse_targets(options)
    _ports(options)
    return options


def parse_targets(options: Options) -> list[targets.Target]:
    """The targets. Raises OptionError."""
    if len(options.targets) > MAX_TARGETS:
        raise OptionError("targets", f"a scan may have {MAX_TARGETS:,} targets, not {len(options.targets):,}")
    found = []
    for index, text in enumerate(options.targets):
        try:
            found.append(targets.parse(text))
        except targets.TargetError as error:
            raise OptionError(f"targets.{index}", f"{text[:80]!r} cannot be scanned: {error}") from None
    return found


def arguments(options: Options, *, ipv6: bool, raw: bool, host_seconds: int) -> list[str]:
    """nmap's arguments: XML to standard output, addresses from standard input.

    `raw` says whether the process may use raw sockets; `host_seconds` is what one host may take. Raises OptionError.
    """
    asked = _ports(options)
    found = ["-n", "-sV", "-v", "--no-stylesheet", "--stats-every", "1s"]
    found += ["--privileged"] if raw and options.needs_raw_sockets else ["--unprivileged"]
    found.append("-sS" if options.technique is Technique.SYN else "-sT")
    if options.udp:
        found.append("-sU")
    if options.os:
        found.append("-O")
    if ipv6:
        found.append("-6")
    found += ["-Pn"] if options.assume_up else [f"-PS{DISCOVERY_PORTS}"]
    found += ["--top-ports", str(asked)] if isinstance(asked, int) else ["-p", str(asked)]
    found += [_TEMPLATES[options.timing], "--max-hostgroup", str(HOSTS_AT_ONCE)]
    found += ["--host-timeout", f"{host_seconds:d}s", "-oX", "-", "-iL", "-"]
    return found


def _ports(options: Options) -> ports.Ports | int:
    try:
        return ports.parse(options.ports)
    except ports.PortsError as error:
        raise OptionError("ports", str(error)) from None
