"""The mirror as an upstream over HTTP: the NVD's shape, its refusals, exact pages, honest time stamps."""

import base64
import datetime as dt
import gzip
import json
import random
import threading

import hypothesis
import pytest
import sqlalchemy as sa
from hypothesis import strategies as st

from api_service.app import create_app
from shared import database
from shared.models.mirror import Quarantine, Snapshot
from tests import builders
from tests.api_service.conftest import Caller
from tests.upstream.records import make_record, make_records, unusable

API = "/rest/json/cves/2.0"
W = dt.datetime(2026, 6, 18, tzinfo=dt.UTC)


@pytest.fixture
def prove(sessions):
    """Says that the mirror is complete until then."""
    return lambda watermark=W: builders.prove(sessions, watermark)


@pytest.fixture
def ask(app, viewer):
    """Asks the API as a client of the NVD does."""

    def ask(**params):
        headers = {"apiKey": viewer.token, **params.pop("headers", {})}
        return app.test_client().get(API, query_string=params, headers=headers, buffered=True)

    return ask


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [each["cve"]["id"] for each in answer.json["vulnerabilities"]]


def record(number, modified=W - dt.timedelta(days=30), **fields):
    made = make_record(f"CVE-2026-{number:04}", modified, random.Random(number))
    return {"cve": made | fields}


@pytest.fixture
def records(load_feed, prove):
    """Forty records, all of them there when the mirror was proven complete."""
    made = make_records(3, 40, W)
    load_feed(*({"cve": each} for each in made))
    prove()
    return {each["id"]: each for each in made}


def test_the_envelope_and_the_records_are_the_nvds(ask, records):
    answer = ask()
    assert answer.content_type == "application/json"
    page = answer.json
    assert list(page) == [
        "resultsPerPage", "startIndex", "totalResults", "format", "version", "timestamp", "vulnerabilities",
    ]  # fmt: skip
    assert (page["resultsPerPage"], page["startIndex"], page["totalResults"]) == (40, 0, 40)
    assert (page["format"], page["version"], page["timestamp"]) == (
        "NVD_CVE",
        "2.0",
        "2026-06-18T00:00:00.000",
    )
    assert {each["cve"]["id"]: each["cve"] for each in page["vulnerabilities"]} == records


def test_recorded_answers_of_the_nvd_have_the_same_shape(ask, records, data_dir):
    page = ask(resultsPerPage="3").json
    for path in sorted((data_dir / "nvd-api").glob("growing-*.json")):
        recorded = json.loads(path.read_text())
        assert list(recorded) == list(page)
        assert {type(value) for value in recorded.values()} == {type(value) for value in page.values()}


def test_what_the_nvd_gave_comes_out_as_it_came_in(ask, load_feed, prove, data_dir):
    recorded = json.loads((data_dir / "nvd-api" / "page-with-affected-and-ssvc.json").read_text())
    load_feed(*recorded["vulnerabilities"])
    prove()
    assert ask().json["vulnerabilities"] == recorded["vulnerabilities"]


def test_pages_follow_one_another(ask, records):
    first, second, third = (ask(startIndex=start, resultsPerPage=15) for start in (0, 15, 30))
    assert [len(ids(page)) for page in (first, second, third)] == [15, 15, 10]
    assert sorted(ids(first) + ids(second) + ids(third)) == sorted(records)
    assert (ids(ask(startIndex=40)), ask(startIndex=10**6).json["resultsPerPage"]) == ([], 0)


