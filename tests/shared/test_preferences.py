"""What goes out through a channel, and when; quiet hours by the clock of a zone, over its changes."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import preferences
from shared.errors import Invalid
from shared.models.channel import Channel, Digest
from shared.models.notification import Notification, NotificationType, Priority
from shared.preferences import Decision, Silence, make_rules

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = {"from": "22:00", "to": "07:00", "timezone": "Europe/Berlin"}


def notification(kind="scan_completed", priority=Priority.NORMAL, data=None):
    return Notification(type=kind, priority=priority, data=data)


def rules(min_priority=Priority.LOW, types=None, quiet=None, digest=Digest.IMMEDIATE):
    return make_rules(min_priority, types, quiet, digest)


def local(text, fold=0, zone=BERLIN):
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(dt.UTC)


def due(moment, quiet=NIGHT, digest=Digest.IMMEDIATE, **what):
    decision = preferences.decide(rules(quiet=quiet, digest=digest), notification(**what), moment)
    assert isinstance(decision, Decision)
    return decision.due_at


@pytest.mark.parametrize(
    ("given_rules", "told", "reason"),
    [
        ({"min_priority": Priority.HIGH}, {}, "min_priority"),
        ({"min_priority": Priority.HIGH}, {"priority": Priority.HIGH}, None),
        ({"types": ["scan_failed"]}, {}, "types"),
        ({"types": ["scan_completed"]}, {}, None),
        ({"types": ["fixed"]}, {"data": {"events": ["scan_completed", "fixed"]}}, None),
        ({"types": ["fixed"]}, {"data": {"events": []}}, "types"),
        ({}, {"kind": "channel_paused"}, "in_app_only"),
        ({}, {"kind": "channel_disabled", "priority": Priority.CRITICAL}, "in_app_only"),
    ],
)
def test_what_is_for_a_channel(given_rules, told, reason):
    now = local("2026-07-01T12:00")
    decision = preferences.decide(rules(**given_rules), notification(**told), now)
    assert decision == (Silence(reason) if reason else Decision(now, digest=False, held=False))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-07-01T21:59", "2026-07-01T21:59"),
        ("2026-07-01T22:00", "2026-07-02T07:00"),
        ("2026-07-02T00:00", "2026-07-02T07:00"),
        ("2026-07-02T06:59", "2026-07-02T07:00"),
        ("2026-07-02T07:00", "2026-07-02T07:00"),
    ],
)
def test_quiet_hours_over_midnight(moment, expected):
    assert due(local(moment)) == local(expected)


def test_quiet_hours_within_a_day():
    noon = {"from": "12:00", "to": "13:30", "timezone": "UTC"}
    at = dt.datetime(2026, 7, 1, 12, 30, tzinfo=dt.UTC)
    assert due(at, noon) == at.replace(hour=13)
    assert due(at.replace(hour=14), noon) == at.replace(hour=14)


@pytest.mark.parametrize(
    ("moment", "quiet_end", "expected"),
    [
        # Europe/Berlin, 2026-03-29: 02:00 becomes 03:00; 2026-10-25: 03:00 becomes 02:00.
        (local("2026-03-28T23:00"), "07:00", "2026-03-29T05:00+00:00"),
        (local("2026-03-28T23:00"), "02:30", "2026-03-29T01:00+00:00"),
        (local("2026-10-24T23:00"), "07:00", "2026-10-25T06:00+00:00"),
        (local("2026-10-24T23:00"), "02:30", "2026-10-25T00:30+00:00"),
        (local("2026-10-25T02:10", fold=1), "02:30", "2026-10-25T01:30+00:00"),
    ],
)
def test_quiet_hours_end_by_the_clock_when_clocks_change(moment, quiet_end, expected):
    assert due(moment, {**NIGHT, "to": quiet_end}) == dt.datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    "what", [{"priority": Priority.CRITICAL}, {"data": {"events": ["fixed"], "known_exploited": True}}]
)
def test_what_cannot_wait_breaks_through(what):
    at = local("2026-07-01T23:00")
    assert due(at, **what) == at


@pytest.mark.parametrize(
    ("digest", "moment", "expected"),
    [
        (Digest.HOURLY, "2026-07-01T12:00", "2026-07-01T13:00"),
        (Digest.HOURLY, "2026-07-01T12:59", "2026-07-01T13:00"),
        (Digest.HOURLY, "2026-07-01T21:30", "2026-07-02T07:00"),
        (Digest.DAILY, "2026-07-01T07:59", "2026-07-01T08:00"),
        (Digest.DAILY, "2026-07-01T08:00", "2026-07-02T08:00"),
        (Digest.DAILY, "2026-03-28T12:00", "2026-03-29T08:00"),
    ],
)
def test_a_digest_is_due_at_the_end_of_its_period(digest, moment, expected):
    assert due(local(moment), digest=digest) == local(expected)


def test_a_daily_digest_without_quiet_hours_is_due_in_utc():
    at = dt.datetime(2026, 7, 1, 9, tzinfo=dt.UTC)
    assert due(at, None, Digest.DAILY) == dt.datetime(2026, 7, 2, 8, tzinfo=dt.UTC)


def test_what_breaks_through_does_not_wait_for_the_end_of_quiet_hours_in_a_digest_either():
    at = local("2026-07-01T23:10")
    assert due(at, digest=Digest.HOURLY, priority=Priority.CRITICAL) == local("2026-07-02T00:00")


ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"]
)
CLOCKS = st.times(min_value=dt.time(0), max_value=dt.time(23, 59)).map(lambda clock: f"{clock:%H:%M}")
MOMENTS = st.integers(0, 4 * 366 * 86_400).map(
    lambda seconds: dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
)


@given(start=CLOCKS, end=CLOCKS, zone=ZONES, moment=MOMENTS, digest=st.sampled_from(Digest))
def test_nothing_is_due_in_quiet_hours_nor_long_after_them(start, end, zone, moment, digest):
    if start == end:
        return
    quiet = {"from": start, "to": end, "timezone": zone}
    made = rules(quiet=quiet, digest=digest)
    decision = preferences.decide(made, notification(), moment)
    assert isinstance(decision, Decision)
    assert moment <= decision.due_at <= moment + dt.timedelta(hours=51)
    assert not made.quiet.hold(decision.due_at)
    if digest == Digest.IMMEDIATE:
        assert decision.held == made.quiet.hold(moment) == (decision.due_at > moment)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"timezone": "Mars/Olympus"}, "quiet_hours.timezone"),
        ({"timezone": "../etc/passwd"}, "quiet_hours.timezone"),
        ({"from": "25:00"}, "quiet_hours.from"),
        ({"to": "soon"}, "quiet_hours.to"),
        ({"to": "22:00"}, "quiet_hours.to"),
    ],
)
def test_quiet_hours_that_cannot_be_used_say_where(changes, field):
    with pytest.raises(Invalid) as caught:
        rules(quiet={**NIGHT, **changes})
    assert list(caught.value.errors) == [field]


def test_a_zone_that_this_installation_no_longer_knows_holds_nothing_back():
    channel = Channel(
        min_priority=Priority.LOW,
        types=None,
        quiet_hours={**NIGHT, "timezone": "Mars/Olympus"},
        digest=Digest.IMMEDIATE,
    )
    assert preferences.rules_of(channel).quiet is None


def test_every_type_is_short_enough_for_its_column():
    assert max(map(len, NotificationType)) <= 64
