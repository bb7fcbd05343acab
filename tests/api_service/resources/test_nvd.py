"""The state of the mirror over HTTP."""

import dataclasses
import datetime as dt

import pytest
import sqlalchemy as sa

from api_service.services import nvd as services
from shared import database, mirror_health
from shared.lifecycle import task as lifecycle
from shared.models.coverage import FeedState, MirrorCoverage
from shared.models.enrichment import EnrichmentSource, Source
from shared.models.mirror import Sync, SyncKind, SyncState
from shared.models.periodic_job import PeriodicJob
from shared.models.task import Task, TaskState
from shared.tasks import SYNC_NVD_UPDATES
from tests.builders import ago, ask_for, change, enrich


def cve(number, modified, **fields):
    times = {"published": modified, "lastModified": modified}
    return {"cve": {"id": f"CVE-2026-{number:04}", "vulnStatus": "Analyzed", **times, **fields}}


def just_now():
    return dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat()


def add_sync(sessions, task_id=None, state=SyncState.RUNNING, error=None, kind=SyncKind.FEED):
    with database.transaction(sessions) as session:
        now = database.now(session)
        session.add(
            Sync(
                kind=kind,
                source="feed.json",
                state=state,
                task_id=task_id,
                started_at=now,
                error=error,
            )
        )


def test_an_empty_mirror_says_so(viewer):
    status = viewer.get("/nvd/status").json
    assert (status["state"], status["vulnerabilities"], status["snapshot"]) == ("empty", 0, 0)
    assert status["reasons"] == [
        "It holds nothing yet: no feed was imported and no sync has brought anything."
    ]
    assert (status["newest_record_at"], status["age_seconds"], status["last_sync"]) == (None, None, None)
    assert (status["years"], status["running"]) == ([], False)
    assert "not endorsed or certified by the NVD" in status["attribution"]


def test_the_status_says_when_the_next_sync_is_due(viewer, sessions, settings):
    assert viewer.get("/nvd/status").json["next_sync_at"] is None
    with database.transaction(sessions) as session:
        due = database.now(session) + dt.timedelta(minutes=7)
        session.add(PeriodicJob(name=SYNC_NVD_UPDATES, cron="40 */6 * * *", next_run_at=due))
    assert viewer.get("/nvd/status").json["next_sync_at"] == due.isoformat()
    with database.reading(sessions) as session:
        off = settings.with_changes(nvd_api_url="off", nvd_feed_url="off")
        assert services.mirror_status(session, off).next_sync_at is None


def test_the_numbers_of_a_mirror(viewer, load_feed):
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    load_feed(
        cve(1, (now - dt.timedelta(hours=2)).isoformat()),
        cve(2, "2026-01-01T00:00:00.000", vulnStatus="Awaiting Analysis"),
        cve(3, "2026-01-01T00:00:00.000", vulnStatus="Rejected"),
        {"cve": {"id": "CVE-2014-0160", "vulnStatus": "Modified", "lastModified": "2020-01-01T00:00:00.000"}},
        {"cve": {"id": "CVE-2026-0004"}},
    )
    status = viewer.get("/nvd/status").json
    assert status["state"] == "degraded"  # a file proves nothing about what it does not hold
    assert status["reasons"] == [
        "It was never proven complete: no sync has read everything.",
        "1 record could not be used and stands in quarantine.",
    ]
    assert [each["cve_id"] for each in status["quarantine"]] == ["CVE-2026-0004"]
    numbers = ("vulnerabilities", "analysed", "unanalysed", "rejected", "quarantined", "snapshot")
    assert [status[name] for name in numbers] == [4, 2, 1, 1, 1, 1]
    assert [(each["year"], each["count"], each["missing"]) for each in status["years"]] == [
        (2014, 1, None),
        (2026, 3, None),
    ]
    assert 7100 < status["age_seconds"] < 7500
    sync = status["last_sync"]
    assert (sync["state"], sync["read"], sync["changed"], sync["quarantined"]) == ("completed", 5, 4, 1)


def test_an_old_mirror_is_stale(viewer, load_feed):
    load_feed(cve(1, "2026-01-01T00:00:00.000"))
    assert viewer.get("/nvd/status").json["state"] == "stale"


def test_it_is_bootstrapping_while_the_first_sync_runs(viewer, sessions, load_feed):
    add_sync(sessions, ask_for(sessions).id)
    status = viewer.get("/nvd/status").json
    assert (status["state"], status["running"]) == ("bootstrapping", True)
    load_feed(cve(1, "2026-01-01T00:00:00.000"))
    assert viewer.get("/nvd/status").json["state"] == "stale"


