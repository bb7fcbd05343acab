import dataclasses
import uuid

import pytest
import sqlalchemy as sa

from shared import database
from shared.lifecycle import finding as lifecycle
from shared.lifecycle.finding import Observed, Recording
from shared.matching.component import Component
from shared.models.finding import Finding, FindingEvent, FindingStatus, Severity, Triage
from shared.models.scan import Run, RunStatus
from tests.builders import add_run, add_scan

SEEN = Observed(
    component_key="pkg:pypi/jinja2",
    component_name="jinja2",
    versions=frozenset({"2.10"}),
    cve_id="CVE-2019-10906",
    certainty="likely",
    severity=Severity.HIGH,
    score=8.6,
    kev=False,
    evidence=[{"criterion": "cpe:2.3:a:palletsprojects:jinja:*:*:*:*:*:*:*:*"}],
)
PRESENT = {"pkg:pypi/jinja2": frozenset({"2.10"})}


@pytest.fixture
def asset_id(sessions):
    with database.transaction(sessions) as session:
        return add_scan(session).asset_id


@pytest.fixture
def record(sessions, asset_id):
    """Record what a run saw, as a completed run does."""

    def record(*observed, present=PRESENT, snapshot=1):
        with database.transaction(sessions) as session:
            scan = add_scan(session)
            run = add_run(session, scan)
            return lifecycle.record(session, Recording(asset_id, run.id, snapshot, present), observed)

    return record


@pytest.fixture
def finding(sessions):
    def finding():
        with database.reading(sessions) as session:
            return session.scalars(sa.select(Finding)).one()

    return finding


@pytest.fixture
def events(sessions):
    def events():
        with database.reading(sessions) as session:
            return session.scalars(sa.select(FindingEvent.kind).order_by(FindingEvent.id)).all()

    return events


def test_what_is_seen_first_is_opened(record, finding, events):
    counts = record(SEEN)
    assert (counts["findings"], counts["new"], counts["high"]) == (1, 1, 1)
    row = finding()
    assert (row.status, row.component_version, row.severity) == (FindingStatus.OPEN, "2.10", Severity.HIGH)
    assert row.first_run_id == row.last_run_id
    assert events() == ["opened"]


def test_what_is_seen_again_changes_only_when_and_by_which_run(record, finding, events):
    record(SEEN)
    before = finding()
    counts = record(SEEN, snapshot=2)
    after = finding()
    assert (counts["new"], counts["reopened"], counts["fixed"]) == (0, 0, 0)
    assert (after.id, after.snapshot, after.first_seen_at) == (before.id, 1, before.first_seen_at)
    assert after.last_run_id != before.last_run_id
    assert events() == ["opened"]


WORSE = {"severity": ["severity_raised"], "kev": ["known_exploited"]}
"""What its owner should hear of stands in its history."""


