"""The mirror's vulnerabilities, dry runs of the matching and explanations over HTTP."""

import datetime as dt
import uuid

import pytest

from api_service.schemas.base import EXAMPLE_ID
from shared import database
from shared.lifecycle.finding import component_key
from shared.matching.component import Component
from shared.models.finding import Finding
from tests.builders import enrich

VULNERABILITIES = "/vulnerabilities"


def openssl(version):
    return {"cpe": f"cpe:2.3:a:openssl:openssl:{version}:*:*:*:*:*:*:*"}


def ids(answer):
    assert answer.status_code == 200, answer.json
    return [each["cve_id"] for each in answer.json]


@pytest.mark.usefixtures("sample")
class TestList:
    def test_the_latest_published_come_first(self, viewer):
        answer = viewer.get(f"{VULNERABILITIES}?page_size=200")
        published = [each["published"] for each in answer.json]
        assert len(published) == 49
        assert published == sorted(published, reverse=True)

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("q=CVE-2014-01", {"CVE-2014-0160"}),
            ("q=cve-2014", {"CVE-2014-0160", "CVE-2014-6271"}),
            ("q=CVE-2014-0160", {"CVE-2014-0160"}),
            ("q=CVE-2014-9", set()),
            ("q=heartbeat OPENSSL", {"CVE-2014-0160"}),
            ("q=heartbeat log4j", set()),
            ("vendor=openssl", {"CVE-2014-0160"}),
            ("vendor=OpenSSL&product=openssl", {"CVE-2014-0160"}),
            ("vendor=openss", set()),
            ("vendor=apache&product=openssl", set()),
            ("product=log4j", {"CVE-2021-44228", "CVE-2021-45046"}),
            ("product=log4j&q=CVE-2021-45", {"CVE-2021-45046"}),
            ("product=og4j", set()),
            ("severity=none", set()),
            ("published_since=2026-03-07", {"CVE-2026-29786"}),
            ("published_since=2026-03-07T16:15:56Z", set()),
            ("published_since=2026-03-07T17:15:55%2B01:00", {"CVE-2026-29786"}),
            ("modified_since=2100-01-01", set()),
            ("kev=true&product=bash", {"CVE-2014-6271"}),
            ("kev=false&product=bash", set()),
        ],
    )
    def test_filters(self, viewer, query, found):
        assert set(ids(viewer.get(f"{VULNERABILITIES}?{query}"))) == found

    def test_a_weakness_finds_its_instances(self, viewer):
        detail = viewer.get(f"{VULNERABILITIES}/CVE-2014-0160").json
        cwe = detail["weaknesses"][0]["cwe"]
        assert "CVE-2014-0160" in ids(viewer.get(f"{VULNERABILITIES}?cwe={cwe.lower()}"))
        assert ids(viewer.get(f"{VULNERABILITIES}?cwe=CWE-0")) == []

    @pytest.mark.parametrize(
        "query",
        [
            "severity=bad",
            "published_since=soon",
            "published_since=0001-01-01T00:00:00%2B23:59",
            "q=",
            "kev=x",
            "name=x",
        ],
    )
    def test_a_wrong_filter_is_422(self, viewer, query):
        assert viewer.get(f"{VULNERABILITIES}?{query}").status_code == 422


@pytest.mark.usefixtures("sample")
class TestOne:
    def test_everything_is_told(self, viewer):
        told = viewer.get(f"{VULNERABILITIES}/cve-2014-0160").json
        assert told["cve_id"] == "CVE-2014-0160"
        assert (told["severity"], told["score"], told["cvss_version"]) == ("high", 7.5, "3.1")
        assert {each["version"] for each in told["cvss"]} == {"3.1", "2.0"}
        assert {each["severity"] for each in told["cvss"]} <= {"high", "medium", None}
        assert told["kev"]["added"] == told["kev_added"] == "2022-05-04"
        assert told["references"][0]["url"].startswith("http")
        assert told["configurations"][0]["nodes"][0]["cpeMatch"]
        assert told["descriptions"][0]["lang"] == "en"
        assert told["snapshot"] == 1

    def test_the_words_of_the_cna_are_told_too(self, viewer):
        told = viewer.get(f"{VULNERABILITIES}/CVE-2026-2880").json
        assert told["affected"]
        assert (told["configurations"], told["kev"], told["analysed"]) == ([], None, False)

    @pytest.mark.parametrize("name", ["CVE-1999-0001", "x", "match", "CVE-2014-0160%00"])
    def test_what_the_mirror_does_not_hold_is_404(self, viewer, name):
        assert viewer.get(f"{VULNERABILITIES}/{name}").status_code == 404


