"""A scan on the real parts: real processes, the sample mirror, an inventory that takes a while."""

from importlib import resources

import sqlalchemy as sa

from shared import database, inventory
from shared.models.finding import Finding, FindingEvent
from shared.models.scan import Run, RunStatus, Scan
from shared.models.task import ACTIVE, Task, TaskState
from shared.tasks import IMPORT_NVD_FEED, Asking, ask
from tests.builders import INVENTORY, PATIENCE, add_run, add_scan, add_user, components, read, wait_for
from tests.flow.test_tasks import ended

MANY = 15_000
"""Components: enough that a scan takes a second or more."""


def import_sample(sessions):
    feed = resources.files("shared.sample") / "feed.json"
    with database.transaction(sessions) as session:
        asked = ask(session, IMPORT_NVD_FEED, Asking(lock_key="mirror"), path=str(feed))
        task = session.get_one(Task, asked)
    assert ended(sessions, task).state == TaskState.SUCCESS


def add_large_scan(sessions):
    """A scan whose inventory holds a few affected packages among many that are not."""
    with database.transaction(sessions) as session:
        scan = add_scan(session)
        rows = components(*(f"package-{number}" for number in range(MANY)))
        for name, version in (("lodash", "4.17.15"), ("minimist", "1.2.5"), ("minimatch", "3.1.2")):
            (row,) = components(name, version=version)
            rows.append({**row, "purl": f"pkg:npm/{name}@{version}"})
        for number, row in enumerate(rows[:MANY]):
            row["purl"] = f"pkg:npm/package-{number}@1.0"
        inventory.replace(session, scan.asset_id, INVENTORY, rows)
        return scan, add_user(session).id


def start(sessions, scan, user):
    with database.transaction(sessions) as session:
        return add_run(session, session.get_one(Scan, scan.id), user)


def findings(sessions, scan):
    with database.reading(sessions) as session:
        rows = session.scalars(sa.select(Finding).where(Finding.asset_id == scan.asset_id))
        return {(row.component_key, row.cve_id, row.certainty, row.severity) for row in rows}


def test_a_scan_whose_worker_was_killed_completes_once_with_the_same_findings(sessions, worker, scheduler):
    scheduler()
    first = worker(VEDETTE_LEASE_SECONDS="5")
    import_sample(sessions)
    undisturbed, user = add_large_scan(sessions)
    assert ended(sessions, task_of(sessions, start(sessions, undisturbed, user))).state == TaskState.SUCCESS
    expected = findings(sessions, undisturbed)
    assert len(expected) >= 4

    scan, user = add_large_scan(sessions)
    run = start(sessions, scan, user)
    wait_for(lambda: read(sessions, run.task_id).state in ACTIVE, PATIENCE, "the scan to start")
    first.kill()
    assert read(sessions, run.task_id).state in ACTIVE, "the scan was over before its worker was killed"
    assert findings(sessions, scan) == set()
    worker(VEDETTE_LEASE_SECONDS="5")

    task = ended(sessions, read(sessions, run.task_id))
    assert task.state == TaskState.SUCCESS
    assert task.attempt == task.losses + 1 >= 2
    assert findings(sessions, scan) == expected
    with database.reading(sessions) as session:
        assert session.get_one(Run, run.id).status == RunStatus.COMPLETED
        opened = session.scalar(
            sa.select(sa.func.count()).select_from(FindingEvent).where(FindingEvent.run_id == run.id)
        )
    assert opened == len(expected)


def task_of(sessions, run):
    return read(sessions, run.task_id)
