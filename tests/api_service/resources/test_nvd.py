"""The state of the mirror over HTTP."""

import datetime as dt

from shared import database
from shared.models.mirror import Sync, SyncKind, SyncState
from tests.builders import ask_for


def cve(number, modified, **fields):
    times = {"published": modified, "lastModified": modified}
    return {"cve": {"id": f"CVE-2026-{number:04}", "vulnStatus": "Analyzed", **times, **fields}}


def add_sync(sessions, task_id=None, state=SyncState.RUNNING):
    with database.transaction(sessions) as session:
        now = database.now(session)
        session.add(
            Sync(kind=SyncKind.FEED, source="feed.json", state=state, task_id=task_id, started_at=now)
        )


def test_an_empty_mirror_says_so(viewer):
    status = viewer.get("/nvd/status").json
    assert (status["state"], status["vulnerabilities"], status["snapshot"]) == ("empty", 0, 0)
    assert (status["newest_record_at"], status["age_seconds"], status["last_sync"]) == (None, None, None)
    assert (status["years"], status["running"]) == ([], False)
    assert "not endorsed or certified by the NVD" in status["attribution"]


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
    assert status["state"] == "fresh"
    numbers = ("vulnerabilities", "analysed", "unanalysed", "rejected", "quarantined", "snapshot")
    assert [status[name] for name in numbers] == [4, 2, 1, 1, 1, 1]
    assert status["years"] == [{"year": 2014, "count": 1}, {"year": 2026, "count": 3}]
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