def test_odd_shapes_in_a_record_are_passed_over(viewer, load_feed):
    odd = {
        "id": "CVE-2026-0001",
        "lastModified": "2026-01-01T00:00:00.000",
        "descriptions": "none",
        "metrics": {"cvssMetricV31": [5, {"cvssData": {"baseScore": "high"}}], "ssvcV203": [{"a": 1}]},
        "references": [{"url": 5, "tags": [1, "Patch"]}, "x"],
        "weaknesses": {"x": 1},
        "affected": [{"source": "cna"}],
    }
    load_feed({"cve": odd})
    told = viewer.get(f"{VULNERABILITIES}/CVE-2026-0001").json
    assert (told["cvss"], told["weaknesses"], told["descriptions"]) == ([], [], [])
    assert told["references"] == [{"url": None, "source": None, "tags": ["Patch"]}]
    assert (told["ssvc"], told["affected"]) == ([{"a": 1}], [{"source": "cna"}])


@pytest.mark.parametrize("noun", ["scans", "findings"])
def test_other_nouns_are_not_taken_for_ids(viewer, noun):
    assert viewer.get(f"{VULNERABILITIES}/{noun}").json == []


@pytest.mark.usefixtures("sample")
class TestMatch:
    def match(self, caller, *components):
        answer = caller.post(f"{VULNERABILITIES}/match", {"components": list(components)})
        assert answer.status_code == 200, answer.json
        return answer.json

    def test_the_affected_version_matches_and_the_fixed_one_does_not(self, viewer):
        found = self.match(viewer, openssl("1.0.1g"), openssl("1.0.1f"))
        (match,) = [each for each in found["matches"] if each["cve_id"] == "CVE-2014-0160"]
        assert set(match) == {"component", "cve_id", "certainty", "severity", "evidence"}
        assert (match["component"], match["certainty"], match["severity"]) == (1, "confirmed", "high")
        assert "1.0.1f" in match["evidence"]["sentence"]
        assert found["snapshot"] == 1

    def test_nothing_matches_nothing(self, viewer):
        assert self.match(viewer)["matches"] == []
        assert self.match(viewer, {"name": "unheard-of", "version": "1"})["matches"] == []

    def test_matches_come_in_the_order_of_the_request(self, viewer):
        found = self.match(
            viewer,
            {"purl": "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"},
            openssl("1.0.1f"),
            {"purl": "pkg:npm/lodash@4.17.10"},
        )
        assert [each["component"] for each in found["matches"]] == sorted(
            each["component"] for each in found["matches"]
        )
        assert {each["component"] for each in found["matches"]} == {0, 1, 2}

    @pytest.mark.parametrize(
        ("body", "place"),
        [
            ({"components": [openssl("1"), {"cpe": "x"}]}, "components.1.cpe"),
            ({"components": {}}, "components"),
            ({"components": [{"name": "x"}] * 5001}, "components"),
            ({}, "components"),
        ],
    )
    def test_what_is_wrong_is_422_and_named(self, viewer, body, place):
        answer = viewer.post(f"{VULNERABILITIES}/match", body)
        assert answer.status_code == 422
        assert list(answer.json["errors"]) == [place]


