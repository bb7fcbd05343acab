"""The mirror's feeds over HTTP: `.meta` and file agree, conditional requests, who may, and what is built when."""

import base64
import datetime as dt
import gzip
import hashlib
import json
import random

import pytest
import sqlalchemy as sa

from api_service.app import create_app
from shared import database, served_feeds
from shared.models.mirror import Quarantine
from shared.models.served import ServedFeed, ServedPiece
from shared.models.task import Task
from shared.tasks import BUILD_NVD_FEEDS
from tests import builders
from tests.upstream.records import make_record, make_records, unusable
from worker_service.clients.nvd_feed_files import parse_meta
from worker_service.handlers.served_feeds import build
from worker_service.tasks import Frame

FEEDS = "/feeds/json/cve/2.0/nvdcve-2.0-"


@pytest.fixture
def watermark(sessions):
    """Now, by the database's clock: a mirror that is up to date."""
    with database.reading(sessions) as session:
        return database.now(session)


@pytest.fixture
def records(load_feed, sessions, watermark):
    made = make_records(3, 60, watermark)
    load_feed(*({"cve": each} for each in made))
    builders.prove(sessions, watermark)
    return {each["id"]: each for each in made}


@pytest.fixture
def get(app, viewer):
    def get(name, **headers):
        sent = {"Authorization": f"Bearer {viewer.token}", **headers}
        return app.test_client().get(FEEDS + name, headers=sent, buffered=True)

    return get


@pytest.fixture
def work_off(sessions, settings):
    """Does what was asked for, as a worker does; gives what each task built."""

    def work_off():
        frame = Frame(sessions, settings)
        waiting = sa.select(Task.id).where(Task.name == BUILD_NVD_FEEDS, Task.ended_at.is_(None))
        with database.reading(sessions) as session:
            ids = session.scalars(waiting).all()
        for task_id in ids:
            frame.run(str(task_id), build)
        with database.reading(sessions) as session:
            return [session.get_one(Task, task_id).result["built"] for task_id in ids]

    return work_off


def check(get, name):
    """The feed, after its `.meta` was found to be true."""
    meta, file = parse_meta(get(f"{name}.meta").text), get(f"{name}.json.gz")
    plain = gzip.decompress(file.data)
    assert (len(plain), len(file.data)) == (meta.size, meta.gz_size)
    assert hashlib.sha256(plain).hexdigest() == meta.sha256
    assert int(file.headers["Content-Length"]) == len(file.data)
    feed = json.loads(plain)
    assert feed["totalResults"] == feed["resultsPerPage"] == len(feed["vulnerabilities"])
    return meta, feed


def held(feed):
    return {each["cve"]["id"]: each["cve"] for each in feed["vulnerabilities"]}


def test_the_first_who_asks_has_them_built(get, records, work_off, watermark, rung):
    for _ in range(3):
        first = get("2002.meta")
        assert (first.status_code, first.headers["Retry-After"]) == (503, "3")
        assert first.headers["message"] == "The feed 2002 is being built."
    assert [ring.name for ring in rung].count(BUILD_NVD_FEEDS) == 1
    (built,) = work_off()
    assert built == [str(year) for year in range(2002, watermark.year + 1)]
    found = {}
    for name in built:
        meta, feed = check(get, name)
        assert meta.last_modified <= watermark
        assert dt.datetime.fromisoformat(feed["timestamp"] + "+00:00") <= watermark
        assert all(int(each[4:8]) == int(name) for each in held(feed))
        found |= held(feed)
    assert found == records
    assert work_off() == []


def test_the_first_year_has_those_before(get, load_feed, sessions, watermark, work_off):
    old = make_record("CVE-1999-0001", watermark, random.Random(1))
    load_feed({"cve": old})
    builders.prove(sessions, watermark)
    get("2002.meta")
    work_off()
    assert held(check(get, "2002")[1]) == {"CVE-1999-0001": old}


def test_modified_has_what_changed_lately_and_what_arrived_lately(
    get, records, load_feed, sessions, work_off
):
    with database.reading(sessions) as session:
        now = database.now(session)
    fresh = make_record("CVE-2026-7001", now - dt.timedelta(days=2), random.Random(1))
    late = make_record("CVE-2026-7002", now - dt.timedelta(days=500), random.Random(2))
    load_feed({"cve": fresh}, {"cve": late})
    builders.prove(sessions, now + dt.timedelta(seconds=1))
    assert get("modified.meta").status_code == get("recent.json.gz").status_code == 503
    assert work_off() == [["modified", "recent"]]
    week = (now - served_feeds.REACH).replace(tzinfo=None).isoformat()
    lately = {name for name, each in records.items() if each["lastModified"] >= week}
    assert set(held(check(get, "modified")[1])) == lately | {"CVE-2026-7001", "CVE-2026-7002"}
    assert all(each["published"] >= week for each in held(check(get, "recent")[1]).values())


