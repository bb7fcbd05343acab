"""Whole syncs against the fake: the mirror equals its upstream, the watermark is never ahead, and the row says what happened."""

import dataclasses
import datetime as dt
import random
import threading
import time

import pytest
import sqlalchemy as sa

from shared import database, doorbell
from shared.database import Sessions
from shared.models.coverage import SyncPage, SyncWindow
from shared.models.mirror import MirrorChange, Quarantine, Snapshot, SyncKind, SyncState
from shared.models.task import TaskState
from shared.settings import Settings
from tests.upstream import faults, quick
from tests.upstream.mirror import Mirror, pointed_at
from tests.upstream.records import make_record, unusable, with_new_enum, without_cpe_match
from tests.upstream.server import Request, Upstream
from worker_service.clients.allowance import Allowance, Limit
from worker_service.clients.nvd_api import NvdApi


@pytest.fixture
def mirror(sessions: Sessions, settings: Settings, upstream: Upstream) -> Mirror:
    return Mirror(sessions, pointed_at(settings, upstream), upstream)


@pytest.fixture
def filled(mirror: Mirror) -> Mirror:
    """A mirror that is complete."""
    assert mirror.sync().state == TaskState.SUCCESS
    mirror.upstream.forget_requests()
    return mirror


def check(mirror: Mirror) -> None:
    """The mirror equals its upstream, nothing is left half done, and the watermark is not ahead."""
    assert mirror.differences() == []
    assert mirror.coverage.watermark <= mirror.upstream.clock
    with database.reading(mirror.sessions) as session:
        assert session.scalars(sa.select(SyncWindow)).all() == []
        assert session.scalars(sa.select(SyncPage)).all() == []


def test_feeds_fill_an_empty_mirror_and_the_api_brings_the_tail(mirror: Mirror):
    mirror.upstream.add(make_record("CVE-2024-90001", mirror.upstream.clock, random.Random(7)))
    task = mirror.sync()
    check(mirror)
    assert (mirror.last_sync.kind, mirror.last_sync.state) == (SyncKind.BOOTSTRAP, SyncState.COMPLETED)
    assert task.result is not None
    assert task.result["changed"] == 221
    asked = [request for request in mirror.upstream.requests if request.is_api]
    assert len(asked) <= 3  # the probe, and what changed in the last days
    assert mirror.coverage.upstream_total == 221


def test_an_update_reads_what_changed_and_changes_only_that(filled: Mirror):
    names = sorted(filled.upstream.records)[:9]
    for name in names:
        filled.upstream.modify(name, vulnStatus="Modified")
    with database.reading(filled.sessions) as session:
        before = session.scalar(sa.select(sa.func.max(Snapshot.number)))
    filled.sync()
    check(filled)
    with database.reading(filled.sessions) as session:
        changes = session.scalars(sa.select(MirrorChange).where(MirrorChange.snapshot > before)).all()
    assert len(changes) == 9
    assert filled.last_sync.kind == SyncKind.UPDATE


def test_an_update_without_news_makes_no_snapshot(filled: Mirror):
    with database.reading(filled.sessions) as session:
        before = session.scalar(sa.select(sa.func.max(Snapshot.number)))
    task = filled.sync()
    with database.reading(filled.sessions) as session:
        assert session.scalar(sa.select(sa.func.max(Snapshot.number))) == before
    assert task.result is not None
    assert task.result["changed"] == 0


def test_the_watermark_is_the_upstreams_own_time(filled: Mirror):
    first = filled.coverage.watermark
    filled.upstream.clock += dt.timedelta(hours=6)
    filled.sync()
    assert first < filled.coverage.watermark <= filled.upstream.clock
    assert filled.upstream.clock - filled.coverage.watermark < dt.timedelta(minutes=1)


def test_after_a_long_downtime_the_gap_is_filled_in_windows(filled: Mirror):
    for name in sorted(filled.upstream.records)[:60]:
        filled.upstream.clock += dt.timedelta(days=5)
        filled.upstream.modify(name, vulnStatus="Modified")
    filled.sync()
    check(filled)
    windows = {request.params.get("lastModStartDate") for request in filled.upstream.requests}
    assert len(windows - {None}) == 3


def test_a_full_sync_finds_what_a_window_cannot_show(filled: Mirror):
    name = sorted(filled.upstream.records)[3]
    quiet = filled.upstream.records[name] | {"descriptions": [{"lang": "en", "value": "Changed in silence."}]}
    filled.upstream.put(quiet)
    filled.sync()
    assert filled.differences() == [f"{name}: differs"]
    filled.sync(full=True)
    check(filled)
    assert filled.last_sync.kind == SyncKind.FULL


