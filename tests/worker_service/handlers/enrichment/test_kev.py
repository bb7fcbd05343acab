"""CISA's catalogue as it is held, and what it does to findings."""

import threading

import pytest
import sqlalchemy as sa

from shared import database
from shared.lifecycle import finding as lifecycle
from shared.lifecycle.finding import Observed, Recording
from shared.models.enrichment import KnownExploited, Source, known_exploited
from shared.models.finding import Finding, FindingEvent, FindingStatus, Severity
from tests.builders import add_run, add_scan
from tests.upstream.published import KEV, catalogue, entry

HEARTBLEED, OTHER = "CVE-2014-0160", "CVE-2026-0001"


def observed(cve_id, *, kev=False):
    return Observed(
        "name:openssl", "openssl", frozenset({"1.0"}), cve_id, "likely", Severity.HIGH, 7.5, kev, []
    )


@pytest.fixture
def asset_id(sessions):
    with database.transaction(sessions) as session:
        return add_scan(session).asset_id


@pytest.fixture
def record(sessions, asset_id):
    """Record what a run saw."""

    def record(*seen):
        with database.transaction(sessions) as session:
            run = add_run(session, add_scan(session))
            return lifecycle.record(session, Recording(asset_id, run.id, 1, {}), seen)

    return record


def findings(sessions):
    with database.reading(sessions) as session:
        return {row.cve_id: row.kev for row in session.scalars(sa.select(Finding))}


def history(sessions, cve_id):
    with database.reading(sessions) as session:
        kinds = sa.select(FindingEvent.kind).join(Finding).where(Finding.cve_id == cve_id)
        return session.scalars(kinds.order_by(FindingEvent.id)).all()


def publish(publisher, *cves, day=20):
    publisher.files[KEV] = catalogue(*cves, released=f"2026-06-{day}T00:00:00Z")


def test_an_entry_is_held_as_it_is(sessions, publisher, installation):
    publish(
        publisher, entry(HEARTBLEED, knownRansomwareCampaignUse="Known"), entry(OTHER, dueDate=""), "CVE-1"
    )
    assert installation.sync(Source.KEV).result["skipped"] == 1
    with database.reading(sessions) as session:
        row = session.get_one(KnownExploited, HEARTBLEED)
        assert (row.added.isoformat(), row.due.isoformat(), row.ransomware) == (
            "2022-05-04",
            "2022-05-25",
            True,
        )
        assert (row.vendor, row.product, row.cwes) == ("OpenSSL", "OpenSSL", ["CWE-125"])
        assert row.action == "Apply updates per vendor instructions."
        assert (session.get_one(KnownExploited, OTHER).due, installation.look(Source.KEV).skipped) == (
            None,
            {"no usable cveID": 1},
        )
        assert set(session.scalars(known_exploited())) == {HEARTBLEED, OTHER}


def test_an_open_finding_becomes_known_to_be_exploited_at_once(sessions, publisher, installation, record):
    record(observed(HEARTBLEED), observed(OTHER))
    publish(publisher, HEARTBLEED)
    result = installation.sync(Source.KEV).result
    assert (result["findings_exploited"], result["findings_withdrawn"]) == (1, 0)
    assert findings(sessions) == {HEARTBLEED: True, OTHER: False}
    assert history(sessions, HEARTBLEED) == ["opened", "known_exploited"]
    assert history(sessions, OTHER) == ["opened"]


def test_it_is_told_once(sessions, publisher, installation, record):
    record(observed(HEARTBLEED))
    publish(publisher, HEARTBLEED)
    installation.sync(Source.KEV)
    publish(publisher, HEARTBLEED, OTHER, day=21)
    assert installation.sync(Source.KEV).result["findings_exploited"] == 0
    assert history(sessions, HEARTBLEED) == ["opened", "known_exploited"]


def test_the_next_run_does_not_take_it_back(sessions, publisher, installation, record):
    record(observed(HEARTBLEED))
    publish(publisher, HEARTBLEED)
    installation.sync(Source.KEV)
    record(observed(HEARTBLEED))  # matched before the catalogue came
    assert findings(sessions) == {HEARTBLEED: True}
    assert history(sessions, HEARTBLEED) == ["opened", "known_exploited"]


def test_a_finding_that_comes_later_knows_it(sessions, publisher, installation, record):
    publish(publisher, HEARTBLEED)
    installation.sync(Source.KEV)
    record(observed(HEARTBLEED))
    assert findings(sessions) == {HEARTBLEED: True}
    assert history(sessions, HEARTBLEED) == ["opened"]


def test_what_cisa_withdraws_is_taken_back(sessions, publisher, installation, record):
    publish(publisher, HEARTBLEED, OTHER)
    installation.sync(Source.KEV)
    record(observed(HEARTBLEED))
    publish(publisher, OTHER, day=21)
    assert installation.sync(Source.KEV).result["findings_withdrawn"] == 1
    assert findings(sessions) == {HEARTBLEED: False}
    assert history(sessions, HEARTBLEED) == ["opened", "kev_withdrawn"]


def test_what_is_not_open_is_left_alone(sessions, publisher, installation, record):
    record(observed(HEARTBLEED))
    record()
    publish(publisher, HEARTBLEED)
    installation.sync(Source.KEV)
    with database.reading(sessions) as session:
        row = session.scalars(sa.select(Finding)).one()
        assert (row.status, row.kev) == (FindingStatus.FIXED, False)
    record(observed(HEARTBLEED))
    assert findings(sessions) == {HEARTBLEED: True}


def test_a_catalogue_and_a_run_that_meet_miss_nothing(sessions, publisher, installation, asset_id):
    """The run's finding is not to be seen while the catalogue comes, and the catalogue not by the run."""
    publish(publisher, OTHER)
    installation.sync(Source.KEV)
    publish(publisher, OTHER, HEARTBLEED, day=21)
    thread = threading.Thread(target=installation.sync, args=(Source.KEV,))
    with database.transaction(sessions) as session:
        run = add_run(session, add_scan(session))
        lifecycle.record(session, Recording(asset_id, run.id, 1, {}), [observed(HEARTBLEED)])
        thread.start()
        thread.join(1.5)  # a catalogue that does not wait is there by now
    thread.join()
    assert findings(sessions) == {HEARTBLEED: True}
