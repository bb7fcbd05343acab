"""Findings and their triage over HTTP."""

import datetime as dt
import threading
import uuid

import pytest

from api_service.schemas.base import EXAMPLE_ID
from shared import database
from shared.lifecycle import finding as lifecycle
from shared.models.finding import Severity
from shared.models.scan import Run, RunStatus
from tests.api_service.conftest import Caller
from tests.builders import enrich

FINDINGS = "/vulnerabilities/findings"
FUTURE = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=30)).isoformat()
TODAY = dt.datetime.now(dt.UTC).date().isoformat()


def observed(name, cve_id, severity, score, *, kev=False, certainty="confirmed"):
    return lifecycle.Observed(
        component_key=f"name:{name}",
        component_name=name,
        versions=frozenset({"1.0"}),
        cve_id=cve_id,
        certainty=certainty,
        severity=Severity(severity),
        score=score,
        kev=kev,
        evidence=[{"sentence": f"{name} 1.0 is affected by {cve_id}.", "path": "configurations[0]"}],
    )


SEEN = (
    observed("openssl", "CVE-2014-0160", "high", 7.5, kev=True),
    observed("log4j", "CVE-2021-44228", "critical", 10.0, kev=True, certainty="likely"),
    observed("log4j", "CVE-2021-45046", "critical", 9.0),
    observed("zlib", "CVE-2018-25032", "high", 7.5),
    observed("Curl 100%", "CVE-2026-0001", "unknown", None, certainty="possible"),
)
WORST_FIRST = [
    "CVE-2021-44228",
    "CVE-2021-45046",
    "CVE-2014-0160",
    "CVE-2018-25032",
    "CVE-2026-0001",
]


@pytest.fixture
def asset_id(analyst):
    return analyst.post("/assets", {"name": "web shop", "kind": "application"}).json["id"]


@pytest.fixture
def scan_id(analyst, asset_id):
    definition = {"name": "weekly", "asset_id": asset_id, "scanner": "sbom"}
    return analyst.post("/vulnerabilities/scans", definition).json["id"]


@pytest.fixture
def record(sessions, asset_id, scan_id):
    """Records what a run observed, as the worker does."""

    def act(seen):
        with database.transaction(sessions) as session:
            now = database.now(session)
            run = Run(
                id=uuid.uuid4(),
                scan_id=uuid.UUID(scan_id),
                task_id=uuid.uuid4(),
                status=RunStatus.COMPLETED,
                created_at=now,
            )
            session.add(run)
            session.flush()
            frame = lifecycle.Recording(uuid.UUID(asset_id), run.id, 7, {})
            return lifecycle.record(session, frame, seen)

    return act


@pytest.fixture
def findings(record, viewer):
    """The findings by CVE id."""
    record(SEEN)
    return {each["cve_id"]: each for each in viewer.get(FINDINGS).json}


@pytest.fixture
def heartbleed(findings):
    return f"{FINDINGS}/{findings['CVE-2014-0160']['id']}"


def triage(caller, path, change, if_match=None):
    if_match = if_match or caller.get(path).headers["ETag"]
    return caller.patch(path, change, headers={"If-Match": if_match})


@pytest.mark.usefixtures("findings")
def test_the_worst_come_first_whatever_the_page(viewer):
    listed = viewer.get(FINDINGS).json
    assert [each["cve_id"] for each in listed] == WORST_FIRST
    paged = [
        each["cve_id"]
        for page in (1, 2, 3)
        for each in viewer.get(f"{FINDINGS}?page_size=2&page={page}").json
    ]
    assert paged == WORST_FIRST
    assert listed[0]["evidence"][0]["sentence"] == "log4j 1.0 is affected by CVE-2021-44228."


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("severity=critical", {"CVE-2021-44228", "CVE-2021-45046"}),
        ("min_severity=high", set(WORST_FIRST[:4])),
        ("min_severity=unknown", set(WORST_FIRST)),
        ("cve_id=cve-2014-0160", {"CVE-2014-0160"}),
        ("kev=true", {"CVE-2014-0160", "CVE-2021-44228"}),
        ("kev=false&severity=high", {"CVE-2018-25032"}),
        ("component=LOG", {"CVE-2021-44228", "CVE-2021-45046"}),
        ("component=100%25", {"CVE-2026-0001"}),
        ("certainty=likely", {"CVE-2021-44228"}),
        ("triage=unset", set(WORST_FIRST)),
        ("triage=exploitable", set()),
        ("status=open", set(WORST_FIRST)),
        ("status=fixed", set()),
        (f"asset_id={EXAMPLE_ID}", set()),
        (f"scan_id={EXAMPLE_ID}", set()),
    ],
)
@pytest.mark.usefixtures("findings")
def test_filters(viewer, query, found):
    answer = viewer.get(f"{FINDINGS}?{query}")
    assert answer.status_code == 200
    assert {each["cve_id"] for each in answer.json} == found


