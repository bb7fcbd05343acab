"""Executing a scan: collect components, match them against the mirror, record what was observed."""

import uuid
from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session

from shared import database, inventory, mirror
from shared.errors import Permanent
from shared.lifecycle import finding, run, summary
from shared.matching.certainty import rank
from shared.matching.component import Component
from shared.models.asset import InventorySource
from shared.models.base import Document
from shared.models.finding import Severity
from shared.models.scan import Run, Scan, Trigger
from shared.tasks import SEND_SCAN_COMPLETION, Asking, ask
from worker_service.scanners import SCANNERS
from worker_service.scanners.scanner import nothing_new
from worker_service.tasks import Effect, Work

MAX_EVIDENCE = 20
"""Occurrences of one component whose evidence is kept with a finding; the rest would say the same."""


def execute(work: Work, run_id: str) -> Effect:
    """Do a run: stages `collecting`, `matching`, `recording`, in components, candidates (or hosts) and findings.

    A network scan is `scanning` in between, in addresses.

    Raises Permanent when the scan was deleted, or its asset has nothing to scan.
    """
    with work.reading() as session:
        the_run = session.get(Run, uuid.UUID(run_id))
        scan = session.get(Scan, the_run.scan_id) if the_run else None
    if the_run is None or scan is None:
        raise Permanent("The scan was deleted.")
    keep: Callable[[Session], Document | None]
    if the_run.trigger == Trigger.MIRROR:
        components, keep = _inventory(work, scan), nothing_new
    else:
        components, keep = _collect(work, scan)
    result = _match(work, components)
    keys = [finding.component_key(each) for each in components]
    observed = _observed(components, keys, result)
    present = _present(components, keys)
    work.progress("recording", 0, len(observed))

    def record(session: Session) -> Document:
        frame = finding.Recording(scan.asset_id, the_run.id, result.snapshot, present)
        network = keep(session)
        counts = {"components": len(components), **finding.record(session, frame, observed)}
        _end(session, the_run.id, counts, result.snapshot, network)
        return counts

    return record


def _collect(work: Work, scan: Scan) -> tuple[list[Component], Callable[[Session], Document | None]]:
    """What the scanner finds now, and what the asset's other sources hold: matching looks at the whole set.

    And what writes down what the scanner found.
    """
    work.progress("collecting", 0)
    scanner = SCANNERS[scan.scanner]
    collected = scanner.collect(work, scan)
    components = list(collected.components)
    others = [source for source in InventorySource if source != scanner.SOURCE]
    with work.reading() as session:
        components += inventory.load(session, scan.asset_id, others)
    work.progress("collecting", len(components), len(components))
    return components, collected.keep


def _inventory(work: Work, scan: Scan) -> list[Component]:
    """What is known of the asset already: of news about the mirror only the matching is new."""
    with work.reading() as session:
        components = inventory.load(session, scan.asset_id, InventorySource)
    work.progress("collecting", len(components), len(components))
    return components


def _match(work: Work, components: Sequence[Component]) -> mirror.MatchResult:
    with work.reading() as session:
        return mirror.match(
            session, components, on_progress=lambda current, total: work.progress("matching", current, total)
        )


def _present(components: Sequence[Component], keys: Sequence[str]) -> dict[str, frozenset[str]]:
    """The versions that the inventory holds, by component key."""
    versions: dict[str, set[str]] = {}
    for each, key in zip(components, keys, strict=True):
        versions.setdefault(key, set()).add(each.version)
    return {key: frozenset(held) for key, held in versions.items()}


def _observed(
    components: Sequence[Component], keys: Sequence[str], result: mirror.MatchResult
) -> list[finding.Observed]:
    """Matches, grouped by the identity of a finding."""
    groups: dict[tuple[str, int], list[mirror.Match]] = {}
    for match in result.matches:
        groups.setdefault((keys[match.component], match.vulnerability_id), []).append(match)
    observed = []
    for (key, vulnerability_id), matches in groups.items():
        matches.sort(key=lambda match: (rank(match.certainty), match.component))
        facts = result.details[vulnerability_id]
        first = components[matches[0].component]
        observed.append(
            finding.Observed(
                component_key=key,
                component_name=first.name,
                host=first.host,
                port=first.port,
                versions=frozenset(components[match.component].version for match in matches),
                cve_id=facts.cve_id,
                certainty=matches[0].certainty,
                severity=Severity(facts.severity),
                score=facts.score,
                kev=facts.kev,
                evidence=[match.evidence for match in matches[:MAX_EVIDENCE]],
            )
        )
    return observed


def _end(
    session: Session, run_id: uuid.UUID, counts: Document, snapshot: int, network: Document | None
) -> None:
    """Close the run and ask for its notification, in the transaction that wrote its findings."""
    the_run = session.get_one(Run, run_id)
    scan = session.get_one(Scan, the_run.scan_id)
    run.complete(the_run, counts, snapshot, network)
    if the_run.requested_by is None:
        return
    if the_run.trigger != Trigger.MANUAL:
        summary.gather(session, the_run.requested_by, database.now(session))
    else:
        ask(
            session,
            SEND_SCAN_COMPLETION,
            Asking(dedupe_key=f"scan_completed:{run_id}", asked_by=the_run.requested_by),
            scan_id=str(scan.id),
            user_id=str(the_run.requested_by),
            scan_name=scan.name,
            total_findings=counts["findings"],
            critical_count=counts["critical"],
            high_count=counts["high"],
        )