@pytest.fixture
def asset_id(analyst):
    made = analyst.post("/assets", {"name": "web shop", "kind": "application"}).json["id"]
    assert (
        analyst.put(f"/assets/{made}/inventory", json={"components": [openssl("1.0.1f")]}).status_code == 200
    )
    return made


def add_finding(sessions, asset_id, **decided):
    """Of the OpenSSL that the asset holds."""
    key = component_key(Component(cpes=(openssl("1.0.1f")["cpe"],)))
    now = dt.datetime.now(dt.UTC)
    with database.transaction(sessions) as session:
        session.add(
            Finding(
                asset_id=uuid.UUID(asset_id),
                component_key=key,
                cve_id="CVE-2014-0160",
                component_name="openssl",
                certainty="confirmed",
                severity="high",
                kev=False,
                evidence=[],
                snapshot=1,
                first_seen_at=now,
                last_seen_at=now,
                **decided,
            )
        )


@pytest.mark.usefixtures("sample")
class TestExplain:
    def explain(self, caller, component, cve_id="CVE-2014-0160", **more):
        return caller.post(f"{VULNERABILITIES}/explain", {"component": component, "cve_id": cve_id, **more})

    def test_a_match_says_why(self, viewer):
        answer = self.explain(viewer, openssl("1.0.1f"), "cve-2014-0160")
        assert answer.status_code == 200, answer.json
        assert (answer.json["matches"], answer.json["reason"]) == (True, None)
        assert answer.json["evidence"]["certainty"] == "confirmed"
        assert answer.json["sentence"] == answer.json["evidence"]["sentence"]

    def test_no_match_says_why_not_and_what_came_close(self, viewer):
        told = self.explain(viewer, openssl("1.0.1g")).json
        assert (told["matches"], told["evidence"]) == (False, None)
        assert told["reason"] == "version_outside"
        assert told["near_misses"]
        assert "1.0.1g" in told["sentence"]

    def test_another_product_has_nothing_in_common(self, viewer):
        told = self.explain(viewer, {"purl": "pkg:npm/lodash@4.17.10"}).json
        assert told["reason"] == "no_identifier_in_common"

    def test_the_rest_of_the_asset_counts(self, viewer):
        others = [openssl("1.0.1f")] * 3
        told = self.explain(viewer, openssl("1.0.1g"), components=others).json
        assert told["matches"] is False

    def test_the_inventory_of_its_asset_counts(self, analyst, asset_id):
        told = self.explain(analyst, openssl("1.0.1f"), asset_id=asset_id).json
        assert told["matches"] is True
        assert self.explain(analyst, openssl("1"), asset_id=EXAMPLE_ID).status_code == 404

    @pytest.mark.parametrize(
        ("decided", "words"),
        [
            (
                {"triage": "false_positive", "justification": "a patched build"},
                "a false positive (a patched build)",
            ),
            ({"triage": "not_affected", "justification": "no TLS"}, "not affecting the asset (no TLS)"),
            (
                {"triage": "risk_accepted", "risk_accepted_until": dt.date(2999, 1, 1)},
                "risk until 2999-01-01",
            ),
        ],
    )
    def test_a_decision_suppresses_and_says_what_would_be_without(
        self, analyst, sessions, asset_id, decided, words
    ):
        add_finding(sessions, asset_id, **decided)
        told = self.explain(analyst, openssl("1.0.1f"), asset_id=asset_id).json
        assert (told["matches"], told["reason"]) == (False, "suppressed")
        assert words in told["sentence"]
        assert told["evidence"]["sentence"] in told["sentence"]
        assert self.explain(analyst, openssl("1.0.1f")).json["matches"] is True

    @pytest.mark.parametrize(
        "decided",
        [
            {"triage": "exploitable"},
            {"triage": "risk_accepted", "risk_accepted_until": dt.date(2020, 1, 1)},
        ],
    )
    def test_other_decisions_and_those_that_are_over_suppress_nothing(
        self, analyst, sessions, asset_id, decided
    ):
        add_finding(sessions, asset_id, **decided)
        assert self.explain(analyst, openssl("1.0.1f"), asset_id=asset_id).json["matches"] is True

    def test_a_vulnerability_that_is_not_there_is_404(self, viewer):
        assert self.explain(viewer, openssl("1"), "CVE-1999-0001").status_code == 404

    @pytest.mark.parametrize(
        "change",
        [
            {"component": "x"},
            {"component": {"cpe": "x"}},
            {"cve_id": "x"},
            {"components": [{}]},
            {"depth": 1},
        ],
    )
    def test_what_is_wrong_is_422(self, viewer, change):
        body = {"component": openssl("1"), "cve_id": "CVE-2014-0160", **change}
        assert viewer.post(f"{VULNERABILITIES}/explain", body).status_code == 422


