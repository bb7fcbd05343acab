"""What the sources have in common: read whole or not at all, cheaply when nothing changed, and honest about it."""

import datetime as dt

import pytest
import sqlalchemy as sa

from shared import database, enrichment
from shared.enrichment import SourceState
from shared.models.enrichment import EpssScore, KnownExploited, Source
from shared.models.task import TaskState
from tests.builders import ago
from tests.upstream import faults
from tests.upstream.published import EPSS, KEV, catalogue, scores

TABLES = {Source.KEV: KnownExploited, Source.EPSS: EpssScore}
PATHS = {Source.KEV: KEV, Source.EPSS: EPSS}
PARTIES = {Source.KEV: "the CISA KEV catalogue", Source.EPSS: "the file of EPSS scores"}
OTHER_DAY = {
    Source.KEV: catalogue("CVE-2026-0001", "CVE-2026-0002", "CVE-2026-0009", released="2026-06-19T00:00:00Z"),
    Source.EPSS: scores(
        "CVE-2026-0001,0.6,0.9", "CVE-2026-0002,0.5,0.8", "CVE-2026-0009,0.1,0.1", date="2026-06-19"
    ),
}
ONE_LEFT = {
    Source.KEV: catalogue("CVE-2026-0001", released="2026-06-19T00:00:00Z"),
    Source.EPSS: scores("CVE-2026-0001,0.6,0.9", date="2026-06-19"),
}
OLDER = {
    Source.KEV: catalogue("CVE-2026-0001", "CVE-2026-0002", "CVE-2026-0003", released="2026-06-17T00:00:00Z"),
    Source.EPSS: scores(
        "CVE-2026-0001,0.6,0.9", "CVE-2026-0002,0.5,0.8", "CVE-2026-0003,0.1,0.1", date="2026-06-17"
    ),
}
FAULTS = {
    "403": (faults.forbidden, "answered 403 with an HTML page"),
    "503": (faults.unavailable, "answered 503 with an HTML page"),
    "cut": (faults.cut, "broke off in the middle of its answer"),
    "truncated": (faults.truncated, "breaks off"),
    "html": (faults.html, "an HTML page where"),
    "other json": (faults.other_json, "that is no"),
}

pytestmark = pytest.mark.parametrize("source", Source)


def held(sessions, source):
    with database.reading(sessions) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(TABLES[source]))


def test_a_source_is_read_and_says_so(sessions, installation, source):
    assert installation.look(source).state is SourceState.NEVER
    task = installation.sync(source)
    assert (task.state, task.result["changed"], task.result["count"]) == (TaskState.SUCCESS, True, 4)
    stands = installation.look(source)
    assert (stands.count, held(sessions, source), stands.last_error, stands.skipped) == (4, 4, None, {})
    assert stands.released_at.date() == dt.date(2026, 6, 18)
    assert stands.version in ("2026.06.18", "v2025.03.14")
    assert stands.last_success_at >= stands.last_attempt_at > ago(sessions, minutes=5)


def test_the_next_one_takes_its_place(sessions, publisher, installation, source):
    installation.sync(source)
    publisher.files[PATHS[source]] = OTHER_DAY[source]
    assert installation.sync(source).result["count"] == 3
    assert (held(sessions, source), installation.look(source).released_at.day) == (3, 19)


def test_what_has_not_changed_costs_an_empty_answer(sessions, publisher, installation, source):
    installation.sync(source)
    first = installation.look(source)
    result = installation.sync(source).result
    assert (result["changed"], result["count"], publisher.statuses) == (False, 4, [200, 304])
    second = installation.look(source)
    assert second.last_success_at > first.last_success_at
    assert (second.released_at, held(sessions, source)) == (first.released_at, 4)


def test_what_has_no_validators_is_read_again(publisher, installation, source):
    publisher.validators = False
    assert [installation.sync(source).result["changed"] for _ in range(2)] == [True, True]


