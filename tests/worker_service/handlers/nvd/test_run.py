"""Who is told the API key."""

import pytest

from tests.upstream import quick
from tests.upstream.mirror import Mirror, pointed_at
from worker_service.clients.nvd_feed_files import NvdFeedFiles
from worker_service.handlers.nvd.run import _feed_token

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