class TestEnriched:
    """What CISA's catalogue and FIRST's scores add to the records of the sample."""

    @pytest.fixture(autouse=True)
    def _enriched(self, sample, sessions):
        enrich(
            sessions,
            kev=["CVE-2023-38545", "CVE-2027-0001"],
            epss={"CVE-2014-0160": 0.9, "CVE-2023-38545": 0.4, "CVE-2014-6271": 0.6, "CVE-2027-0001": 1.0},
        )

    def test_the_catalogue_counts_beside_the_record(self, viewer):
        recorded = viewer.get(f"{VULNERABILITIES}/CVE-2014-6271").json
        assert (recorded["kev_added"], recorded["kev"]["ransomware"]) == ("2022-01-28", None)
        listed = viewer.get(f"{VULNERABILITIES}/CVE-2023-38545").json
        assert (listed["kev_added"], listed["kev"]["name"]) == ("2022-05-04", "Heartbleed")
        assert listed["kev"]["ransomware"] is True
        exploited = ids(viewer.get(f"{VULNERABILITIES}?kev=true&page_size=200"))
        assert {"CVE-2014-6271", "CVE-2023-38545"} <= set(exploited)
        assert not set(exploited) & set(ids(viewer.get(f"{VULNERABILITIES}?kev=false&page_size=200")))
        everything = viewer.get(f"{VULNERABILITIES}?page_size=200")
        assert len(exploited) + len(ids(viewer.get(f"{VULNERABILITIES}?kev=false&page_size=200"))) == len(
            everything.json
        )
        kev_added = {each["cve_id"]: each["kev_added"] for each in everything.json}
        assert {cve for cve, added in kev_added.items() if added} == set(exploited)

    def test_scores_are_shown_in_the_list_and_in_the_record(self, viewer):
        score = {"score": 0.9, "percentile": 0.45}
        assert viewer.get(f"{VULNERABILITIES}/CVE-2014-0160").json["epss"] == score
        listed = {
            each["cve_id"]: each["epss"] for each in viewer.get(f"{VULNERABILITIES}?page_size=200").json
        }
        assert listed["CVE-2014-0160"] == score
        assert None in listed.values()

    def test_the_likeliest_to_be_exploited(self, viewer):
        ordered = ["CVE-2014-0160", "CVE-2014-6271", "CVE-2023-38545"]
        everything = ids(viewer.get(f"{VULNERABILITIES}?sort=epss&page_size=200"))
        assert everything[:3] == ordered
        assert sorted(everything) == sorted(ids(viewer.get(f"{VULNERABILITIES}?page_size=200")))
        assert ids(viewer.get(f"{VULNERABILITIES}?sort=epss&epss_min=0.6")) == ordered[:2]
        likely = ids(viewer.get(f"{VULNERABILITIES}?epss_min=0.4&kev=true&q=CVE-2014"))
        assert likely == ["CVE-2014-6271", "CVE-2014-0160"]

    @pytest.mark.parametrize("query", ["epss_min=1.5", "epss_min=nan", "epss_min=x", "sort=score"])
    def test_a_wrong_query_is_422(self, viewer, query):
        assert viewer.get(f"{VULNERABILITIES}?{query}").status_code == 422
