import datetime as dt

import pytest

from shared.errors import Invalid
from shared.schedules import next_time


def utc(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "due"),
    [
        ("0 3 * * *", "UTC", "2026-07-01T02:59:59", "2026-07-01T03:00"),
        ("0 3 * * *", "UTC", "2026-07-01T03:00:00", "2026-07-02T03:00"),
        ("0 3 * * 1", "UTC", "2026-07-01T00:00", "2026-07-06T03:00"),
        ("0 3 * * *", "Europe/Berlin", "2026-01-15T00:00", "2026-01-15T02:00"),
        ("0 3 * * *", "Europe/Berlin", "2026-07-15T00:00", "2026-07-15T01:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T01:00"),  # 02:30 is skipped: at 03:00
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00",
            "2026-10-25T00:30",
        ),  # 02:30 comes twice: the first
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30", "2026-10-26T01:30"),  # and not the second
        ("0 0 29 2 *", "UTC", "2026-07-01T00:00", "2028-02-29T00:00"),
        ("*/15 * * * *", "Asia/Kathmandu", "2026-07-01T00:01", "2026-07-01T00:15"),
    ],
)
def test_next_time(cron, zone, after, due):
    assert next_time(cron, zone, utc(after)) == utc(due)


@pytest.mark.parametrize("cron", ["", "* * * *", "61 * * * *", "every day", "0 0 30 2 *", "0 0 * * * * *"])
def test_a_cron_expression_that_cannot_be_used_names_its_field(cron):
    with pytest.raises(Invalid) as refused:
        next_time(cron, "UTC", utc("2026-07-01T00:00"))
    assert list(refused.value.errors) == ["schedule.cron"]


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "Europe/Berlin\x00"])
def test_a_zone_that_does_not_exist_names_its_field(zone):
    with pytest.raises(Invalid) as refused:
        next_time("0 3 * * *", zone, utc("2026-07-01T00:00"))
    assert list(refused.value.errors) == ["schedule.timezone"]
