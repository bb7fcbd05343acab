"""What the mirror learns reaches the assets that it concerns, each once, and no other."""

import pytest
import sqlalchemy as sa

from shared import database, inventory
from shared.lifecycle import task as lifecycle
from shared.models.asset import Asset, AssetProduct, InventorySource
from shared.models.finding import Finding
from shared.models.mirror import SnapshotCounter
from shared.models.notification import Notification
from shared.models.scan import Run, RunStatus, Scan, Trigger
from shared.models.task import Task, TaskState
from shared.tasks import SEND_FINDINGS_NEWS, START_AFFECTED_SCANS, ask
from tests.builders import LEASE, add_run, add_scan, add_user, change, components, read
from tests.cves import any_of, cve, fill, vulnerable
from worker_service.handlers import affected, scans, summaries
from worker_service.sweeper import Sweeper

OPENSSL = "cpe:2.3:a:openssl:openssl:{}:*:*:*:*:*:*:*"
LINUX = "cpe:2.3:o:linux:linux_kernel:{}:*:*:*:*:*:*:*"


def openssl(number, version="1.0.1f", **fields):
    return cve(f"CVE-2026-{number:04}", any_of(vulnerable(OPENSSL.format(version))), **fields)


@pytest.fixture
def watched(sessions, frame):
    """Makes an asset that holds one product and was scanned once; gives its scan's id."""

    def make(cpe=OPENSSL, version="1.0.1f"):
        component = {**components("it", version=version)[0], "cpes": [cpe.format(version)]}
        with database.transaction(sessions) as session:
            scan = add_scan(session, created_by=add_user(session).id)
            inventory.replace(session, scan.asset_id, InventorySource.INVENTORY, [component])
            run = add_run(session, scan)
        frame.run(str(run.task_id), scans.execute)
        return scan.id

    return make


@pytest.fixture
def sweep(sessions):
    return lambda: Sweeper(sessions, lambda _queue: 0).sweep()


@pytest.fixture
def follow(sessions, frame, sweep):
    """Sweep, do what was asked for because of it, and then the runs that this started."""

    def act():
        sweep()
        for contract, handler in (
            (START_AFFECTED_SCANS, affected.start_scans),
            ("execute_vulnerability_scan", scans.execute),
        ):
            for task in waiting(sessions, contract):
                frame.run(str(task.id), handler)

    return act


def waiting(sessions, name):
    with database.reading(sessions) as session:
        return session.scalars(
            sa.select(Task).where(Task.name == name, Task.state == TaskState.PENDING)
        ).all()


def runs(sessions, scan_id):
    with database.reading(sessions) as session:
        query = sa.select(Run).where(Run.scan_id == scan_id, Run.trigger == Trigger.MIRROR)
        return session.scalars(query).all()


def open_cves(sessions):
    with database.reading(sessions) as session:
        return sorted(session.scalars(sa.select(Finding.cve_id).where(Finding.status == "open")))


def test_a_new_cve_is_a_finding_without_anybody_scanning(sessions, watched, follow):
    concerned, other = watched(), watched(LINUX, "6.1")
    fill(sessions, openssl(1))
    follow()
    assert [run.status for run in runs(sessions, concerned)] == [RunStatus.COMPLETED]
    assert runs(sessions, other) == []
    assert open_cves(sessions) == ["CVE-2026-0001"]


def test_what_was_followed_is_not_followed_again(sessions, watched, follow, sweep):
    scan_id = watched()
    fill(sessions, openssl(1))
    follow()
    follow()
    sweep()
    assert len(runs(sessions, scan_id)) == 1
    assert waiting(sessions, START_AFFECTED_SCANS) == []


def test_a_range_that_is_taken_back_retracts(sessions, watched, follow):
    scan_id = watched()
    fill(sessions, openssl(1))
    follow()
    fill(sessions, openssl(1, "9.9", lastModified="2026-02-01T00:00:00.000"))
    follow()
    assert len(runs(sessions, scan_id)) == 2
    assert open_cves(sessions) == []


def test_the_nvds_analysis_makes_the_same_finding_surer(sessions, watched, follow):
    """What the CNA's own data made possible is not a second finding when the NVD confirms it."""
    watched()
    data = {
        "vendor": "openssl",
        "product": "openssl",
        "versions": [{"version": "1.0.1", "lessThan": "1.0.1g"}],
    }
    only_the_cna = [{"source": "cna@example.org", "affectedData": [data]}]
    fill(sessions, cve("CVE-2026-0001", affected=only_the_cna, vulnStatus="Received"))
    follow()
    (before,) = findings(sessions)
    analysed = openssl(1, affected=only_the_cna, lastModified="2026-02-01T00:00:00.000")
    fill(sessions, analysed)
    follow()
    (after,) = findings(sessions)
    assert (before.certainty, before.evidence[0]["path"]) == (
        "possible",
        "affected[0].affectedData[0].versions[0]",
    )
    assert (after.certainty, after.evidence[0]["path"]) == (
        "confirmed",
        "configurations[0].nodes[0].cpeMatch[0]",
    )
    assert (after.id, after.status, after.first_seen_at) == (before.id, before.status, before.first_seen_at)