@pytest.mark.usefixtures("findings")
def test_a_scan_has_the_findings_of_its_asset(viewer, scan_id, asset_id):
    assert len(viewer.get(f"{FINDINGS}?scan_id={scan_id}").json) == 5
    assert len(viewer.get(f"{FINDINGS}?asset_id={asset_id}").json) == 5


@pytest.mark.parametrize("query", ["severity=bad", "certainty=sure", "kev=maybe", "asset_id=x", "who=me"])
def test_a_wrong_filter_is_422(viewer, query):
    assert viewer.get(f"{FINDINGS}?{query}").status_code == 422


def test_a_finding_is_shown_with_its_history(viewer, heartbleed, record):
    record([each for each in SEEN if each.cve_id != "CVE-2014-0160"])
    answer = viewer.get(heartbleed)
    assert answer.status_code == 200
    assert answer.headers["ETag"] == '"1"'
    assert answer.json["status"] == "fixed"
    assert [event["kind"] for event in answer.json["events"]] == ["opened", "fixed"]
    assert all(event["run_id"] for event in answer.json["events"])


def test_an_explanation_spells_the_evidence_out(viewer, heartbleed):
    explained = viewer.get(f"{heartbleed}/explanation").json
    assert explained["sentences"] == ["openssl 1.0 is affected by CVE-2014-0160."]
    assert explained["evidence"][0]["path"] == "configurations[0]"
    assert (explained["cve_id"], explained["snapshot"]) == ("CVE-2014-0160", 7)


@pytest.mark.parametrize("path", ["", "/explanation"])
def test_what_does_not_exist_is_404(viewer, analyst, path):
    assert viewer.get(f"{FINDINGS}/{uuid.uuid4()}{path}").status_code == 404
    patched = analyst.patch(f"{FINDINGS}/{uuid.uuid4()}", {"triage": "unset"}, headers={"If-Match": '"1"'})
    assert patched.status_code == 404


class TestTriage:
    def test_a_decision_stands_with_its_author_in_the_history(self, analyst, viewer, heartbleed):
        answer = triage(
            analyst,
            heartbleed,
            {"triage": "not_affected", "justification": "not built in", "comment": "asked"},
        )
        assert answer.status_code == 200
        assert (answer.json["triage"], answer.json["justification"]) == ("not_affected", "not built in")
        assert (answer.headers["ETag"], answer.json["version"]) == ('"2"', 2)
        assert viewer.get(heartbleed).json == answer.json
        event = answer.json["events"][-1]
        assert (event["kind"], event["user_id"]) == ("triaged", str(analyst.user_id))
        nothing = {"triage": "unset", "justification": None, "risk_accepted_until": None}
        assert event["detail"] == {
            "before": nothing,
            "after": {**nothing, "triage": "not_affected", "justification": "not built in"},
            "comment": "asked",
        }

    def test_what_belonged_to_the_former_decision_falls(self, analyst, heartbleed):
        triage(analyst, heartbleed, {"triage": "false_positive", "justification": "other product"})
        accepted = triage(
            analyst, heartbleed, {"triage": "risk_accepted", "risk_accepted_until": FUTURE}
        ).json
        assert (accepted["justification"], accepted["risk_accepted_until"]) == (None, FUTURE)
        same = triage(analyst, heartbleed, {"justification": "small"}).json
        assert (same["justification"], same["risk_accepted_until"]) == ("small", FUTURE)
        unset = triage(analyst, heartbleed, {"triage": "unset"}).json
        assert (unset["justification"], unset["risk_accepted_until"]) == (None, None)

    def test_a_comment_alone_is_kept(self, analyst, heartbleed):
        answer = triage(analyst, heartbleed, {"comment": "looking"})
        assert (answer.json["triage"], answer.json["version"]) == ("unset", 2)
        assert answer.json["events"][-1]["detail"]["comment"] == "looking"

    @pytest.mark.parametrize(
        ("change", "place"),
        [
            ({"triage": "not_affected"}, "justification"),
            ({"triage": "false_positive", "justification": "  "}, "justification"),
            ({"triage": "not_affected", "justification": None}, "justification"),
            ({"triage": "risk_accepted"}, "risk_accepted_until"),
            ({"triage": "risk_accepted", "risk_accepted_until": TODAY}, "risk_accepted_until"),
            ({"triage": "risk_accepted", "risk_accepted_until": "soon"}, "risk_accepted_until"),
            ({"triage": "exploitable", "risk_accepted_until": FUTURE}, "risk_accepted_until"),
            ({"triage": "ignored"}, "triage"),
            ({"triage": None}, "triage"),
            ({"status": "fixed"}, "status"),
        ],
    )
    def test_a_decision_that_lacks_something_is_422(self, analyst, heartbleed, change, place):
        answer = triage(analyst, heartbleed, change)
        assert answer.status_code == 422
        assert list(answer.json["errors"]) == [place]
        assert analyst.get(heartbleed).json["version"] == 1

    def test_nothing_to_change_is_422(self, analyst, heartbleed):
        assert triage(analyst, heartbleed, {}).status_code == 422

    def test_without_if_match_it_is_428(self, analyst, heartbleed):
        answer = analyst.patch(heartbleed, {"triage": "in_triage"})
        assert answer.status_code == 428
        assert answer.content_type == "application/problem+json"

    @pytest.mark.parametrize("if_match", ['"2"', 'W/"1"', '"x"', '"²"'])
    def test_another_version_is_412(self, analyst, heartbleed, if_match):
        assert triage(analyst, heartbleed, {"triage": "in_triage"}, if_match).status_code == 412

    @pytest.mark.parametrize("if_match", ['"1"', "*", '"7", "1"'])
    def test_the_version_among_others_will_do(self, analyst, heartbleed, if_match):
        assert triage(analyst, heartbleed, {"triage": "in_triage"}, if_match).status_code == 200

    def test_a_viewer_may_not(self, viewer, heartbleed):
        assert triage(viewer, heartbleed, {"triage": "in_triage"}).status_code == 403

    def test_of_two_decisions_at_once_one_is_stale(self, app, analyst, heartbleed):
        barrier = threading.Barrier(2)
        statuses = []

        def decide(kind):
            caller = Caller(app.test_client(), analyst.token, analyst.user_id)
            barrier.wait()
            statuses.append(triage(caller, heartbleed, {"triage": kind}, '"1"').status_code)

        threads = [threading.Thread(target=decide, args=(kind,)) for kind in ("in_triage", "exploitable")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200, 412]

    def test_it_outlives_the_next_run(self, analyst, heartbleed, record):
        triage(analyst, heartbleed, {"triage": "exploitable"})
        record(SEEN[1:])
        record(SEEN)
        found = analyst.get(heartbleed).json
        assert (found["status"], found["triage"]) == ("open", "exploitable")
        assert [event["kind"] for event in found["events"]] == ["opened", "triaged", "fixed", "reopened"]


