import uuid

import pytest
import sqlalchemy as sa

from shared import database, inventory, mirror
from shared.errors import Permanent
from shared.lifecycle import task as lifecycle
from shared.matching.certainty import Certainty
from shared.models.asset import InventorySource
from shared.models.finding import Finding, FindingStatus, Severity
from shared.models.scan import Run, RunStatus, Scan
from shared.models.task import Task, TaskState
from shared.tasks import SEND_SCAN_COMPLETION
from tests.builders import add_run, add_scan, add_user, change, components, read
from worker_service.handlers import scans


class FakeMatch:
    """One match as the mirror gives it."""

    def __init__(self, component, vulnerability_id, certainty, version="1.0"):
        self.component, self.vulnerability_id = component, vulnerability_id
        self.certainty, self.version = certainty, version
        self.evidence = {"component": component, "certainty": certainty}


DETAILS = {
    1: mirror.Details(1, "CVE-2026-0001", Severity.CRITICAL, 9.8, kev=True),
    2: mirror.Details(2, "CVE-2026-0002", Severity.HIGH, 7.5, kev=False),
}


@pytest.fixture
def matches(monkeypatch):
    """What the mirror answers; the tests of the mirror are elsewhere."""
    matches = []

    def match(_session, given, on_progress=None):
        assert len(given) == 3
        on_progress(1, 1)
        return mirror.MatchResult(list(matches), DETAILS, 42, 0, 0)

    monkeypatch.setattr(mirror, "match", match)
    return matches


@pytest.fixture
def run(sessions):
    """A queued run of an inventory scan whose asset holds an SBOM as well."""
    with database.transaction(sessions) as session:
        scan = add_scan(session)
        inventory.replace(session, scan.asset_id, InventorySource.INVENTORY, components("a", "b"))
        inventory.replace(session, scan.asset_id, InventorySource.SBOM, components("a", version="2.0"))
        return add_run(session, scan, add_user(session).id)


@pytest.fixture
def execute(frame):
    def execute(run):
        frame.run(str(run.task_id), scans.execute)
        return read(frame.sessions, run.task_id)

    return execute


def findings(sessions):
    with database.reading(sessions) as session:
        return session.scalars(sa.select(Finding).order_by(Finding.cve_id)).all()


def test_a_run_records_what_it_saw_and_asks_for_its_notification(sessions, run, matches, execute):
    matches += [
        FakeMatch(0, 1, Certainty.POSSIBLE),
        FakeMatch(2, 1, Certainty.CONFIRMED, "2.0"),
        FakeMatch(1, 2, Certainty.LIKELY),
    ]
    task = execute(run)
    assert (task.state, task.error) == (TaskState.SUCCESS, None)
    first, second = findings(sessions)
    assert (first.cve_id, first.certainty, first.component_version, first.kev) == (
        "CVE-2026-0001",
        "confirmed",
        "1.0, 2.0",
        True,
    )
    assert [each["certainty"] for each in first.evidence] == ["confirmed", "possible"]
    assert (second.cve_id, second.component_name, second.severity) == ("CVE-2026-0002", "b", Severity.HIGH)
    with database.reading(sessions) as session:
        after = session.get_one(Run, run.id)
        assert (after.status, after.snapshot) == (RunStatus.COMPLETED, 42)
        assert after.counts == task.result
        assert (after.counts["components"], after.counts["findings"], after.counts["critical"]) == (3, 2, 1)
        asked = session.scalars(sa.select(Task).where(Task.name == SEND_SCAN_COMPLETION)).one()
        assert (asked.arguments["user_id"], asked.arguments["total_findings"]) == (str(run.requested_by), 2)


@pytest.mark.parametrize("version", ["1.0", "3.0"], ids=["retracted", "fixed"])
def test_the_next_run_tells_a_fix_from_a_retraction(sessions, run, matches, execute, version):
    matches.append(FakeMatch(1, 2, Certainty.LIKELY))
    execute(run)
    matches.clear()
    with database.transaction(sessions) as session:
        scan = session.get_one(Scan, run.scan_id)
        given = [*components("a"), *components("b", version=version)]
        inventory.replace(session, scan.asset_id, InventorySource.INVENTORY, given)
        second = add_run(session, scan)
    assert execute(second).state == TaskState.SUCCESS
    (row,) = findings(sessions)
    assert row.status == (FindingStatus.RETRACTED if version == "1.0" else FindingStatus.FIXED)


def test_a_cancelled_run_changes_no_finding(sessions, run, matches, execute, monkeypatch):
    matches.append(FakeMatch(0, 1, Certainty.LIKELY))
    real = mirror.match

    def match(*arguments, **named):
        with database.transaction(sessions) as session:
            lifecycle.request_cancel(session, run.task_id)
        return real(*arguments, **named)

    monkeypatch.setattr(mirror, "match", match)
    assert execute(run).state == TaskState.REVOKED
    assert findings(sessions) == []
    with database.reading(sessions) as session:
        assert session.get_one(Run, run.id).status == RunStatus.CANCELLED


def test_a_failed_run_changes_no_finding(sessions, run, matches, execute):
    matches.append(FakeMatch(0, 1, Certainty.LIKELY))
    execute(run)
    with database.transaction(sessions) as session:
        scan = session.get_one(Scan, run.scan_id)
        inventory.replace(session, scan.asset_id, InventorySource.INVENTORY, [])
        second = add_run(session, scan)
    assert execute(second).state == TaskState.FAILURE
    assert findings(sessions)[0].status == FindingStatus.OPEN
    with database.reading(sessions) as session:
        after = session.get_one(Run, second.id)
        assert (after.status, "no inventory" in after.error) == (RunStatus.FAILED, True)


def test_a_scan_that_was_deleted_meanwhile_is_not_tried_again(sessions, run, execute):
    with database.transaction(sessions) as session:
        session.execute(sa.delete(Scan))
    assert execute(run).error == "The scan was deleted."


def test_a_run_that_never_was_is_not_tried_again(sessions, work):
    with pytest.raises(Permanent):
        scans.execute(work, str(uuid.uuid4()))


def test_evidence_of_one_finding_has_an_upper_end(sessions, run, matches, execute):
    matches += [FakeMatch(1, 2, Certainty.LIKELY) for _ in range(scans.MAX_EVIDENCE + 5)]
    execute(run)
    assert len(findings(sessions)[0].evidence) == scans.MAX_EVIDENCE


def test_two_scans_of_one_asset_do_not_run_at_once(sessions, run, execute, matches):
    with database.transaction(sessions) as session:
        asset_id = session.get_one(Scan, run.scan_id).asset_id
        other = add_run(session, add_scan(session, asset_id=asset_id))
    change(sessions, other.task_id, state=TaskState.STARTED)
    assert execute(run).state == TaskState.PENDING
