"""CISA's catalogue is read tolerantly, and a thing that is none is named."""

import contextlib
import datetime as dt
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.upstream.published import catalogue, entry
from worker_service.clients import kev
from worker_service.clients.http import Spoiled


def test_the_real_catalogue_is_read_whole(data_dir: Path):
    body = (data_dir / "kev" / "kev-2025-08-25.json").read_bytes()
    found = kev.read([body])
    assert (found.version, len(found), found.skipped) == ("2025.08.25", 1404, {})
    assert found.released_at == dt.datetime(2025, 8, 25, 17, 4, 19, 979600, tzinfo=dt.UTC)
    assert sum(each.ransomware for each in found.entries.values()) == 293
    git = found.entries["CVE-2025-48384"]
    assert (git.vendor, git.product, git.cwes) == ("Git", "Git", ["CWE-59", "CWE-436"])
    assert (git.added, git.due) == (dt.date(2025, 8, 25), dt.date(2025, 9, 15))
    assert git.action.startswith("Apply mitigations per vendor instructions")


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ("text", "no object"),
        (entry("CVE-1"), "no usable cveID"),
        (entry("CVE-2026-0002", cveID=7), "no usable cveID"),
        (entry("CVE-2026-0002", dateAdded="05/04/2022"), "no usable dateAdded"),
        (entry("CVE-2026-0002", dateAdded=None), "no usable dateAdded"),
        (entry("CVE-2026-0001"), "listed twice"),
    ],
    ids=["no object", "other id", "number", "other date", "no date", "twice"],
)
def test_an_odd_entry_is_counted_with_its_reason(odd, reason):
    document = json.loads(catalogue("CVE-2026-0001", "CVE-2026-0003"))
    document["vulnerabilities"].insert(1, odd)
    found = kev.read([json.dumps(document | {"count": 3}).encode()])
    assert (sorted(found.entries), found.skipped) == (["CVE-2026-0001", "CVE-2026-0003"], {reason: 1})


def test_what_is_not_needed_may_be_odd():
    odd = entry(
        " cve-2026-0001 ",
        dueDate="soon",
        cwes="CWE-1",
        notes=[],
        product=None,
        knownRansomwareCampaignUse=1,
        new=1,
    )
    found = kev.read([catalogue(odd, dateReleased="lately", catalogVersion=7)])
    one = found.entries["CVE-2026-0001"]
    assert (one.due, one.cwes, one.notes, one.product, one.ransomware) == (None, [], None, None, False)
    assert (found.released_at, found.version) == (None, None)


def test_what_a_database_cannot_hold_is_left_out():
    assert kev.read([catalogue(entry("CVE-2026-0001", notes="a\0b"))]).entries["CVE-2026-0001"].notes == "ab"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"<!DOCTYPE html><html></html>", "an HTML page"),
        (b"", "no JSON"),
        (catalogue("CVE-2026-0001")[:-20], "no JSON, or breaks off"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no catalogue"),
        (b'{"error": "try again"}', "no list `vulnerabilities`"),
        (catalogue(), "without a usable entry"),
        (catalogue(entry("CVE-1")), "without a usable entry"),
        (catalogue("CVE-2026-0001", count=2), "says that it has 2 entries and gives 1"),
    ],
    ids=["html", "nothing", "cut", "deep", "list", "other", "empty", "no entry", "not all"],
)
def test_what_is_no_catalogue_is_named(body, text):
    with pytest.raises(Spoiled, match=text):
        kev.read([body])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(sorted(entry("CVE-2026-0001")))


@given(
    st.lists(
        st.dictionaries(NAMES, VALUES, max_size=3).map(lambda odd: entry("CVE-2026-0001") | odd) | VALUES
    )
)
def test_no_entry_is_lost_without_a_reason(entries):
    try:
        found = kev.read([catalogue(*(each for each in entries if not isinstance(each, str)))])
    except Spoiled:
        return
    assert len(found) + found.skipped.total() == sum(not isinstance(each, str) for each in entries)


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_anything_is_read_or_spoiled(body):
    try:
        kev.read([body[:7], body[7:]])
    except Spoiled:
        pass
    else:
        pytest.fail("no such thing is a catalogue")


@given(st.data())
def test_a_damaged_catalogue_is_read_or_spoiled(data):
    body = bytearray(catalogue("CVE-2026-0001", "CVE-2026-0002"))
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Spoiled):
        assert len(kev.read([bytes(body)])) <= 2
