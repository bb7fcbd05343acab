"""Scans and catalogues told to people: one message with counts, what is new, and the worst five."""

import datetime as dt

import pytest
import sqlalchemy as sa

from shared import database, inventory
from shared.lifecycle import finding, summary
from shared.lifecycle import task as lifecycle
from shared.models.asset import InventorySource
from shared.models.enrichment import EpssScore
from shared.models.finding import Finding, Triage
from shared.models.mirror import Vulnerability, vulnerability_id
from shared.models.notification import Notification, NotificationType, Priority
from shared.models.scan import Run, Scan, Trigger
from shared.models.task import WAITING, Task
from shared.tasks import SEND_FINDINGS_NEWS, SEND_SCAN_COMPLETION
from tests.builders import LEASE, add_run, add_scan, add_user, components
from tests.cves import any_of, cve, fill, vulnerable
from worker_service import tasks as worker_tasks
from worker_service.actors import DOORS
from worker_service.handlers import scans
from worker_service.sweeper import Sweeper

OPENSSL = "cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*"
OTHER = "cpe:2.3:a:other:other:1.0:*:*:*:*:*:*:*"


def affecting(number, cpe=OPENSSL, **fields):
    return cve(f"CVE-2026-{number:04}", any_of(vulnerable(cpe)), **fields)


@pytest.fixture
def user_id(sessions):
    with database.transaction(sessions) as session:
        return add_user(session).id


@pytest.fixture
def frame(frame):
    frame.doors.update({door.contract: door for door in DOORS})
    return frame


@pytest.fixture
def scan(sessions, user_id):
    """Makes a scan of an asset that holds OpenSSL."""

    def make(name="web shop"):
        with database.transaction(sessions) as session:
            made = add_scan(session, name=name, created_by=user_id)
            component = {**components("openssl", version="1.0.1f")[0], "cpes": [OPENSSL]}
            inventory.replace(session, made.asset_id, InventorySource.INVENTORY, [component])
            return made.id

    return make


@pytest.fixture
def run(sessions, frame, user_id):
    """Runs a scan, and does not tell of it yet."""

    def run(scan_id, trigger=Trigger.SCHEDULE):
        with database.transaction(sessions) as session:
            the_run = add_run(session, session.get_one(Scan, scan_id), user_id)
            the_run.trigger = trigger
        frame.run(str(the_run.task_id), scans.execute)
        return the_run.id

    return run


@pytest.fixture
def tell(sessions, frame):
    """Lets the window pass and does what tells; gives all that was told so far, the oldest first."""

    def tell():
        with database.transaction(sessions) as session:
            now = database.now(session)
            session.execute(
                sa.update(Task)
                .where(Task.state.in_(WAITING), Task.queue == "notifications")
                .values(run_after=now)
            )
        while due(sessions):
            frame.answer("notifications")
        return told(sessions)

    return tell


def due(sessions):
    with database.reading(sessions) as session:
        query = sa.select(Task.id).where(
            Task.queue == "notifications", Task.state.in_(WAITING), Task.run_after <= database.now(session)
        )
        return session.scalars(query).first()


def told(sessions):
    with database.reading(sessions) as session:
        return session.scalars(sa.select(Notification).order_by(Notification.created_at)).all()


def test_a_run_by_hand_tells_at_once_what_is_new(sessions, scan, run, frame):
    fill(sessions, affecting(1), affecting(2))
    run(scan(), Trigger.MANUAL)
    frame.answer("notifications")
    (row,) = told(sessions)
    assert (row.type, row.title, row.entity_type) == ("scan_completed", "Scan completed: web shop", "scan")
    assert "Since the last one: 2 new." in row.message
    assert row.events == ["scan_completed", "new_findings"]
    assert row.data["counts"]["new"] == 2
    assert [each["cve_id"] for each in row.data["worst"]] == ["CVE-2026-0001", "CVE-2026-0002"]
    assert row.data["worst"][0]["component"] == "openssl"


def test_the_same_run_is_told_once_whatever_task_tells(sessions, scan, run, tell, user_id):
    fill(sessions, affecting(1))
    scan_id = scan()
    run(scan_id, Trigger.MANUAL)
    tell()
    with database.transaction(sessions) as session:
        task = session.scalars(sa.select(Task).where(Task.name == SEND_SCAN_COMPLETION)).one()
        task.state, task.ended_at = "FAILURE", database.now(session)
        session.flush()
        lifecycle.requeue(session, task.id)
    first, second = tell()
    assert first.data["counts"]["new"] == 1
    assert second.data is None, "nothing more is known of a run that was told"


