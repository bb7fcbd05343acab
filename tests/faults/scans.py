"""Scans for the bench: a small mirror, assets with some of the sample's components, and what their findings are."""

import uuid
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from shared import database, inventory
from shared.models.asset import InventorySource
from shared.models.finding import Finding, FindingEvent
from shared.models.scan import Run, ScannerKind
from shared.sbom import read
from shared.tasks import IMPORT_NVD_FEED, ask
from tests.builders import add_scan
from tests.faults.bench import Bench, Client

SAMPLE = Path(str(resources.files("shared.sample")))
KINDS = 8
"""Different inventories."""


@dataclass(frozen=True)
class Target:
    """A scan to be started: its id, and which of the inventories its asset has."""

    scan_id: str
    asset_id: uuid.UUID
    kind: int


def add_targets(bench: Bench, number: int) -> list[Target]:
    """Scans on assets of their own, whose inventories are `KINDS` parts of the sample, one after another."""
    components = [
        {
            "name": each.name,
            "version": each.version,
            "vendor": None,
            "type": None,
            "purl": each.purl,
            "cpes": list(each.cpes),
        }
        for each in read((SAMPLE / "sbom.cdx.json").read_bytes()).components
    ]
    parts = [components[kind::KINDS] + components[:kind] for kind in range(KINDS)]
    targets = []
    with database.transaction(bench.sessions) as session:
        for position in range(number):
            scan = add_scan(session, ScannerKind.INVENTORY)
            kind = position % KINDS
            inventory.replace(session, scan.asset_id, InventorySource.INVENTORY, parts[kind])
            targets.append(Target(str(scan.id), scan.asset_id, kind))
    return targets


def start(client: Client, target: Target, **headers: str) -> Any:
    """Start a scan; the answer, or None when there was none."""
    return client.call("POST", f"/vulnerabilities/scans/{target.scan_id}/start", **headers)


def runs(bench: Bench) -> dict[str, list[Run]]:
    """The runs of every scan, oldest first."""
    found: dict[str, list[Run]] = {}
    with database.reading(bench.sessions) as session:
        for run in session.scalars(sa.select(Run).order_by(Run.created_at)):
            found.setdefault(str(run.scan_id), []).append(run)
    return found


Facts = frozenset[tuple[object, ...]]


def findings(bench: Bench) -> dict[uuid.UUID, Facts]:
    """What each asset's findings say, with their histories, but for ids and times."""
    found: dict[uuid.UUID, set[tuple[object, ...]]] = {}
    with database.reading(bench.sessions) as session:
        events: dict[uuid.UUID, list[str]] = {}
        for finding_id, kind in session.execute(
            sa.select(FindingEvent.finding_id, FindingEvent.kind).order_by(FindingEvent.id)
        ):
            events.setdefault(finding_id, []).append(kind)
        for each in session.scalars(sa.select(Finding)):
            facts = (
                each.component_key,
                each.component_version,
                each.cve_id,
                each.certainty,
                each.severity,
                each.status,
                str(each.evidence),
                tuple(events.get(each.id, ())),
            )
            found.setdefault(each.asset_id, set()).add(facts)
    return {asset_id: frozenset(facts) for asset_id, facts in found.items()}


def undisturbed(bench: Bench, client: Client) -> list[Facts]:
    """Fill the mirror with the sample's feed; what the findings of each kind of inventory are when nobody disturbs."""
    worker = bench.worker()
    with database.transaction(bench.sessions) as session:
        ask(session, IMPORT_NVD_FEED, path=str(SAMPLE / "feed.json"))
    assert bench.drain()
    targets = add_targets(bench, KINDS)
    for target in targets:
        client.must("POST", f"/vulnerabilities/scans/{target.scan_id}/start")
    assert bench.drain()
    bench.kill(worker)  # which does nothing any more
    found = findings(bench)
    assert all(found.get(target.asset_id) for target in targets), "every part of the sample has findings"
    return [found[target.asset_id] for target in targets]