def test_gzip_when_the_client_takes_it(ask, records):
    packed = ask(headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert json.loads(gzip.decompress(packed.data)) == ask().json
    assert "Content-Encoding" not in ask(headers={"Accept-Encoding": "gzip;q=0"}).headers


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"unknown": "1"}, "unknown: Unknown field."),
        ({"resultsPerPage": "2001"}, "resultsPerPage"),
        ({"resultsPerPage": "0"}, "resultsPerPage"),
        ({"startIndex": "-1"}, "startIndex"),
        ({"startIndex": "x"}, "startIndex"),
        ({"cveId": "CVE-1"}, "cveId: Not a CVE id."),
        ({"lastModStartDate": "2026-01-01T00:00:00.000"}, "lastModEndDate are needed together"),
        ({"lastModEndDate": "2026-01-01T00:00:00.000"}, "lastModStartDate and"),
        ({"lastModStartDate": "now", "lastModEndDate": "2026-01-01T00:00:00"}, "lastModStartDate: Not a time"),
        ({"lastModStartDate": "2026-01-02T00:00:00", "lastModEndDate": "2026-01-01T00:00:00"}, "Is before"),
        ({"pubStartDate": "2026-01-01T00:00:00", "pubEndDate": "2026-05-02T00:00:00"}, "more than 120 days"),
        ({"noRejected": "no"}, "noRejected: Takes no value."),
        ({"cweId": "79"}, "cweId: Not a CWE id."),
        ({"cvssV3Severity": "SPICY"}, "cvssV3Severity"),
        ({"cvssV2Severity": "CRITICAL"}, "cvssV2Severity"),
        ({"keywordExactMatch": ""}, "keywordExactMatch: Needs keywordSearch."),
        ({"isVulnerable": ""}, "isVulnerable: Needs cpeName."),
        ({"cpeName": "cpe:2.3:a:x:*:1.0:*:*:*:*:*:*:*"}, "cpeName: Not a CPE 2.3 name"),
        ({"cpeName": "what"}, "cpeName: Not a CPE 2.3 name"),
        ({"cvssV3Severity": "\u2603\r\nX: y"}, "cvssV3Severity"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_refused_as_the_nvd_refuses_it(ask, params, message):
    answer = ask(**params)
    assert answer.status_code == 404
    assert message in answer.headers["message"]
    assert answer.content_type == "application/problem+json"


def test_filters(ask, load_feed, prove):
    metric = {
        "source": "a",
        "type": "Secondary",
        "cvssData": {"version": "3.0", "baseScore": 5, "baseSeverity": "MEDIUM"},
    }
    v2 = {
        "source": "a",
        "type": "Primary",
        "baseSeverity": "HIGH",
        "cvssData": {"version": "2.0", "baseScore": 8},
    }
    v4 = {
        "source": "a",
        "type": "Primary",
        "cvssData": {"version": "4.0", "baseScore": 9, "baseSeverity": "CRITICAL"},
    }
    platform = {
        "vulnerable": False,
        "criteria": "cpe:2.3:o:acme:os:1.0:*:*:*:*:*:*:*",
        "matchCriteriaId": "B",
    }
    product = {"vulnerable": True, "criteria": "cpe:2.3:a:acme:shop:*:*:*:*:*:*:*:*", "matchCriteriaId": "A"}
    product["versionEndExcluding"] = "2.0"
    tree = {"nodes": [{"operator": "OR", "negate": False, "cpeMatch": [product, platform]}]}
    english = lambda text: [{"lang": "en", "value": text}]  # noqa: E731
    plain = {
        "metrics": {},
        "weaknesses": [],
        "configurations": [],
        "vulnStatus": "Analyzed",
        "descriptions": english("A hole."),
    }
    load_feed(
        record(1, **plain | {"vulnStatus": "Rejected"}),
        record(2, **plain, cisaExploitAdd="2026-01-01"),
        record(3, **plain | {"weaknesses": [{"description": english("CWE-77")}]}),
        record(4, **plain | {"metrics": {"cvssMetricV40": [v4], "cvssMetricV30": [metric], "cvssMetricV2": [v2]}}),
        record(5, **plain | {"configurations": [tree]}),
        record(6, **plain | {"descriptions": english("Draws circles in the encircled sand.")}, sourceIdentifier="me@acme"),
    )  # fmt: skip
    prove()
    numbers = lambda **params: [int(each[-1]) for each in ids(ask(**params))]  # noqa: E731
    assert numbers() == [1, 2, 3, 4, 5, 6]
    assert numbers(noRejected="") == [2, 3, 4, 5, 6]
    assert numbers(hasKev="") == [2]
    assert numbers(cweId="CWE-77") == [3]
    assert numbers(cveId="CVE-2026-0003") == [3]
    assert numbers(cveId="CVE-2026-9999") == []
    for version, right, wrong in (("2", "HIGH", "LOW"), ("3", "MEDIUM", "HIGH"), ("4", "CRITICAL", "HIGH")):
        name = f"cvssV{version}Severity"
        assert (numbers(**{name: right}), numbers(**{name: wrong})) == ([4], [])
    assert numbers(keywordSearch="SAND circle") == [6]
    assert numbers(keywordSearch="circled") == []
    assert numbers(keywordSearch="sand circle", keywordExactMatch="") == []
    assert numbers(keywordSearch="circles in the", keywordExactMatch="") == [6]
    assert numbers(sourceIdentifier="me@acme") == [6]
    shop, later, system = (
        f"cpe:2.3:{name}:*:*:*:*:*:*:*" for name in ("a:acme:shop:1.5", "a:acme:shop:2.0", "o:acme:os:1.0")
    )
    assert (numbers(cpeName=shop), numbers(cpeName=later), numbers(cpeName=system)) == ([5], [], [5])
    assert (numbers(cpeName=shop, isVulnerable=""), numbers(cpeName=system, isVulnerable="")) == ([5], [])
    day = lambda n: (W - dt.timedelta(days=n)).isoformat()  # noqa: E731
    assert len(numbers(lastModStartDate=day(31), lastModEndDate=day(29))) == 6
    assert numbers(lastModStartDate=day(29), lastModEndDate=day(28)) == []
    assert len(numbers(pubStartDate=day(149), pubEndDate=day(30))) < 6


def test_windows_have_both_their_ends(ask, load_feed, prove):
    load_feed(record(1, W - dt.timedelta(days=9)), record(2, W - dt.timedelta(days=8)))
    prove()
    at = lambda days: (W - dt.timedelta(days=days)).isoformat()  # noqa: E731
    assert len(ids(ask(lastModStartDate=at(9), lastModEndDate=at(8)))) == 2
    assert ids(ask(lastModStartDate=at(8), lastModEndDate=at(7))) == ["CVE-2026-0002"]
    assert ids(ask(lastModStartDate="2026-06-10T01:00:00.000 01:00", lastModEndDate=at(7))) == [
        "CVE-2026-0002"
    ]


@pytest.mark.parametrize("filled", [False, True])
def test_a_mirror_that_is_not_complete_is_no_upstream(ask, load_feed, filled):
    if filled:
        load_feed(record(1))
    answer = ask()
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert ("is not complete" if filled else "is empty") in answer.headers["message"]


def test_the_time_stamp_is_never_newer_than_what_is_proven(ask, load_feed, prove):
    load_feed(record(1, W + dt.timedelta(hours=3)))
    prove(W + dt.timedelta(microseconds=1999))
    page = ask().json
    assert page["timestamp"] == "2026-06-18T00:00:00.001"  # cut, not rounded
    assert page["totalResults"] == 1


def window(since, until):
    return {"lastModStartDate": since.isoformat(), "lastModEndDate": until.isoformat()}


def test_what_arrives_late_is_in_the_window_of_its_arrival(ask, load_feed, prove, records, sessions):
    """A downstream has asked for everything until W; then a change comes that the NVD dates long before."""
    with database.reading(sessions) as session:
        now = database.now(session)
    prove(now)
    overlap = dt.timedelta(minutes=15)
    assert ids(ask(**window(now - overlap, now))) == []
    load_feed(
        record(7001, W - dt.timedelta(days=300)),
        {"cve": next(iter(records.values())) | {"vulnStatus": "Modified"}},
    )
    late = ["CVE-2026-7001", next(iter(records))]
    assert sorted(ids(ask(**window(now - overlap, now)))) == sorted(late)  # the watermark has not moved
    later = now + dt.timedelta(hours=6)
    prove(later)
    assert sorted(ids(ask(**window(now - overlap, later)))) == sorted(late)
    assert ids(ask(**window(later - overlap, later))) == []
    assert "CVE-2026-7001" not in ids(ask(**window(W - dt.timedelta(days=60), W)))


def test_what_could_not_be_used_is_passed_on_as_it_came(ask, load_feed, prove, sessions):
    good = [record(number) for number in (1, 2, 3)]
    odd = {"cve": unusable(good[1]["cve"])}
    load_feed(*good)
    load_feed(odd, {"cve": {"lastModified": "2026-01-01T00:00:00"}})
    prove()
    with database.reading(sessions) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Quarantine)) == 2
    page = ask().json
    assert page["vulnerabilities"] == [good[0], odd, good[2]]
    assert page["totalResults"] == 3  # the one without an id has no place
    assert ask(cveId="CVE-2026-0002").json["vulnerabilities"] == [odd]
    assert ids(ask(cveId="CVE-2026-0001")) == ["CVE-2026-0001"]