def test_what_a_bootstrap_has_read_so_far_is_not_called_old(viewer, sessions, load_feed):
    load_feed(cve(1, "2026-01-01T00:00:00.000"))
    add_sync(sessions, ask_for(sessions).id, kind=SyncKind.BOOTSTRAP)
    status = viewer.get("/nvd/status").json
    assert (status["state"], status["reasons"]) == (
        "bootstrapping",
        ["It is being filled for the first time: scans miss what has not been read yet."],
    )


def test_ages_of_less_than_two_hours_are_told_in_minutes(viewer, sessions, load_feed):
    load_feed(cve(1, (dt.datetime.now(dt.UTC) - dt.timedelta(minutes=90)).replace(tzinfo=None).isoformat()))
    with database.reading(sessions) as session:
        reasons = mirror_health.look(session, dt.timedelta(hours=1)).reasons
    assert reasons[0] == "The newest record is 90 minutes old."


def test_a_sync_whose_task_is_gone_does_not_run(viewer, sessions):
    add_sync(sessions)
    status = viewer.get("/nvd/status").json
    assert (status["state"], status["running"], status["last_sync"]["state"]) == ("empty", False, "running")


def test_syncs_are_listed_latest_first(viewer, nobody, sessions):
    for state in (SyncState.COMPLETED, SyncState.FAILED, SyncState.CANCELLED):
        add_sync(sessions, state=state)
    answer = viewer.get("/nvd/syncs?page_size=2")
    assert [each["state"] for each in answer.json] == ["cancelled", "failed"]
    assert '"total": 3' in answer.headers["X-Pagination"]
    assert nobody.get("/nvd/syncs").status_code == 401


def prove(sessions, **values):
    with database.transaction(sessions) as session:
        session.add(MirrorCoverage(id=1, watermark=database.now(session), **values))


def test_a_mirror_that_is_proven_complete_is_fresh(viewer, sessions, load_feed):
    load_feed(cve(1, just_now()))
    prove(sessions, upstream_total=1, upstream_total_at=dt.datetime.now(dt.UTC))
    status = viewer.get("/nvd/status").json
    assert (status["state"], status["reasons"], status["upstream_total"]) == ("fresh", [], 1)
    assert status["complete_until"] is not None


def test_missing_records_degrade_it(viewer, sessions, load_feed):
    load_feed(cve(1, just_now()))
    prove(sessions, upstream_total=1001, upstream_total_at=dt.datetime.now(dt.UTC))
    status = viewer.get("/nvd/status").json
    assert (status["state"], status["reasons"]) == (
        "degraded",
        ["1,000 of the upstream's 1,001 records are missing."],
    )


def test_a_year_stands_beside_its_feed(viewer, sessions, load_feed):
    load_feed(cve(1, just_now()))
    with database.transaction(sessions) as session:
        now = database.now(session)
        for name, total in (("2026", 3), ("modified", 9)):
            feed = FeedState(
                name=name, known_as="", total=total, written_at=now, imported_at=now, checked_at=now
            )
            session.add(feed)
    (year,) = viewer.get("/nvd/status").json["years"]
    assert (year["count"], year["upstream"], year["missing"]) == (1, 3, 2)


def test_a_sync_that_failed_once_says_when_it_is_tried_again(viewer, sessions, load_feed):
    load_feed(cve(1, just_now()))
    prove(sessions)
    task_id = ask_for(sessions).id
    add_sync(sessions, task_id, error="the NVD API answered 429 (9 attempts)", kind=SyncKind.UPDATE)
    again = dt.datetime(2031, 1, 2, 3, 4, tzinfo=dt.UTC)
    change(sessions, task_id, state=TaskState.RETRY, run_after=again)
    trouble = "The sync that is under way had trouble{}: the NVD API answered 429 (9 attempts)"
    status = viewer.get("/nvd/status").json
    assert (status["state"], status["reasons"]) == (
        "degraded",
        [trouble.format(" and is tried again at 2031-01-02 03:04 UTC")],
    )
    change(sessions, task_id, state=TaskState.PROGRESS)
    assert viewer.get("/nvd/status").json["reasons"] == [trouble.format("")]


def test_a_failed_sync_degrades_it_and_says_why(viewer, sessions, load_feed):
    load_feed(cve(1, just_now()))
    prove(sessions)
    add_sync(
        sessions, state=SyncState.FAILED, error="The NVD refuses the API key (NVD_API_KEY): Invalid apiKey."
    )
    status = viewer.get("/nvd/status").json
    assert status["state"] == "degraded"
    assert "The last sync failed: The NVD refuses the API key" in status["reasons"][0]
    assert status["last_error"].startswith("The NVD refuses")