def test_a_full_sync_tells_what_the_upstream_does_not_have_any_more(filled: Mirror):
    name = sorted(filled.upstream.records)[3]
    del filled.upstream.records[name]
    filled.sync(full=True)
    assert filled.last_sync.troubles == {f"not in the NVD any more, and kept: {name}": 1}
    assert [each.partition(":")[0] for each in filled.differences()] == [name]


def test_missing_records_are_noticed_and_fetched(filled: Mirror):
    old = make_record("CVE-2019-90001", filled.upstream.clock - dt.timedelta(days=300), random.Random(7))
    filled.upstream.put(old)
    filled.sync()
    check(filled)
    assert any("1 records were missing" in text for text in filled.last_sync.troubles)


def test_without_feeds_the_api_does_the_bootstrap(mirror: Mirror):
    mirror.upstream.feeds_down = faults.html
    mirror.sync()
    check(mirror)
    assert mirror.last_sync.substitute.endswith("(6 attempts). The bootstrap was done by the API instead.")


def test_trouble_with_the_feeds_is_told_while_it_lasts(mirror: Mirror):
    told = []

    def look(_request: Request) -> None:
        told.append(mirror.last_sync.troubles)

    mirror.upstream.feed_faults = [None, faults.html, faults.html]
    mirror.upstream.before = look
    mirror.sync()
    assert [sum((each or {}).values()) for each in told[:4]] == [0, 0, 1, 2]
    assert all("HTML page" in text for text in told[3])


def test_trouble_with_the_api_is_told_while_it_lasts(mirror: Mirror):
    mirror.sync()
    mirror.upstream.forget_requests()
    told = []

    def look(_request: Request) -> None:
        told.append((mirror.last_sync.troubles, mirror.stage))

    mirror.upstream.api_faults = [faults.unavailable, faults.unavailable, faults.too_many("0")]
    mirror.upstream.before = look
    mirror.sync()
    probes = [request for request in mirror.upstream.requests if request.params["resultsPerPage"] == "1"]
    assert [request.status for request in probes] == [503, 503, 429, 200]
    page = "the NVD API answered 503 with an HTML page"
    assert [troubles for troubles, _ in told[:4]] == [
        None,
        {page: 1},
        {page: 2},
        {page: 2, "the NVD API answered 429": 1},
    ]
    assert [stage for _, stage in told[:4]] == ["api: looking"] * 4


def test_without_the_api_the_feeds_do_the_bootstrap(mirror: Mirror):
    mirror.upstream.api_down = faults.unavailable
    mirror.sync()
    check(mirror)
    assert "The feeds were read instead" in mirror.last_sync.substitute


def test_without_the_api_the_feeds_bring_what_changed(filled: Mirror):
    filled.upstream.api_down = faults.unavailable
    for name in sorted(filled.upstream.records)[:9]:
        filled.upstream.modify(name, vulnStatus="Modified")
    filled.upstream.publish_feeds()
    filled.sync()
    check(filled)
    files = [request.path for request in filled.upstream.requests if request.path.endswith(".gz")]
    assert len(files) == 1  # `modified` reaches back far enough
    assert "answered 503" in filled.last_sync.substitute


def test_without_any_source_it_fails_and_says_so(filled: Mirror):
    before = filled.coverage.watermark
    filled.upstream.api_down = filled.upstream.feeds_down = faults.unavailable
    task = filled.sync()
    assert task.state == TaskState.FAILURE
    assert (filled.last_sync.state, filled.last_sync.error) == (SyncState.FAILED, task.error)
    assert "answered 503 with an HTML page" in task.error
    assert filled.coverage.watermark == before
    filled.upstream.api_down = filled.upstream.feeds_down = None
    filled.sync()
    check(filled)


def test_with_everything_off_it_says_so(mirror: Mirror):
    mirror.settings = mirror.settings.with_changes(nvd_api_url="off", nvd_feed_url="off")
    task = mirror.sync()
    assert task.state == TaskState.FAILURE
    assert "both `off`" in task.error


@pytest.mark.parametrize("source", ["nvd_api_url", "nvd_feed_url"])
def test_one_source_is_enough(mirror: Mirror, source: str):
    mirror.settings = mirror.settings.with_changes(**{source: "off"})
    mirror.sync()
    check(mirror)
    assert mirror.last_sync.substitute is None
    for name in sorted(mirror.upstream.records)[:9]:
        mirror.upstream.modify(name, vulnStatus="Modified")
    mirror.upstream.publish_feeds()
    mirror.sync()
    check(mirror)