def test_another_address_is_asked_from_the_start(publisher, installation, source):
    installation.sync(source)
    installation.change(source, url="https://mirror.example/other")
    assert installation.sync(source).result["changed"]
    assert publisher.statuses == [200, 200]


@pytest.mark.parametrize("fault", FAULTS)
def test_trouble_that_stays_takes_nothing_away_and_is_told(sessions, publisher, installation, source, fault):
    installation.sync(source)
    publisher.files[PATHS[source]] = OTHER_DAY[source]
    publisher.down, text = FAULTS[fault]
    task = installation.sync(source)
    assert task.state == TaskState.RETRY
    stands = installation.look(source)
    assert stands.last_error.startswith(PARTIES[source])
    assert text in stands.last_error
    assert (held(sessions, source), stands.count, stands.released_at.day) == (4, 4, 18)
    publisher.down = None
    installation.sync(source)
    assert (installation.look(source).last_error, held(sessions, source)) == (None, 3)


def test_trouble_is_told_while_it_lasts(publisher, installation, source):
    told = []

    def fail(right):
        told.append(installation.look(source).last_error)
        return faults.unavailable(right)

    publisher.faults = [fail, fail]
    assert installation.sync(source).state is TaskState.SUCCESS
    assert told == [None, f"{PARTIES[source]} answered 503 with an HTML page"]
    assert installation.look(source).last_error is None


@pytest.mark.parametrize("fault", FAULTS)
def test_trouble_that_passes_leaves_no_trace(publisher, installation, source, fault):
    publisher.faults = [FAULTS[fault][0]] * 2
    assert installation.sync(source).state == TaskState.SUCCESS
    assert installation.look(source).count == 4


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (ONE_LEFT, "has 1 usable entries, 4 are held: that is not believed"),
        (OLDER, "is of 2026-06-17 00:00 UTC, older than what is held"),
        ({Source.KEV: catalogue(), Source.EPSS: scores()}, "without a usable"),
    ],
    ids=["lost", "older", "empty"],
)
def test_what_cannot_be_believed_is_not(sessions, publisher, installation, source, file, text):
    installation.sync(source)
    publisher.files[PATHS[source]] = file[source]
    assert installation.sync(source).state == TaskState.RETRY
    assert text in installation.look(source).last_error
    assert held(sessions, source) == 4


def test_a_wrong_address_fails_at_once_and_names_the_setting(publisher, installation, source):
    publisher.files.clear()
    assert installation.sync(source).state == TaskState.FAILURE
    stands = installation.look(source)
    assert (stands.state, publisher.statuses) == (SourceState.NEVER, [404])
    assert f"is {source.upper()}_URL right?" in stands.last_error


def test_what_is_switched_off_is_not_asked_and_not_forgotten(sessions, publisher, installation, source):
    installation.sync(source)
    installation.settings = installation.settings.with_changes(kev_url="off", epss_url="off")
    assert installation.attempt(source).result == {"state": "off"}
    assert (installation.look(source).state, installation.look(source).count) == (SourceState.OFF, 4)
    assert (len(publisher.statuses), held(sessions, source)) == (1, 4)


def test_it_is_fresh_while_it_is_read_and_renewed(sessions, installation, source):
    installation.sync(source)
    now = ago(sessions)
    installation.change(source, released_at=now)
    assert (installation.look(source).state, installation.look(source).reason) == (SourceState.FRESH, None)
    installation.change(source, last_success_at=now - dt.timedelta(days=3))
    stands = installation.look(source)
    assert (stands.state, stands.reason) == (SourceState.STALE, "It was last read 3 days ago.")
    long_ago = now - enrichment.RENEWED_EVERY[source] - dt.timedelta(days=1)
    installation.change(source, last_success_at=now, released_at=long_ago)
    stands = installation.look(source)
    assert stands.state is SourceState.STALE
    assert stands.reason.startswith("Those who publish it have not renewed it for")
