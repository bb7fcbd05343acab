"""The API client against the fake: what passes is asked again, what does not is named, and an answer is taken as it is."""

import datetime as dt
import json

import pytest

from shared.errors import Cancelled, Permanent, Transient
from tests.upstream import faults, quick
from tests.upstream.records import text
from tests.upstream.server import API, START, Upstream
from worker_service.clients.http import Patience
from worker_service.clients.nvd_api import NvdApi, Window

PASSING = {
    "forbidden": (faults.forbidden, "the NVD API answered 403 with an HTML page"),
    "throttled": (faults.too_many("0"), "the NVD API answered 429"),
    "throttled until a date": (faults.too_many("Wed, 21 Oct 2015 07:28:00 GMT"), "the NVD API answered 429"),
    "overloaded": (faults.unavailable, "the NVD API answered 503 with an HTML page"),
    "bad gateway": (faults.bad_gateway, "the NVD API answered 502"),
    "silent": (faults.silence(0.5), "the NVD API did not answer within 0.2 s"),
    "cut": (faults.cut, "the NVD API broke off in the middle of its answer"),
    "hung up": (faults.hung_up, "the NVD API hung up without an answer"),
    "truncated": (faults.truncated, "the NVD API answered JSON that breaks off or is damaged"),
    "html": (faults.html, "the NVD API answered an HTML page where JSON belongs"),
    "other json": (faults.other_json, "the NVD API answered JSON that is no page of records: "),
    "empty page": (faults.empty_page, "the NVD API answered an empty page at 0 of 220"),
}


@pytest.fixture
def client(upstream: Upstream) -> NvdApi:
    return quick.api(upstream.url + API)


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_asked_again_and_named(upstream: Upstream, client: NvdApi, name: str):
    fault, text = PASSING[name]
    upstream.api_faults = [fault, fault]
    if name == "silent":
        client = quick.api(upstream.url + API, patience=quick.HASTY)

    page = client.page(None, 0)

    assert page.total == 220
    assert len(page.records) == 50
    assert len(upstream.requests) == 3
    ((told, count),) = client.caller.troubles.drain().items()
    assert told.startswith(text)
    assert count == 2


def test_a_storm_without_end_is_given_up_for_now(upstream: Upstream, client: NvdApi):
    upstream.api_down = faults.unavailable
    with pytest.raises(Transient, match=r"answered 503 with an HTML page \(6 attempts\)"):
        client.probe()
    assert len(upstream.requests) == 6


def test_nobody_there_is_said():
    nobody = quick.api("http://127.0.0.1:9/rest")
    with pytest.raises(Transient, match="the NVD API cannot be reached"):
        nobody.probe()


def test_a_wrong_key_is_named_and_not_tried_again(upstream: Upstream):
    client = quick.api(upstream.url + API, key="not-the-key")
    with pytest.raises(Permanent, match=r"refuses the API key \(NVD_API_KEY\): Invalid apiKey"):
        client.probe()
    assert len(upstream.requests) == 1


def test_the_key_goes_in_its_header_and_nowhere_else(upstream: Upstream):
    upstream.keys = frozenset({"a-key"})
    quick.api(upstream.url + API, key="a-key").probe()
    (request,) = upstream.requests
    assert request.headers["apikey"] == "a-key"
    assert "a-key" not in json.dumps(request.params)
    assert request.headers["user-agent"].startswith("Vedette/")


def test_a_question_that_is_refused_is_not_tried_again(upstream: Upstream, client: NvdApi):
    with pytest.raises(Permanent, match="120 days"):
        client.page(Window(START - dt.timedelta(days=121), START), 0)
    assert len(upstream.requests) == 1


def test_retry_after_is_waited_for(upstream: Upstream):
    pauses: list[float] = []
    client = quick.api(upstream.url + API, pause=pauses.append)
    upstream.api_faults = [faults.too_many("7")]
    client.probe()
    assert pauses == [7.0]


def test_a_long_retry_after_puts_the_task_off(upstream: Upstream, client: NvdApi):
    upstream.api_faults = [faults.too_many("3600")]
    with pytest.raises(Transient) as caught:
        client.probe()
    assert caught.value.delay == 3600


def test_waiting_ends_with_the_task(upstream: Upstream):
    def cancelled(_seconds: float) -> None:
        raise Cancelled("stop")

    upstream.api_down = faults.unavailable
    with pytest.raises(Cancelled):
        quick.api(upstream.url + API, pause=cancelled).probe()


def test_backoff_doubles_up_to_its_limit():
    patience = Patience(first=2.0, longest=60.0)
    for attempt, ceiling in ((1, 2), (2, 4), (5, 32), (6, 60), (20, 60)):
        assert ceiling / 2 <= patience.backoff(attempt) <= ceiling


def test_a_window_gives_what_was_modified_in_it(upstream: Upstream, client: NvdApi):
    window = Window(START - dt.timedelta(days=100), START)
    page = client.page(window, 0)
    expected = {r["id"] for r in upstream.records.values() if r["lastModified"] >= text(window.since)}
    assert page.total == len(expected)
    assert {json.loads(record)["cve"]["id"] for record in page.records} <= expected
    assert page.timestamp.tzinfo is dt.UTC