def test_progress_and_what_is_left(viewer, sessions):
    task = ask_for(sessions)
    with database.transaction(sessions) as session:
        claimed = lifecycle.claim(session, task.id, "worker", dt.timedelta(minutes=1))
        lifecycle.report(session, task.id, claimed.epoch, "api: everything", 50, 200)
        session.get_one(Task, task.id).started_at = database.now(session) - dt.timedelta(seconds=10)
    add_sync(sessions, task.id)
    progress = viewer.get("/nvd/status").json["progress"]
    assert (progress["stage"], progress["percent"]) == ("api: everything", 25)
    assert 29 <= progress["eta_seconds"] <= 40


def test_an_admin_starts_a_sync_and_there_is_one_at_a_time(admin, analyst, rung):
    first = admin.post("/nvd/sync", {"days_back": 3})
    assert first.status_code == 202
    assert first.headers["Location"] == f"/api/v1/tasks/{first.json['task_id']}"
    assert (first.json["days_back"], first.json["full"], first.json["task_state"]) == (3, False, "PENDING")
    assert [str(each.task_id) for each in rung] == [first.json["task_id"]]
    second = admin.post("/nvd/sync", {"full": True})
    assert (second.status_code, second.json) == (202, first.json)
    assert admin.post("/nvd/sync").status_code == 202
    assert analyst.post("/nvd/sync").status_code == 403


@pytest.mark.parametrize("body", [{"days_back": -1}, {"days_back": "7"}, {"full": 1}, {"days": 7}])
def test_what_is_no_request_for_a_sync(admin, body):
    assert admin.post("/nvd/sync", body).status_code == 422


class TestSources:
    def test_before_the_first_time(self, viewer):
        status = viewer.get("/nvd/status").json
        for name in ("kev", "epss"):
            assert (status[name]["state"], status[name]["count"], status[name]["skipped"]) == ("never", 0, {})
            assert (status[name]["last_success_at"], status[name]["last_error"]) == (None, None)

    def test_what_is_held_and_how_old_it_is(self, viewer, sessions):
        enrich(sessions, kev=["CVE-2014-0160"], epss={"CVE-2014-0160": 0.9, "CVE-2026-0001": 0.1})
        status = viewer.get("/nvd/status").json
        assert [(status[name]["state"], status[name]["count"]) for name in ("kev", "epss")] == [
            ("fresh", 1),
            ("fresh", 2),
        ]
        assert (status["kev"]["version"], status["kev"]["reason"]) == ("1", None)
        with database.transaction(sessions) as session:
            late = sa.update(EnrichmentSource).where(EnrichmentSource.name == Source.EPSS)
            session.execute(late.values(last_success_at=ago(sessions, days=4), last_error="It is away."))
        epss = viewer.get("/nvd/status").json["epss"]
        assert (epss["state"], epss["reason"]) == ("stale", "It was last read 4 days ago.")
        assert epss["last_error"] == "It is away."

    def test_an_admin_has_one_read_now(self, admin, analyst, rung):
        for name in ("kev", "epss"):
            rung.clear()
            first = admin.post(f"/nvd/sources/{name}/sync")
            assert (first.status_code, first.json["task_state"]) == (202, "PENDING")
            assert first.headers["Location"] == f"/api/v1/tasks/{first.json['task_id']}"
            assert [(ring.name, str(ring.task_id)) for ring in rung] == [
                (f"sync_{name}", first.json["task_id"])
            ]
            assert admin.post(f"/nvd/sources/{name}/sync").json == first.json
            assert analyst.post(f"/nvd/sources/{name}/sync").status_code == 403

    def test_another_source_is_404(self, admin):
        assert admin.post("/nvd/sources/osv/sync").status_code == 404

    def test_one_that_is_off_says_so_and_is_not_read(self, app, admin, sessions):
        parts = app.extensions["vedette"]
        app.extensions["vedette"] = dataclasses.replace(
            parts, settings=parts.settings.with_changes(kev_url="off")
        )
        enrich(sessions, kev=["CVE-2014-0160"])
        status = admin.get("/nvd/status").json
        assert (status["kev"]["state"], status["kev"]["count"]) == ("off", 1)
        refused = admin.post("/nvd/sources/kev/sync")
        assert (refused.status_code, "KEV_URL" in refused.json["detail"]) == (409, True)
