"""FIRST's scores are read as they come, and a thing that is no file of scores is named."""

import contextlib
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.mirror import vulnerability_id
from tests.upstream.published import plain_scores
from worker_service.clients import epss
from worker_service.clients.http import Spoiled

DATE, VERSION = "2026-06-18T12:00:00Z", "v2025.03.14"
NOON = dt.datetime(2026, 6, 18, 12, tzinfo=dt.UTC)
ROW = "CVE-2014-0160,0.94461,0.99990"


def body(*rows, date=DATE):
    return plain_scores(rows, date, VERSION)


def test_scores_are_read():
    found = epss.read([body(ROW, "CVE-1999-0001,0.00042,0.05")])
    assert (found.version, found.released_at, len(found), found.skipped) == (VERSION, NOON, 2, {})
    assert list(found.ids) == [vulnerability_id("CVE-2014-0160"), vulnerability_id("CVE-1999-0001")]
    assert (list(found.scores), list(found.percentiles)) == ([0.94461, 0.00042], [0.9999, 0.05])


@pytest.mark.parametrize(
    ("date", "moment"),
    [("2026-06-18T12:00:00+0000", NOON), ("2026-06-18", NOON.replace(hour=0)), ("yesterday", None)],
)
def test_the_day_is_read_however_it_is_written(date, moment):
    assert epss.read([body(ROW, date=date)]).released_at == moment


def test_other_ways_to_write_the_same_table():
    text = '\ufeffpercentile,"CVE",new,epss\r\n"0.5","cve-2014-0160",x,"1"\r\n\r\n'
    found = epss.read([text.encode()])
    assert (list(found.scores), list(found.percentiles), found.version) == ([1.0], [0.5], None)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ("CVE-2014,0.1,0.1", "no usable CVE id"),
        ("GHSA-1,0.1,0.1", "no usable CVE id"),
        ("CVE-2014-0161", "too few columns"),
        ("CVE-2014-0161,,0.1", "a score or percentile that is no number"),
        ("CVE-2014-0161,high,0.1", "a score or percentile that is no number"),
        ("CVE-2014-0161,1.01,0.1", "a score or percentile that is not from 0 to 1"),
        ("CVE-2014-0161,0.1,nan", "a score or percentile that is not from 0 to 1"),
        ("CVE-2014-0161,-inf,0.1", "a score or percentile that is not from 0 to 1"),
    ],
)
def test_an_odd_line_is_counted_with_its_reason(odd, reason):
    found = epss.read([body(odd, ROW)])
    assert (len(found), found.skipped) == (1, {reason: 1})


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"<!DOCTYPE html>\n<html></html>\n", "an HTML page"),
        (b"<html></html>", "an HTML page"),
        (b"", "no columns"),
        (b"{}\n", "no columns"),
        (body(), "without a usable score"),
        (body("GHSA-1,0.1,0.1"), "without a usable score"),
        (body(ROW)[:-5], "breaks off in the middle of a line"),
        (b"x" * 1_000_000, "it has no lines"),
    ],
    ids=["html", "one line of html", "nothing", "json", "no rows", "no score", "cut", "no lines"],
)
def test_what_is_no_file_of_scores_is_named(content, text):
    with pytest.raises(Spoiled, match=text):
        epss.read([content])


CELLS = st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=12) | st.sampled_from(
    ["CVE-2014-0160", "0.5", "nan", "1e400", '"', "cve", "epss", "percentile"]
)
LINES = st.lists(CELLS, max_size=4).map(",".join)


@given(st.lists(LINES), st.integers(1, 40))
def test_no_line_is_lost_without_a_reason(rows, size):
    content = body(*rows)
    try:
        found = epss.read(content[start : start + size] for start in range(0, len(content), size))
    except Spoiled:
        return
    assert len(found) + found.skipped.total() == sum(map(bool, rows))


@given(st.binary(max_size=200) | st.lists(LINES).map(lambda lines: "\n".join(lines).encode()))
def test_anything_is_read_or_spoiled(content):
    with contextlib.suppress(Spoiled):
        epss.read([content[:7], content[7:]])