def test_a_year_whose_feed_never_changes_holds_nothing_back(mirror: Mirror):
    """The NVD writes `.meta` anew only for feeds whose records changed; 2003's may be a year old."""
    mirror.upstream.clock += dt.timedelta(days=300)
    mirror.upstream.modify(max(mirror.upstream.records), vulnStatus="Modified")
    mirror.upstream.publish_feeds()
    mirror.settings = mirror.settings.with_changes(nvd_api_url="off")
    mirror.sync()
    check(mirror)
    assert mirror.coverage.watermark > mirror.upstream.clock - dt.timedelta(days=2)
    mirror.upstream.forget_requests()
    mirror.sync()
    assert not [each.path for each in mirror.upstream.requests if each.path.endswith(".gz")]


def test_a_wrong_key_fails_at_once_and_is_named(filled: Mirror):
    before = filled.coverage.watermark
    filled.settings = pointed_at(filled.settings, filled.upstream, key="wrong")
    task = filled.sync()
    assert (task.state, task.attempt) == (TaskState.FAILURE, 1)
    assert "refuses the API key (NVD_API_KEY)" in filled.last_sync.error
    assert filled.coverage.watermark == before


def test_a_right_key_keeps_several_pages_in_flight(mirror: Mirror):
    mirror.upstream.keys = frozenset({"right"})
    mirror.settings = pointed_at(mirror.settings, mirror.upstream, key="right").with_changes(
        nvd_feed_url="off"
    )
    mirror.sync()
    check(mirror)
    assert all(request.headers.get("apikey") == "right" for request in mirror.upstream.requests)


def test_odd_records_are_used_and_unusable_ones_kept_apart(filled: Mirror):
    odd = iter(sorted(filled.upstream.records))
    changes = (with_new_enum, without_cpe_match, unusable)
    names = [next(odd) for _ in changes]
    for name, change in zip(names, changes, strict=True):
        filled.upstream.modify(name, **change({}))
    assert filled.sync().state == TaskState.SUCCESS
    check(filled)
    with database.reading(filled.sessions) as session:
        assert session.scalars(sa.select(Quarantine.key)).all() == [names[2]]
    filled.upstream.modify(names[2], configurations=[])
    filled.sync()
    check(filled)
    with database.reading(filled.sessions) as session:
        assert session.scalars(sa.select(Quarantine.key)).all() == []


def test_an_upstream_that_lost_its_data_is_not_believed(filled: Mirror):
    before = filled.coverage.watermark
    kept, filled.upstream.records = filled.upstream.records, {}
    filled.settings = filled.settings.with_changes(nvd_feed_url="off")
    task = filled.sync()
    assert task.state == TaskState.FAILURE
    assert "that is not believed" in task.error
    assert filled.coverage.watermark == before
    filled.upstream.records = kept
    assert filled.differences() == []


def test_two_workers_together_never_exceed_the_allowance(mirror: Mirror, redis_url: str):
    """Two syncs of one upstream from two databases are the worst case: nothing but Redis knows of both."""
    limit = Limit(12, seconds=0.5, slack=1.0)
    mirror.tuning = dataclasses.replace(mirror.tuning, limit=limit, page_size=20)
    mirror.settings = mirror.settings.with_changes(nvd_feed_url="off", redis_url=redis_url)
    mirror.upstream.api_faults = [None, faults.unavailable, faults.too_many("0")] * 3
    other = threading.Thread(target=lambda: many_questions(mirror, limit, redis_url))
    other.start()
    mirror.sync()
    other.join()
    check(mirror)
    moments = sorted(request.at for request in mirror.upstream.requests)
    assert len(moments) > 30
    assert (
        max(sum(start <= at < start + limit.seconds for at in moments) for start in moments) <= limit.requests
    )


def many_questions(mirror: Mirror, limit: Limit, redis_url: str) -> None:
    """Another worker's: as fast as it is allowed to."""
    asking = quick.caller(pause=time.sleep)
    url = mirror.settings.nvd_api_url
    allowance = Allowance(limit, doorbell.connect(redis_url, 1.0), f"nvd:{url}", time.sleep)
    client = NvdApi(url, asking, allowance, None, 20)
    for _ in range(15):
        client.probe()