def test_pages_stay_exact_while_the_mirror_moves(ask, load_feed, records):
    first = ask(resultsPerPage=15)
    names = ids(first)
    moved = {"cve": records[names[3]] | {"lastModified": "2026-06-17T23:00:00.000", "vulnStatus": "Modified"}}
    load_feed(moved, {"cve": make_record("CVE-1999-0001", W, random.Random(1))})
    rest = [ask(startIndex=start, resultsPerPage=15) for start in (15, 30)]
    assert sorted(names + ids(rest[0]) + ids(rest[1])) == sorted(records)
    assert {page.json["totalResults"] for page in rest} == {40}
    assert ask(resultsPerPage=15).json["totalResults"] == 41


@pytest.fixture
def windowed(ask, load_feed, prove):
    """Sixty records, a minute between one and the next."""
    load_feed(*(record(number, W - dt.timedelta(minutes=number)) for number in range(1, 61)))
    prove()
    return ask


@hypothesis.given(
    size=st.integers(1, 25), since=st.integers(0, 60), length=st.integers(0, 60), moves=st.lists(st.integers(1, 60), max_size=3)
)  # fmt: skip
@hypothesis.settings(
    max_examples=5, suppress_health_check=list(hypothesis.HealthCheck), deadline=None, derandomize=True
)
def test_any_window_is_paged_without_loss(windowed, load_feed, size, since, length, moves):
    params = window(W - dt.timedelta(minutes=since + length), W - dt.timedelta(minutes=since))
    expected = ids(windowed(**params, resultsPerPage=2000))
    seen, start = [], 0
    while True:
        page = windowed(**params, startIndex=start, resultsPerPage=size)
        seen += ids(page)
        assert page.json["totalResults"] == len(expected)
        start += size
        if start >= page.json["totalResults"]:
            break
        if moves:
            load_feed(record(moves.pop(), W, vulnStatus="Modified", note=random.random()))
    assert seen == expected


