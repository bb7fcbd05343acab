"""Feeds over HTTP: `.meta` first, what is known is not fetched, and only a file that is the described one is kept."""

import gzip
from pathlib import Path

import pytest

from shared.errors import Permanent, Transient
from tests.upstream import faults, quick
from tests.upstream.server import FEEDS, FIRST_YEAR, Upstream
from worker_service.clients.nvd_feed_files import NvdFeedFiles, parse_meta, verify

YEAR = str(FIRST_YEAR)
PASSING = {
    "html": (faults.html, "an HTML page where a .meta file belongs"),
    "overloaded": (faults.unavailable, "answered 503 with an HTML page"),
    "hung up": (faults.hung_up, "hung up without an answer"),
    "other digest": (faults.other_digest, "whose digest is not the one in its .meta"),
}
"""On the `.meta`."""
PASSING_FILE = {
    "html": (faults.html, f"answered an HTML page where the feed {YEAR} belongs"),
    "overloaded": (faults.unavailable, "answered 503 with an HTML page"),
    "cut": (faults.cut, "broke off in the middle of its answer"),
    "truncated": (faults.truncated, "breaks off"),
    "other bytes": (faults.other_digest, "larger than its .meta says"),
}
"""On the file."""


@pytest.fixture
def feeds(upstream: Upstream, tmp_path: Path) -> NvdFeedFiles:
    return NvdFeedFiles(upstream.url + FEEDS, quick.caller("the NVD's feeds"), tmp_path / "feeds")


def test_a_feed_is_fetched_and_verified(feeds: NvdFeedFiles):
    found = feeds.fetch(YEAR)
    assert found is not None
    meta, path = found
    assert path is not None
    assert len(gzip.decompress(path.read_bytes())) == meta.size


def test_what_is_known_is_not_fetched(upstream: Upstream, feeds: NvdFeedFiles):
    meta = feeds.meta(YEAR)
    assert meta is not None
    assert feeds.fetch(YEAR, known=meta.sha256) == (meta, None)
    assert not any(request.path.endswith(".gz") for request in upstream.requests)


def test_what_a_killed_fetch_left_is_not_fetched_again(upstream: Upstream, feeds: NvdFeedFiles):
    first = feeds.fetch(YEAR)
    upstream.forget_requests()
    assert feeds.fetch(YEAR) == first
    assert [request.path for request in upstream.requests] == [f"{FEEDS}/nvdcve-2.0-{YEAR}.meta"]


def test_a_feed_that_is_not_there_is_none(feeds: NvdFeedFiles):
    assert feeds.fetch("1999") is None


@pytest.mark.parametrize("name", PASSING)
def test_trouble_with_the_meta_passes(upstream: Upstream, feeds: NvdFeedFiles, name: str):
    fault, text = PASSING[name]
    upstream.feed_faults = [fault]
    check(feeds, text)


@pytest.mark.parametrize("name", PASSING_FILE)
def test_trouble_with_the_file_passes(upstream: Upstream, feeds: NvdFeedFiles, name: str):
    fault, text = PASSING_FILE[name]
    upstream.feed_faults = [None, fault]
    check(feeds, text)


def check(feeds: NvdFeedFiles, text: str) -> None:
    found = feeds.fetch(YEAR)
    assert found is not None
    assert found[1] is not None
    assert verify(found[1], found[0])
    (told,) = feeds.caller.troubles.drain()
    assert text in told
    assert not list(feeds.folder.glob("*.part"))


def test_a_meta_that_never_fits_is_given_up_for_now(upstream: Upstream, feeds: NvdFeedFiles):
    upstream.feed_faults = [faults.other_digest, None] * 6
    with pytest.raises(Transient, match=r"The feed \d+ and its \.meta do not agree"):
        feeds.fetch(YEAR)


def test_a_refusal_is_named(upstream: Upstream, feeds: NvdFeedFiles):
    upstream.feeds_down = lambda _right: faults.Answer(401)
    with pytest.raises(Permanent, match=r"answered 401; is NVD_FEED_URL right"):
        feeds.fetch(YEAR)


def test_a_meta_file_is_read():
    meta = parse_meta(
        "lastModifiedDate:2026-03-14T03:00:01-04:00\r\nsize:5\r\nzipSize:4\r\ngzSize:3\r\nsha256:" + "AB" * 32
    )
    assert meta is not None
    assert meta.last_modified.isoformat() == "2026-03-14T07:00:01+00:00"
    assert (meta.size, meta.gz_size, meta.sha256) == (5, 3, "ab" * 32)


@pytest.mark.parametrize("text", ["", "<html>", "size:1", "lastModifiedDate:x\nsize:1\ngzSize:1\nsha256:00"])
def test_what_is_no_meta_file_is_none(text: str):
    assert parse_meta(text) is None


def test_the_official_metas_verify_the_official_feeds(data_dir: Path):
    metas = sorted((data_dir / "nvd").glob("*.meta"))
    assert metas
    for path in metas[:3]:
        meta = parse_meta(path.read_text())
        assert meta is not None
        assert verify(path.with_name(path.stem + ".json.gz"), meta), path.name