def findings(sessions):
    with database.reading(sessions) as session:
        return session.scalars(sa.select(Finding)).all()


def test_many_batches_are_one_piece_of_news(sessions, watched, follow):
    scan_id = watched()
    for number in range(1, 6):
        fill(sessions, openssl(number))
    follow()
    assert len(runs(sessions, scan_id)) == 1
    assert len(open_cves(sessions)) == 5


def test_while_somebody_writes_into_the_mirror_nothing_is_followed(sessions, watched, sweep):
    watched()
    fill(sessions, openssl(1))
    with database.transaction(sessions) as session:
        writer = session.get_one(Task, ask(session, "import_nvd_feed", path="feed.json"))
    sweep()
    assert waiting(sessions, START_AFFECTED_SCANS) == []
    change(sessions, writer.id, state=TaskState.RETRY, run_after=sa.literal(writer.created_at + LEASE * 1000))
    sweep()
    assert len(waiting(sessions, START_AFFECTED_SCANS)) == 1


def test_an_asset_that_nobody_scanned_is_left_alone(sessions, follow):
    with database.transaction(sessions) as session:
        scan = add_scan(session)
        component = {**components("it")[0], "cpes": [OPENSSL.format("1.0.1f")]}
        inventory.replace(session, scan.asset_id, InventorySource.INVENTORY, [component])
    fill(sessions, openssl(1))
    follow()
    assert runs(sessions, scan.id) == []


def test_an_asset_filed_by_older_rules_is_matched_and_filed_anew(sessions, watched, follow):
    scan_id = watched(LINUX, "6.1")
    with database.transaction(sessions) as session:
        asset_id = session.get_one(Scan, scan_id).asset_id
        session.execute(sa.update(Asset).values(product_rules=None))
        session.execute(sa.delete(AssetProduct))
    fill(sessions, openssl(1))
    follow()
    assert len(runs(sessions, scan_id)) == 1
    with database.reading(sessions) as session:
        assert session.scalars(sa.select(AssetProduct.asset_id)).all() == [asset_id]


def test_a_scan_that_is_running_is_followed_by_another(sessions, watched, frame, sweep):
    """It may have read the mirror before the news came."""
    scan_id = watched()
    with database.transaction(sessions) as session:
        run = add_run(session, session.get_one(Scan, scan_id))
        lifecycle.claim(session, run.task_id, "elsewhere", LEASE)
    fill(sessions, openssl(1))
    sweep()
    (task,) = waiting(sessions, START_AFFECTED_SCANS)
    frame.run(str(task.id), affected.start_scans)
    assert read(sessions, task.id).result == {"assets": 1, "started": 0, "snapshot": 1}
    (later,) = waiting(sessions, START_AFFECTED_SCANS)
    assert later.run_after > later.created_at
    with database.transaction(sessions) as session:
        lifecycle.fail(session, run.task_id, read(sessions, run.task_id).epoch, "gone")
    change(sessions, later.id, run_after=later.created_at)
    frame.run(str(later.id), affected.start_scans)
    assert len(runs(sessions, scan_id)) == 1


def test_a_scan_that_is_queued_needs_no_other(sessions, watched, frame, sweep):
    scan_id = watched()
    with database.transaction(sessions) as session:
        add_run(session, session.get_one(Scan, scan_id))
    fill(sessions, openssl(1))
    sweep()
    (task,) = waiting(sessions, START_AFFECTED_SCANS)
    frame.run(str(task.id), affected.start_scans)
    assert runs(sessions, scan_id) == []
    assert waiting(sessions, START_AFFECTED_SCANS) == []


def test_only_what_changed_something_is_told(sessions, watched, follow, frame):
    def told():
        for task in waiting(sessions, SEND_FINDINGS_NEWS):
            change(sessions, task.id, run_after=task.created_at)
            frame.run(str(task.id), summaries.send_findings_news)
        with database.reading(sessions) as session:
            return session.scalars(sa.select(Notification.type)).all()

    watched()
    fill(sessions, openssl(1))
    follow()
    assert told() == ["new_findings"]
    fill(sessions, openssl(2, "9.9"))
    follow()
    assert told() == ["new_findings"]


def test_of_two_sweepers_one_asks(sessions, watched, sweep):
    watched()
    fill(sessions, openssl(1))
    sweep()
    sweep()
    assert len(waiting(sessions, START_AFFECTED_SCANS)) == 1
    with database.reading(sessions) as session:
        assert session.scalars(sa.select(SnapshotCounter.followed)).one() == 0