def test_what_could_not_be_used_is_in_the_feed_of_its_year(
    get, records, load_feed, sessions, watermark, work_off
):
    odd = unusable(make_record("CVE-2020-7001", watermark, random.Random(1)))
    load_feed({"cve": odd})
    with database.reading(sessions) as session:
        assert session.scalars(sa.select(Quarantine.key)).all() == ["CVE-2020-7001"]
    get("2020.meta")
    work_off()
    assert held(check(get, "2020")[1])["CVE-2020-7001"] == odd


def later(sessions, **changes):
    """Make the feeds look older."""
    with database.transaction(sessions) as session:
        session.execute(sa.update(ServedFeed).values(**changes))


def test_a_little_behind_is_served_and_far_behind_is_not(get, records, sessions, watermark, work_off):
    get("2020.meta")
    work_off()
    builders.prove(sessions, watermark + dt.timedelta(hours=6))
    assert get("2020.meta").status_code == 200
    assert work_off() == []  # a year is not built twice within hours
    later(sessions, built_at=watermark - dt.timedelta(hours=13))
    meta, _ = check(get, "2020")
    assert meta.last_modified == watermark.replace(microsecond=0)
    assert len(work_off()) == 1
    meta, _ = check(get, "2020")
    assert meta.last_modified == (watermark + dt.timedelta(hours=6)).replace(microsecond=0)
    builders.prove(sessions, watermark + dt.timedelta(days=3))
    assert get("2020.meta").status_code == 503
    work_off()
    assert get("2020.meta").status_code == 200


def test_building_again_gives_the_same_bytes_and_keeps_one_edition_more(
    get, records, sessions, watermark, work_off
):
    get("2020.meta")
    work_off()
    files = [get("2020.json.gz").data]
    for _ in range(3):
        later(sessions, built_at=watermark - dt.timedelta(hours=13), snapshot=0)
        get("2020.meta")
        work_off()
        files.append(get("2020.json.gz").data)
    assert len(set(files)) == 1
    with database.reading(sessions) as session:
        editions = session.scalars(sa.select(ServedPiece.edition).where(ServedPiece.name == "2020")).all()
    assert sorted(editions) == [3, 4]


def test_a_download_survives_the_next_edition(app, get, viewer, records, sessions, watermark, work_off):
    get("2020.meta")
    work_off()
    with database.reading(sessions) as session:
        feed = session.get_one(ServedFeed, "2020")
    started = served_feeds.file(sessions, feed)
    later(sessions, built_at=watermark - dt.timedelta(hours=13), snapshot=0)
    get("2020.meta")
    work_off()
    assert hashlib.sha256(gzip.decompress(b"".join(started))).hexdigest().upper() == feed.sha256


@pytest.mark.parametrize("suffix", ["meta", "json.gz"])
def test_conditional_requests_and_head(app, get, viewer, records, work_off, suffix):
    get("2020.meta")
    work_off()
    first = get(f"2020.{suffix}")
    assert first.headers["Cache-Control"] == "private, no-cache"
    for headers in (
        {"If-None-Match": first.headers["ETag"]},
        {"If-Modified-Since": first.headers["Last-Modified"]},
    ):
        again = get(f"2020.{suffix}", **headers)
        assert (again.status_code, again.data) == (304, b"")
    assert get(f"2020.{suffix}", **{"If-None-Match": '"other"'}).status_code == 200
    head = app.test_client().head(
        f"{FEEDS}2020.{suffix}", headers={"Authorization": f"Bearer {viewer.token}"}, buffered=True
    )
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(first.data))


@pytest.mark.parametrize(
    "name", ["2001.meta", "2999.meta", "x.meta", "2020x.json.gz", "%2e%2e.meta", "20_20.meta"]
)
def test_there_is_no_other_feed(get, records, name):
    assert get(name).status_code == 404


def test_a_mirror_that_is_not_complete_has_no_feeds(get):
    answer = get("2020.meta")
    assert (answer.status_code, "is empty" in answer.headers["message"]) == (503, True)


def test_who_may(app, viewer, records, settings, sessions):
    client = app.test_client()
    nobody = client.get(FEEDS + "2020.meta")
    assert nobody.status_code == 401
    assert nobody.headers.getlist("WWW-Authenticate") == ['Bearer realm="vedette"', 'Basic realm="vedette"']
    basic = base64.b64encode(f"wget:{viewer.token}".encode()).decode()
    for headers in ({"Authorization": f"Basic {basic}"}, {"apiKey": viewer.token}):
        assert client.get(FEEDS + "2020.meta", headers=headers).status_code == 503
    assert client.get(FEEDS + "2020.meta", headers={"apiKey": "wrong"}).status_code == 401
    for mode, status in (("open", 503), ("off", 404)):
        other = create_app(settings.with_changes(serve_nvd=mode, redis_url="redis://127.0.0.1:1/0"), sessions)
        assert other.test_client().get(FEEDS + "2020.meta").status_code == status