@pytest.mark.parametrize(
    "change",
    [
        {"certainty": "confirmed"},
        {"versions": frozenset({"2.10", "2.9"})},
        {"severity": Severity.CRITICAL, "score": 9.8},
        {"kev": True},
        {"evidence": [{"criterion": "another"}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_new_knowledge_keeps_identity_and_triage(sessions, record, finding, events, change):
    record(SEEN)
    first = finding().id
    with database.transaction(sessions) as session:
        session.execute(
            sa.update(Finding).values(triage=Triage.RISK_ACCEPTED, justification="internal", version=2)
        )
    record(dataclasses.replace(SEEN, **change), snapshot=7)
    row = finding()
    assert (row.id, row.triage, row.justification, row.version) == (
        first,
        Triage.RISK_ACCEPTED,
        "internal",
        2,
    )
    assert row.snapshot == 7
    assert row.status == FindingStatus.OPEN
    assert events() == ["opened", *WORSE.get(next(iter(change)), [])]


def test_a_component_that_is_gone_is_fixed(record, finding, events):
    record(SEEN)
    counts = record(present={})
    assert counts["fixed"] == 1
    assert (finding().status, finding().fixed_at is None) == (FindingStatus.FIXED, False)
    assert events() == ["opened", "fixed"]


def test_an_upgrade_that_helps_is_a_fix(record, finding):
    record(SEEN)
    record(present={"pkg:pypi/jinja2": frozenset({"2.11"})})
    assert finding().status == FindingStatus.FIXED


def test_an_upgrade_that_does_not_help_is_the_same_finding(record, finding):
    record(SEEN)
    first = finding().id
    record(dataclasses.replace(SEEN, versions=frozenset({"2.10.1"})))
    assert (finding().id, finding().component_version) == (first, "2.10.1")


def test_data_that_no_longer_matches_is_a_retraction(record, finding, events):
    record(SEEN)
    counts = record()
    assert counts["retracted"] == 1
    assert (finding().status, finding().fixed_at) == (FindingStatus.RETRACTED, None)
    assert events() == ["opened", "retracted"]


@pytest.mark.parametrize("present", [{}, PRESENT], ids=["fixed", "retracted"])
def test_what_returns_is_reopened(record, finding, events, present):
    record(SEEN)
    first = finding().id
    record(present=present)
    counts = record(SEEN)
    assert (counts["new"], counts["reopened"]) == (0, 1)
    assert (finding().id, finding().status, finding().fixed_at) == (first, FindingStatus.OPEN, None)
    assert events()[-1] == "reopened"


def test_what_is_gone_already_is_left_alone(record, finding, events):
    record(SEEN)
    record(present={})
    last_run = finding().last_run_id
    record(present={})
    assert finding().last_run_id == last_run
    assert events() == ["opened", "fixed"]


def test_another_assets_findings_are_not_touched(sessions, record, finding):
    record(SEEN)
    with database.transaction(sessions) as session:
        scan = add_scan(session)
        run = add_run(session, scan)
        lifecycle.record(session, Recording(scan.asset_id, run.id, 1, {}), [])
    assert finding().status == FindingStatus.OPEN


def test_a_recording_that_is_rolled_back_changes_nothing(sessions, record, asset_id, finding, events):
    record(SEEN)

    def record_and_fail():
        with database.transaction(sessions) as session:
            run = add_run(session)
            lifecycle.record(session, Recording(asset_id, run.id, 2, {}), [])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        record_and_fail()
    assert finding().status == FindingStatus.OPEN
    assert events() == ["opened"]


def test_a_component_without_version_is_retracted_while_it_is_there(record, finding):
    record(dataclasses.replace(SEEN, versions=frozenset({""})))
    assert finding().component_version is None
    record(present={"pkg:pypi/jinja2": frozenset({""})})
    assert finding().status == FindingStatus.RETRACTED


def test_a_finding_outlives_its_run(sessions, record, finding):
    record(SEEN)
    with database.transaction(sessions) as session:
        session.execute(sa.update(Run).values(status=RunStatus.COMPLETED))
        session.execute(sa.delete(Run))
    assert finding().last_run_id is None


@pytest.mark.parametrize(
    ("component", "key"),
    [
        (Component("Jinja2", "2.10", "pkg:pypi/Jinja2@2.10?extra=x", ()), "pkg:pypi/jinja2"),
        (Component("bash", "5", "pkg:deb/debian/bash@5?arch=amd64", ()), "pkg:deb/debian/bash"),
        (
            Component("openssl", "1", None, ("cpe:2.3:a:OpenSSL:openssl:1:*:*:*:*:*:*:*",)),
            "cpe:a:openssl:openssl",
        ),
        (Component("openssl", "1", None, ("cpe:/a:openssl:openssl:1",)), "cpe:a:openssl:openssl"),
        (Component("Left Pad", "1", "not a purl", ()), "name:left pad"),
    ],
)
def test_the_key_leaves_the_version_out(component, key):
    assert lifecycle.component_key(component) == key


def test_long_keys_stay_distinct_and_fit():
    names = [f"{'x' * 500}{uuid.uuid4()}" for _ in range(2)]
    keys = {lifecycle.component_key(Component(name, "1", None, ())) for name in names}
    assert len(keys) == 2
    assert max(map(len, keys)) <= 400