def basic(token):
    return {"Authorization": "Basic " + base64.b64encode(f"whoever:{token}".encode()).decode()}


def test_ways_to_show_a_token(app, viewer, records):
    ask = lambda **headers: app.test_client().get(API, headers=headers, buffered=True)  # noqa: E731
    assert ask(Authorization=f"Bearer {viewer.token}").status_code == 200
    assert ask(apiKey=viewer.token).status_code == 200
    assert ask(**basic(viewer.token)).status_code == 200
    nobody = ask()
    assert (nobody.status_code, "message" in nobody.headers) == (401, True)
    assert ask(**basic("wrong")).status_code == 401
    assert ask(Authorization="Bearer wrong").status_code == 401
    wrong = ask(apiKey="wrong")
    assert (wrong.status_code, wrong.headers["message"]) == (404, "Invalid apiKey.")
    assert app.test_client().get("/api/v1/nvd/status", headers={"apiKey": viewer.token}).status_code == 401


@pytest.mark.parametrize(("mode", "status"), [("open", 200), ("off", 404)])
def test_who_may_is_a_setting(settings, sessions, records, viewer, mode, status):
    app = create_app(settings.with_changes(serve_nvd=mode, redis_url="redis://127.0.0.1:1/0"), sessions)
    for token in ("", viewer.token):
        assert Caller(app.test_client(), token, None).get(API, buffered=True).status_code == status
    assert app.test_client().head(API, buffered=True).status_code == status


def test_too_many_at_once_are_put_off(app, ask, records):
    places = app.extensions["vedette"].serving
    taken = 0
    while places.acquire(blocking=False):
        taken += 1
    busy = ask()
    assert (busy.status_code, busy.headers["Retry-After"]) == (503, "2")
    for _ in range(taken):
        places.release()
    for _ in range(taken + 1):  # a place is given back whatever becomes of the answer
        assert ask().status_code == 200
        assert ask(cveId="x").status_code == 404
    assert app.test_client().head(API, headers={"apiKey": "wrong"}).status_code == 404
    assert taken == 4


def test_answers_at_once_are_each_whole(ask, records):
    found = []
    threads = [threading.Thread(target=lambda: found.append(ids(ask()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(each) for each in found] == [40] * 4


def test_snapshots_before_the_first_proof_are_no_news(ask, records, sessions):
    with database.reading(sessions) as session:
        committed = session.scalar(sa.select(sa.func.max(Snapshot.committed_at)))
    assert ids(ask(**window(committed - dt.timedelta(days=1), committed + dt.timedelta(days=1)))) == []
