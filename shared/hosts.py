"""Hosts of a network asset: what a report of nmap changes of what is known about them.

A host is known by its address. Only what a report observed replaces what was known before: the ports that it looked at, on
hosts that answered and were looked at to the end. A host that did not answer, and a port that gave none, keep what they
had, and with it their findings: silence does not prove that anything was mended.
"""

import datetime as dt
import ipaddress
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database, inventory
from shared.matching import cpe
from shared.matching.component import Component
from shared.models.asset import Host, InventorySource
from shared.models.base import Document
from shared.nmap.components import components
from shared.nmap.report import Host as Reported
from shared.nmap.report import Port, Report

LISTED = 1_000
"""Addresses or ports that a run's account names; the counts are of all."""

_KINDS = {"a": "application", "o": "operating-system", "h": "device"}


@dataclass
class Seen:
    """What a report came to, beside the components."""

    up: int = 0
    down: list[str] = field(default_factory=list)
    """Addresses that gave no sign of life."""
    unfinished: list[str] = field(default_factory=list)
    """Addresses that were not looked at to the end."""
    reason: str = ""
    """Why some were not."""
    opened: list[str] = field(default_factory=list)
    """Ports that were not known to be open (`192.0.2.7 22/tcp`)."""
    closed: list[str] = field(default_factory=list)
    """Ports that were open and are closed now."""

    def document(self) -> Document:
        """As it is kept with the run: counts, and the first of each kind by name."""
        listed = {name: getattr(self, name) for name in ("down", "unfinished", "opened", "closed")}
        counts = {name: len(values) for name, values in listed.items()}
        names = {name: values[:LISTED] for name, values in listed.items()}
        return {"up": self.up, **counts, "reason": self.reason or None, "names": names}


def merged(stored: Iterable[Component], report: Report) -> list[Component]:
    """The network's components after a report: what it observed in the place of what it looked at, the rest as it was."""
    observed = _observed(report)
    kept = [
        each
        for each in stored
        if each.host not in observed or not _is_settled(each, observed[each.host], report)
    ]
    told = [each for host in observed.values() for each in components(host)]
    found = dict.fromkeys([*kept, *told])  # what nmap tells again is the same component
    return sorted(found, key=lambda each: (_order(each.host), _port_order(each.port)))


def record(
    session: Session, asset_id: uuid.UUID, report: Report, asked: Mapping[str, Sequence[str]] | None = None
) -> Seen:
    """Bring an asset's hosts and components to what a report observed.

    `asked` are the addresses that the scan was to look at, with the names under which they were asked for; None when the
    report itself is all that is known.
    """
    seen = Seen()
    now = database.now(session)
    standing = {
        host.address: host for host in session.scalars(sa.select(Host).where(Host.asset_id == asset_id))
    }
    for told in _last_of_each(report).values():
        if told.up and told.timed_out:
            seen.unfinished.append(told.address)
        elif not told.up:
            seen.down.append(told.address)
        else:
            names = (asked or {}).get(told.address, ())
            _update(
                session,
                standing.get(told.address) or _new(session, asset_id, told, now),
                told,
                report,
                seen,
                names,
            )
    if asked is not None:
        told_of = {host.address for host in report.hosts}
        seen.unfinished += [address for address in asked if address not in told_of]
    stored = inventory.load(session, asset_id, [InventorySource.NETWORK])
    rows = [_row(each) for each in merged(stored, report)]
    inventory.replace(session, asset_id, InventorySource.NETWORK, rows)
    session.flush()
    return seen


def forget(session: Session, asset_id: uuid.UUID, address: str) -> bool:
    """Remove a host with its components; whether there was one. Its findings close with the next run."""
    gone = session.execute(
        sa.delete(Host).where(Host.asset_id == asset_id, Host.address == address).returning(Host.id)
    ).all()
    stored = inventory.load(session, asset_id, [InventorySource.NETWORK])
    rows = [_row(each) for each in stored if each.host != address]
    inventory.replace(session, asset_id, InventorySource.NETWORK, rows)
    return bool(gone)


def _last_of_each(report: Report) -> dict[str, Reported]:
    """The hosts by address; of one that is told twice, the last."""
    return {host.address: host for host in report.hosts}


def _observed(report: Report) -> dict[str, Reported]:
    return {address: host for address, host in _last_of_each(report).items() if host.observed}


def _is_settled(component: Component, host: Reported, report: Report) -> bool:
    """Whether the report says what is now where the component was: something, or nothing."""
    if not component.port:
        return host.os_looked_at
    number, _, protocol = component.port.partition("/")
    return _is_answered(host, report, protocol, int(number))


def _is_answered(host: Reported, report: Report, protocol: str, number: int) -> bool:
    """Whether a port was looked at and answered: open, or closed."""
    for port in host.ports:
        if (port.protocol, port.number) == (protocol, number):
            return port.state in ("open", "closed")
    scanned = report.scanned.get(protocol)
    return scanned is not None and number in scanned and host.is_closed(protocol, number)


def _new(session: Session, asset_id: uuid.UUID, told: Reported, now: dt.datetime) -> Host:
    host = Host(
        asset_id=asset_id, address=told.address, names=[], ports=[], first_seen_at=now, last_seen_at=now
    )
    session.add(host)
    return host


def _update(
    session: Session, host: Host, told: Reported, report: Report, seen: Seen, names: Collection[str]
) -> None:
    """Note an observed host: its names, which of its ports are open, and which of them were not, or are no more."""
    now = database.now(session)
    seen.up += 1
    known: dict[str, Document] = {each["port"]: each for each in host.ports}
    for port in told.ports:
        if port.state == "open":
            before = known.get(port.label)
            known[port.label] = _open_port(port, before, now)
            if before is None or not before["open"]:
                seen.opened.append(f"{host.address} {port.label}")
    for label, before in known.items():
        number, _, protocol = label.partition("/")
        if before["open"] and _is_answered(told, report, protocol, int(number)) and not _is_open(told, label):
            known[label] = {**before, "open": False, "closed_at": now.isoformat()}
            seen.closed.append(f"{host.address} {label}")
    host.names = list(dict.fromkeys([*names, *told.names])) or host.names
    host.ports = [known[label] for label in sorted(known, key=_port_order)]
    host.last_seen_at = now


def _is_open(told: Reported, label: str) -> bool:
    return any(port.label == label and port.state == "open" for port in told.ports)


def _open_port(port: Port, before: Document | None, now: dt.datetime) -> Document:
    since = before["opened_at"] if before is not None and before["open"] else now.isoformat()
    return {
        "port": port.label,
        "service": port.service.name or None,
        "banner": port.service.banner or None,
        "open": True,
        "opened_at": since,
        "closed_at": None,
    }


def _row(component: Component) -> dict[str, Any]:
    """A component as its row."""
    part = cpe.parse(component.cpes[0]).part if component.cpes else "a"
    return {
        "name": component.name,
        "version": component.version or None,
        "vendor": None,
        "type": _KINDS.get(part, "application"),
        "purl": component.purl,
        "cpes": list(component.cpes),
        "host": component.host,
        "port": component.port,
        "at_most": component.at_most,
        "because": component.because,
    }


def _order(address: str) -> tuple[int, int]:
    """Addresses by number, IPv4 first."""
    read = ipaddress.ip_address(address)
    return read.version, int(read)


def _port_order(label: str) -> tuple[str, int]:
    number, _, protocol = label.partition("/")
    return protocol, int(number or 0)
