"""Health and numbers over HTTP."""

import re

import pytest
import sqlalchemy as sa

from api_service.app import create_app
from shared import database, migrations
from shared.lifecycle import finding
from shared.lifecycle.finding import Observed
from shared.models.finding import Severity
from shared.models.scan import Scan
from shared.tasks import CLEANUP_OLD_NOTIFICATIONS, ask
from tests.builders import add_run


@pytest.fixture
def migrated(engine):
    """The tables of the tests come without migrations: say that they are the newest."""
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES (:head)"), {"head": migrations.head()})
    yield
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE alembic_version"))


def test_it_lives_without_a_token(nobody):
    assert nobody.get("/healthz").json == {"status": "live"}


@pytest.mark.usefixtures("migrated")
def test_without_redis_it_is_degraded_but_ready(nobody):
    answer = nobody.get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (200, "degraded")
    assert answer.json["checks"] == {"database": "ok", "migrations": "ok", "redis": "away"}


@pytest.mark.usefixtures("migrated")
def test_with_everything_it_is_ready(settings, sessions, redis_url):
    client = create_app(settings.with_changes(redis_url=redis_url), sessions).test_client()
    assert client.get("/readyz").json["status"] == "ready"


@pytest.mark.parametrize(
    ("revision", "advice"), [("0009", "vedette db upgrade"), ("9999", "of another version of Vedette")]
)
@pytest.mark.usefixtures("migrated")
def test_with_another_schema_it_is_not_ready_and_says_what_helps(nobody, engine, revision, advice):
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE alembic_version SET version_num = '{revision}'"))
    answer = nobody.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["detail"].startswith(f"migrations: the database is at {revision}")
    assert answer.json["detail"].endswith(advice)
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_without_a_database_it_is_not_ready_and_answers_503(settings):
    away = database.make_sessions(
        database.make_engine("postgresql+psycopg://x@127.0.0.1:1/x?connect_timeout=2")
    )
    client = create_app(settings.with_changes(redis_url="redis://127.0.0.1:1/0"), away).test_client()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["detail"].startswith("database:")
    assert client.get("/healthz").status_code == 200
    assert client.get("/metrics").status_code == 200
    answer = client.get("/api/v1/tasks", headers={"Authorization": "Bearer vdt_x"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "127.0.0.1" not in answer.text


def test_metrics_count_requests_by_route_and_tasks_by_queue(nobody, viewer, sessions):
    with database.transaction(sessions) as session:
        ask(session, CLEANUP_OLD_NOTIFICATIONS, days_old=30)
    viewer.get(f"/users/{viewer.user_id}")
    text = nobody.get("/metrics").text
    route = "/api/v1/users/<uuid:user_id>"
    assert f'vedette_http_requests_total{{method="GET",route="{route}",status="403"}} 1.0' in text
    assert 'vedette_tasks{queue="default",state="waiting"} 1.0' in text
    assert 'vedette_oldest_pending_seconds{queue="scans"} 0.0' in text


def test_metrics_tell_of_an_empty_mirror_and_no_findings(nobody):
    text = nobody.get("/metrics").text
    assert 'vedette_findings_open{severity="critical"} 0.0' in text
    assert 'vedette_mirror_state{state="empty"} 1.0' in text
    assert "vedette_mirror_newest_record_age_seconds" not in text


def test_metrics_tell_open_findings_by_severity(nobody, sessions):
    with database.transaction(sessions) as session:
        run = add_run(session)
        scan = session.get_one(Scan, run.scan_id)
        seen = [
            Observed(
                f"pkg:npm/{name}",
                name,
                frozenset({"1"}),
                "CVE-2026-0001",
                "likely",
                severity,
                None,
                False,
                [],
            )
            for name, severity in (("a", Severity.HIGH), ("b", Severity.HIGH), ("c", Severity.UNKNOWN))
        ]
        finding.record(session, finding.Recording(scan.asset_id, run.id, 1, {}), seen)
    text = nobody.get("/metrics").text
    assert 'vedette_findings_open{severity="high"} 2.0' in text
    assert 'vedette_findings_open{severity="unknown"} 1.0' in text


@pytest.mark.usefixtures("sample")
def test_metrics_tell_how_the_mirror_stands(nobody):
    text = nobody.get("/metrics").text
    assert 'vedette_mirror_state{state="empty"} 0.0' in text
    assert float(re.search(r"(?m)^vedette_mirror_newest_record_age_seconds (\S+)", text)[1]) > 3600
    assert 'vedette_tasks_ended_last_minute{queue="default"} 1.0' in text