SCORES = {"CVE-2018-25032": 0.9, "CVE-2014-0160": 0.9, "CVE-2021-45046": 0.05}


@pytest.mark.usefixtures("sample", "findings")
class TestLikelihood:
    """EPSS scores beside the findings; `sample` is a mirror that holds their vulnerabilities."""

    @pytest.fixture(autouse=True)
    def _scored(self, sessions):
        enrich(sessions, epss=SCORES)

    def test_they_are_shown_in_the_list_and_in_the_finding(self, viewer, heartbleed):
        listed = {each["cve_id"]: each["epss"] for each in viewer.get(FINDINGS).json}
        assert {cve: each["score"] for cve, each in listed.items() if each} == SCORES
        assert viewer.get(heartbleed).json["epss"] == {"score": 0.9, "percentile": 0.45}
        assert viewer.get(heartbleed).json["epss"] == listed["CVE-2014-0160"]

    def test_they_are_shown_after_a_triage(self, analyst, heartbleed):
        answer = triage(analyst, heartbleed, {"triage": "in_triage"})
        assert (answer.status_code, answer.json["epss"]["score"]) == (200, 0.9)

    def test_the_likeliest_come_first_whatever_the_page(self, viewer):
        ordered = ["CVE-2014-0160", "CVE-2018-25032", "CVE-2021-45046", "CVE-2021-44228", "CVE-2026-0001"]
        assert [each["cve_id"] for each in viewer.get(f"{FINDINGS}?sort=epss").json] == ordered
        paged = [viewer.get(f"{FINDINGS}?sort=epss&page_size=2&page={page}").json for page in (1, 2, 3)]
        assert [each["cve_id"] for page in paged for each in page] == ordered

    @pytest.mark.parametrize(
        ("query", "count"), [("epss_min=0.9", 2), ("epss_min=0", 3), ("epss_min=0.01&severity=critical", 1)]
    )
    def test_a_least_score(self, viewer, query, count):
        answer = viewer.get(f"{FINDINGS}?{query}")
        assert len(answer.json) == count
        assert f'"total": {count}' in answer.headers["X-Pagination"]

    @pytest.mark.parametrize("query", ["epss_min=2", "epss_min=inf", "sort=cve"])
    def test_a_wrong_query_is_422(self, viewer, query):
        assert viewer.get(f"{FINDINGS}?{query}").status_code == 422
