"""The NVD's envelope, and times as the NVD writes them."""

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import database, serving
from shared.errors import Unavailable
from tests import builders
from worker_service.clients.nvd_text import moment

moments = st.datetimes(timezones=st.just(dt.UTC))


@given(moments)
def test_a_time_is_cut_and_never_rounded_up(at: dt.datetime):
    read = moment(serving.text(at))
    assert read is not None
    assert dt.timedelta(0) <= at - read < serving.INSTANT


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 2000), moments)
def test_the_envelope_is_json_around_any_records(total: int, start: int, count: int, at: dt.datetime):
    document = json.loads(serving.envelope(total, start, count, at) + b'{"cve":{}}' + serving.TAIL)
    assert (document["totalResults"], document["startIndex"], document["resultsPerPage"]) == (
        total,
        start,
        count,
    )
    assert document["vulnerabilities"] == [{"cve": {}}]


def test_a_mirror_stands_for_what_was_proven(sessions):
    with database.reading(sessions) as session, pytest.raises(Unavailable, match="is empty"):
        serving.standing(session)
    first, second = (dt.datetime(2026, 6, day, tzinfo=dt.UTC) for day in (17, 18))
    builders.prove(sessions, first)
    with database.reading(sessions) as session:
        before = serving.standing(session)
    builders.prove(sessions, second)
    with database.reading(sessions) as session:
        after = serving.standing(session)
    assert (before.watermark, after.watermark) == (first, second)
    assert after.since == before.since


def test_what_is_not_there_is_not_made_up(sessions):
    with database.reading(sessions) as session, pytest.raises(KeyError):
        serving.elements(session, [2026 << 32 | 1])