def test_what_was_new_is_not_new_again(sessions, scan, run, tell):
    fill(sessions, affecting(1))
    scan_id = scan()
    run(scan_id)
    run(scan_id)
    (row,) = tell()
    run(scan_id)
    _, again = tell()
    assert row.data["counts"]["new"] == 1
    assert (again.data["counts"]["new"], again.data["worst"]) == (0, [])
    assert (again.events, again.priority) == (["scan_completed"], Priority.LOW)
    assert again.data["counts"]["findings"] == 1


def test_runs_of_a_schedule_become_one_message(sessions, scan, run, tell):
    fill(sessions, affecting(1))
    ids = [scan(f"asset {number}") for number in range(4)]
    for each in ids:
        run(each)
    (row,) = tell()
    assert row.title == "4 scans: 4 new"
    assert (row.data["counts"]["scans"], row.data["counts"]["new"]) == (4, 4)
    assert {each["scan_id"] for each in row.data["scans"]} == set(map(str, ids))
    assert len(tell()) == 1


def test_while_more_runs_are_under_way_nothing_is_told_for_an_hour(sessions, scan, run, tell, user_id):
    fill(sessions, affecting(1))
    run(scan())
    with database.transaction(sessions) as session:
        slow = add_run(session, session.get_one(Scan, scan("slow one")), user_id)
        slow.trigger = Trigger.SCHEDULE
    with database.transaction(sessions) as session:
        lifecycle.claim(session, slow.task_id, "elsewhere", LEASE)
    with database.transaction(sessions) as session:
        task = session.scalars(sa.select(Task).where(Task.name == SEND_FINDINGS_NEWS)).one()
        task.run_after = task.created_at
    assert tell_once(sessions, tell) == []
    with database.transaction(sessions) as session:
        late = database.now(session) - dt.timedelta(hours=1)
        session.execute(sa.update(Run).where(Run.ended_at.is_not(None)).values(ended_at=late))
    assert len(tell()) == 1


def tell_once(sessions, tell):
    """What is told when the window has passed once."""
    result = tell()
    with database.reading(sessions) as session:
        waiting = session.scalars(
            sa.select(Task).where(Task.name == SEND_FINDINGS_NEWS, Task.state.in_(WAITING))
        ).all()
    assert len(waiting) == 1, "it is asked again"
    return result


def test_a_scheduled_run_that_fails_is_told_with_the_others(sessions, scan, run, tell, user_id):
    fill(sessions, affecting(1))
    run(scan("good one"))
    with database.transaction(sessions) as session:
        bad = add_run(session, session.get_one(Scan, scan("bad one")), user_id)
        bad.trigger = Trigger.SCHEDULE
    with database.transaction(sessions) as session:
        task = lifecycle.claim(session, bad.task_id, "w", LEASE)
        lifecycle.fail(session, task.id, task.epoch, "no nmap")
    (row,) = tell()
    assert row.events == ["scan_completed", "scan_failed", "new_findings"]
    assert row.title == "2 scans, 1 failed: 1 new"
    assert "bad one" in row.message


def test_news_of_the_mirror_that_change_nothing_are_no_news(sessions, scan, run, tell):
    run(scan(), Trigger.MIRROR)
    assert tell() == []
    with database.reading(sessions) as session:
        assert session.scalars(sa.select(Run.told_at)).one() is not None


def test_what_got_worse_and_what_is_gone_is_told(sessions, scan, run, tell):
    low, high = (
        {"metrics": {"cvssMetricV31": [metric(score, severity)]}}
        for score, severity in ((3.1, "LOW"), (8.1, "HIGH"))
    )
    scan_id = scan()
    fill(sessions, affecting(1, **low), affecting(2))
    run(scan_id)
    tell()
    later = {"lastModified": "2026-05-01T00:00:00.000"}
    fill(sessions, affecting(1, **high, **later), affecting(2, OTHER, **later))
    run(scan_id, Trigger.MIRROR)
    _, row = tell()
    assert row.events == ["severity_raised", "fixed"]
    assert row.type == "severity_raised"
    assert (row.data["counts"]["severity_raised"], row.data["counts"]["retracted"]) == (1, 1)
    assert [each["cve_id"] for each in row.data["worst"]] == ["CVE-2026-0001"]
    assert row.priority == Priority.HIGH
    with database.reading(sessions) as session:
        raised = session.scalars(sa.select(Finding).where(Finding.cve_id == "CVE-2026-0001")).one()
        assert raised.events[-1].detail == {"from": "low", "to": "high"}


def metric(score, severity):
    return {
        "source": "nvd@nist.gov",
        "type": "Primary",
        "cvssData": {
            "version": "3.1",
            "vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N",
            "baseScore": score,
            "baseSeverity": severity,
        },
    }


