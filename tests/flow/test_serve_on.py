"""One Vedette has another as its upstream: real processes, nothing shared but HTTP."""

import random
import socket
from urllib.parse import urlsplit

import pytest
import requests
import sqlalchemy as sa

from shared import credentials, database, doorbell
from shared.database import make_engine, make_sessions
from shared.models.base import Base
from shared.models.coverage import MirrorCoverage
from shared.models.mirror import Quarantine, Sync, Vulnerability, VulnerabilityRecord
from shared.models.task import Task, TaskState
from shared.models.user import Role
from shared.tasks import SYNC_NVD_UPDATES, ask
from tests.builders import wait_for
from tests.upstream.oracle import differences
from tests.upstream.records import make_record, make_records, unusable
from tests.upstream.server import API, FEEDS, START, Upstream, serving

KEY = "the-key"


@pytest.fixture
def nvd():
    fake = Upstream({r["id"]: r for r in make_records(5, 60, START)}, keys=frozenset({KEY}))
    odd = unusable(make_record("CVE-2024-90001", START, random.Random(1)))
    fake.put(odd)
    with serving(fake):
        yield fake


@pytest.fixture
def first(sessions, start, nvd):
    """A Vedette that mirrors the NVD, and serves it on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start("api_service", VEDETTE_PORT=str(port))
    start("worker_service", NVD_API_URL=nvd.url + API, NVD_FEED_URL="off", NVD_API_KEY=KEY)
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: answers(url), 60, "the API of the first")
    return url


def answers(url):
    try:
        return requests.get(f"{url}/healthz", timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.fixture
def token(sessions):
    with database.transaction(sessions) as session:
        user = credentials.create_user(session, email="d@example.org", name="downstream", role=Role.VIEWER)
        return credentials.issue_token(session, user, "mirror")[1]


@pytest.fixture
def second(start, tmp_path, first, token, redis_url):
    """Another Vedette's database and worker; its settings are those of the README."""

    def make(**settings):
        folder = tmp_path / "second"
        folder.mkdir()
        engine = make_engine(f"sqlite:///{folder / 'vedette.sqlite3'}")
        Base.metadata.create_all(engine)
        environment = {
            "DATABASE_URL": str(engine.url),
            "REDIS_URL": urlsplit(redis_url)._replace(path="/1").geturl(),
            "VEDETTE_DATA_DIR": str(folder),
            "NVD_API_URL": first + API,
            "NVD_FEED_URL": first + FEEDS,
            "NVD_API_KEY": token,
            **settings,
        }
        start("worker_service", **environment)
        engines.append(engine)
        return make_sessions(engine, doorbell.open_doorbell(environment["REDIS_URL"]))

    engines = []
    yield make
    for engine in engines:
        engine.dispose()


def sync(sessions, *, full=False):
    with database.transaction(sessions) as session:
        task_id = ask(session, SYNC_NVD_UPDATES, days_back=7, full=full)

    def ended():
        with database.reading(sessions) as session:
            task = session.get_one(Task, task_id)
            return task if task.ended_at else None

    task = wait_for(ended, 150, "the end of the sync")
    assert task.state == TaskState.SUCCESS, task.error


def content(sessions):
    """Everything that a mirror holds, as it came."""
    with database.reading(sessions) as session:
        columns = (Vulnerability.cve_id, Vulnerability.last_modified, VulnerabilityRecord.record)
        pairs = sa.select(*columns).join(
            VulnerabilityRecord, VulnerabilityRecord.vulnerability_id == Vulnerability.id
        )
        unusable = sa.select(Quarantine.key, Quarantine.record)
        return [set(map(tuple, session.execute(query))) for query in (pairs, unusable)]


def watermark(sessions):
    with database.reading(sessions) as session:
        return session.scalar(sa.select(MirrorCoverage.watermark))


def latest_sync(sessions):
    with database.reading(sessions) as session:
        return session.scalars(sa.select(Sync).order_by(Sync.id.desc())).first()


@pytest.mark.parametrize("feeds", [True, False], ids=["feeds and API", "API only"])
def test_one_vedette_bootstraps_from_another(sessions, first, second, token, nvd, feeds):
    asked = requests.get(first + API, headers={"apiKey": token}, timeout=10)
    assert (asked.status_code, "is empty" in asked.headers["message"]) == (503, True)
    sync(sessions)
    assert content(sessions)[1]  # the odd record is in quarantine
    downstream = second(**({} if feeds else {"NVD_FEED_URL": "off"}))
    sync(downstream)
    assert content(downstream) == content(sessions)
    assert watermark(downstream) <= watermark(sessions)
    assert latest_sync(downstream).substitute is None
    with database.reading(sessions) as session:
        built = session.scalars(sa.select(Task).where(Task.name == "build_nvd_feeds")).all()
    assert bool(built) == feeds

    name = sorted(nvd.records)[7]
    nvd.modify(name, vulnStatus="Modified")
    nvd.add(make_record("CVE-2024-90002", nvd.clock, random.Random(2)))
    sync(sessions)
    sync(downstream)
    assert content(downstream) == content(sessions)

    # The NVD changes two records, one of them without a new date; the first finds that by comparing everything.
    quiet, new = sorted(nvd.records)[9], "CVE-2003-90003"
    nvd.put(nvd.records[quiet] | {"descriptions": [{"lang": "en", "value": "Changed in silence."}]})
    nvd.put(make_record(new, START.replace(year=START.year - 3), random.Random(3)))
    sync(sessions, full=True)
    sync(downstream)
    assert content(downstream) == content(sessions)
    with database.reading(downstream) as session:
        assert differences(session, nvd) == []
