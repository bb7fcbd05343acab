"""The `network` scanner: what answers at the scan's targets, by nmap; without targets, what was uploaded."""

import ipaddress
import socket
import time
from collections.abc import Mapping, Sequence

import structlog
from sqlalchemy.orm import Session

from shared import hosts, inventory, targets
from shared.errors import Permanent, Transient
from shared.models.asset import InventorySource
from shared.models.base import Document
from shared.models.scan import Scan
from shared.nmap import options as nmap_options
from shared.nmap import program
from shared.nmap.options import OptionError, Options
from shared.nmap.report import Report
from worker_service.clients import nmap
from worker_service.scanners.scanner import Collected
from worker_service.tasks import Work

log = structlog.get_logger(__name__)

SOURCE = InventorySource.NETWORK

HOST_SECONDS = 900
"""How long nmap may stay with one host; one that dawdles counts as not finished."""

Asked = Mapping[targets.Address, Sequence[str]]
"""Addresses to look at, with the names under which they were asked for."""


def collect(work: Work, scan: Scan) -> Collected:
    """What answers, in the place of what was known of the same ports; what did not answer stays as it was.

    Raises Permanent for options that cannot be used, addresses that may not be scanned, and when nmap is missing.
    """
    try:
        options = nmap_options.read(scan.options)
        wanted = nmap_options.parse_targets(options)
    except OptionError as error:
        raise Permanent(f"The option cannot be used: {error}") from None
    with work.reading() as session:
        stored = inventory.load(session, scan.asset_id, [SOURCE])
    if not wanted:
        if not stored:
            raise Permanent(
                "There is nothing to scan: name targets, or PUT a report to /assets/{id}/nmap first."
            )
        return Collected(stored)
    if program.find() is None:
        raise Permanent(program.MISSING)
    asked = _addresses(work, scan, wanted)
    report, reason = _scan(work, options, asked)
    names = {str(address): list(given) for address, given in asked.items()}

    def keep(session: Session) -> Document:
        seen = hosts.record(session, scan.asset_id, report, names)
        seen.reason = reason
        return seen.document()

    return Collected(hosts.merged(stored, report), keep)


def _addresses(work: Work, scan: Scan, wanted: Sequence[targets.Target]) -> Asked:
    """The addresses of the targets, names resolved, each within the allowance. Raises Permanent, and logs who wanted more."""
    try:
        return targets.expand(wanted, resolve, work.settings.scan_limits)
    except targets.NotAllowedError as error:
        log.warning(
            "scan_target_refused", address=str(error.address), scan_id=str(scan.id), setting=targets.SETTING
        )
        raise Permanent(f"A target may not be scanned: {error}.") from None
    except targets.TargetError as error:
        raise Permanent(f"A target cannot be scanned: {error}.") from None


def resolve(name: str) -> list[str]:
    """All addresses of a host's name. Raises Transient while the resolver does not answer, TargetError for no such name."""
    try:
        told = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise Transient(f"{name} cannot be resolved for now: {error.strerror}") from None
        raise targets.TargetError(f"{name} cannot be resolved: {error.strerror}") from None
    except UnicodeError:
        raise targets.TargetError(f"{name} is no host's name") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in told))


def _scan(work: Work, options: Options, asked: Asked) -> tuple[Report, str]:
    """Run nmap over the IPv4 and the IPv6 addresses, one after the other: it takes only one kind at a time.

    Raises Permanent when it may not do what was asked, or the time was up before any host was finished, and Transient when
    it failed before.
    """
    raw = nmap.may_use_raw_sockets()
    if options.needs_raw_sockets and not raw:
        raise Permanent(
            "`syn`, `udp` and `os` need the right to raw sockets (CAP_NET_RAW), which the worker does not have."
        )
    whole = Report(finished=True)
    deadline = time.monotonic() + work.settings.scan_seconds
    reasons = []
    for version in (4, 6):
        addresses = [str(address) for address in asked if address.version == version]
        if not addresses:
            continue
        arguments = nmap_options.arguments(options, ipv6=version == 6, raw=raw, host_seconds=HOST_SECONDS)
        outcome = nmap.scan(
            arguments,
            addresses,
            max(0.0, deadline - time.monotonic()),
            _Checkpoint(work, len(whole.hosts), len(asked)),
        )
        _add(whole, outcome.report, asked)
        reasons += [outcome.reason] if outcome.reason else []
    reason = "; ".join(reasons)
    if reason and not any(host.observed for host in whole.hosts):
        if time.monotonic() >= deadline:
            raise Permanent(f"No host was finished: {reason}.")
        raise Transient(f"No host was finished: {reason}.")
    work.progress("scanning", len(whole.hosts), len(asked))
    return whole, reason


def _add(whole: Report, part: Report, asked: Asked) -> None:
    """Join a report to another; of hosts that nobody asked for nothing is believed."""
    whole.hosts += [host for host in part.hosts if ipaddress.ip_address(host.address) in asked]
    for protocol, ports in part.scanned.items():
        whole.scanned[protocol] = whole.scanned[protocol] | ports if protocol in whole.scanned else ports
    whole.finished = whole.finished and part.finished


class _Checkpoint:
    """Looks for a cancel whenever it is called, and tells progress when there is some."""

    def __init__(self, work: Work, before: int, total: int) -> None:
        self._work = work
        self._before = before
        self._total = total
        self._told = -1

    def __call__(self, hosts: int) -> None:
        if hosts == self._told:
            self._work.raise_if_cancelled()
            return
        self._told = hosts
        self._work.progress("scanning", min(self._before + hosts, self._total), self._total)