def test_the_worst_five_are_known_exploited_then_likely_then_severe(sessions, scan, run, tell):
    fill(sessions, *(affecting(number) for number in range(1, 9)))
    scan_id = scan()
    with database.transaction(sessions) as session:
        scores = {1: 0.1, 2: 0.9, 3: 0.5}
        session.add_all(
            EpssScore(
                vulnerability_id=vulnerability_id(f"CVE-2026-{number:04}"), score=score, percentile=score
            )
            for number, score in scores.items()
        )
        session.execute(sa.update(Vulnerability).values(score=5.0, severity="medium"))
        for number, values in {
            4: {"score": 9.9, "severity": "critical"},
            8: {"kev_added": dt.date(2026, 1, 1)},
        }.items():
            session.execute(
                sa.update(Vulnerability)
                .where(Vulnerability.cve_id == f"CVE-2026-{number:04}")
                .values(**values)
            )
    run(scan_id)
    (row,) = tell()
    worst = row.data["worst"]
    assert [int(each["cve_id"][-4:]) for each in worst] == [8, 2, 3, 1, 4]
    assert (worst[0]["kev"], worst[1]["epss"], worst[4]["epss"]) == (True, 0.9, None)
    assert row.data["known_exploited"] is True
    assert row.priority == Priority.CRITICAL


def test_what_somebody_decided_on_is_no_news(sessions, scan, run, tell):
    fill(sessions, affecting(1), affecting(2))
    scan_id = scan()
    run(scan_id)
    with database.transaction(sessions) as session:
        session.execute(
            sa.update(Finding).where(Finding.cve_id == "CVE-2026-0001").values(triage=Triage.FALSE_POSITIVE)
        )
    (row,) = tell()
    assert [each["cve_id"] for each in row.data["worst"]] == ["CVE-2026-0002"]


def test_a_catalogue_that_marks_findings_tells_whoever_scans_them_once(sessions, scan, run, tell):
    fill(sessions, affecting(1))
    ids = [scan(f"asset {number}") for number in range(3)]
    for each in ids:
        run(each)
    tell()
    with database.transaction(sessions) as session:
        session.execute(sa.update(Vulnerability).values(kev_added=dt.date(2026, 7, 1)))
        assert finding.follow_known_exploited(session)["findings_exploited"] == 3
    _, row = tell()
    assert (row.type, row.priority) == ("known_exploited_added", Priority.CRITICAL)
    assert row.title == "3 findings now known to be exploited"
    assert row.data["counts"]["known_exploited_added"] == 3
    assert len(row.data["worst"]) == 3
    assert len(tell()) == 2


def test_whoever_asks_while_it_is_being_told_is_told_by_another(sessions, user_id):
    with database.transaction(sessions) as session:
        now = database.now(session)
        summary.gather(session, user_id, now)
        summary.gather(session, user_id, now)
    with database.transaction(sessions) as session:
        (task,) = session.scalars(sa.select(Task)).all()
        task.run_after = now
    with database.transaction(sessions) as session:
        assert lifecycle.claim(session, task.id, "w", LEASE) is not None
    for _ in range(2):
        with database.transaction(sessions) as session:
            summary.gather(session, user_id, now)
    with database.reading(sessions) as session:
        assert len(session.scalars(sa.select(Task)).all()) == 2


def test_a_bootstrap_over_many_assets_is_one_message_to_each(
    sessions, scan, frame, tell, user_id, monkeypatch
):
    """What is imported concerns all of them."""
    many = 200
    monkeypatch.setattr(worker_tasks, "STAY_SECONDS", 0.0)  # one scan for each doorbell
    ids = [scan(f"asset {number}") for number in range(many)]
    with database.transaction(sessions) as session:
        for scan_id in ids:
            the_scan = session.get_one(Scan, scan_id)
            earlier = add_run(session, the_scan, user_id)
            earlier.status, earlier.told_at = "completed", database.now(session)
        session.execute(sa.update(Task).values(state="SUCCESS", ended_at=database.now(session)))
    fill(sessions, *(affecting(number) for number in range(1, 4)))
    Sweeper(sessions, lambda _queue: 0).sweep()
    frame.answer("default")
    for number in range(many):
        frame.answer("scans")
        if number % 50 == 10:
            assert tell() == []
    (row,) = tell()
    assert row.data["counts"]["scans"] == many
    assert row.data["counts"]["new"] == 3 * many
    assert len(row.data["worst"]) == 5
    assert len(row.data["scans"]) == 20
    assert row.type == NotificationType.NEW_FINDINGS
    assert len(tell()) == 1
