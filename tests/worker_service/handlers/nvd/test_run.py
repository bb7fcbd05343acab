"""What a run begins with: who is told the API key, and what is known of others who ask."""

import pytest
import sqlalchemy as sa

from shared import database
from shared.models.mirror import Sync, SyncKind
from tests.upstream import quick
from tests.upstream.mirror import Mirror, pointed_at
from worker_service.clients.nvd_feed_files import NvdFeedFiles
from worker_service.handlers.nvd.run import Tuning, _feed_token, open_run
from worker_service.tasks import Work

HERE = "https://vedette.example.org"
NVD = "https://services.nvd.nist.gov/rest/json/cves/2.0"


@pytest.mark.parametrize(
    ("api", "feeds", "told"),
    [
        (f"{HERE}/rest/json/cves/2.0", f"{HERE}/feeds/json/cve/2.0", True),
        (f"{HERE}:443/rest/json/cves/2.0", f"{HERE}/feeds/json/cve/2.0", True),
        (f"{HERE}/rest/json/cves/2.0", f"{HERE}:8443/feeds/json/cve/2.0", False),
        (f"{HERE}/rest/json/cves/2.0", "http://vedette.example.org/feeds/json/cve/2.0", False),
        (f"{HERE}/rest/json/cves/2.0", "https://elsewhere.example.org/feeds", False),
        (NVD, "https://nvd.nist.gov/feeds/json/cve/2.0", False),
        ("off", "https://nvd.nist.gov/feeds/json/cve/2.0", False),
        ("off", f"{HERE}/feeds/json/cve/2.0", False),
    ],
)
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_the_feeds_are_told_the_key_only_where_the_api_is(settings, upstream, api, feeds, told):
    settings = pointed_at(settings, upstream, key="secret").with_changes(nvd_api_url=api, nvd_feed_url=feeds)
    assert _feed_token(settings) == ("secret" if told else None)
    assert _feed_token(settings.with_changes(nvd_api_key=None)) is None


def test_the_key_goes_with_every_request_for_a_feed(sessions, settings, upstream):
    upstream.keys = frozenset({"secret"})
    Mirror(sessions, pointed_at(settings, upstream, key="secret"), upstream).sync()
    asked = [request for request in upstream.requests if not request.is_api]
    assert len(asked) > 3
    assert {request.headers.get("authorization") for request in asked} == {"Bearer secret"}


def test_the_token_is_not_shown(tmp_path):
    assert "secret" not in repr(NvdFeedFiles("http://x", quick.caller(), tmp_path, "secret"))


def test_a_run_knows_whether_others_may_just_have_asked(work, sessions, settings, upstream):
    work = Work(work.task_id, work.epoch, sessions, pointed_at(settings, upstream))

    def alone(after: SyncKind) -> bool:
        with database.transaction(sessions) as session:
            session.execute(sa.delete(Sync))
            now = database.now(session)
            session.add(Sync(kind=after, source="", started_at=now, finished_at=now))
        run = open_run(work, SyncKind.UPDATE, Tuning())
        assert run.api is not None
        return run.api.allowance.alone

    assert alone(after=SyncKind.FEED)  # a file on the disk
    assert not alone(after=SyncKind.UPDATE)
