"""The data that the demonstration loads: well-formed, consistent, and about each other."""

import json
import re
import uuid
from datetime import date, datetime
from importlib import resources

import pytest

from shared.matching import configurations, cpe
from shared.matching.component import Component
from shared.matching.match import Candidate, match
from shared.sbom import read

SAMPLE = resources.files("shared") / "sample"
FEED = json.loads((SAMPLE / "feed.json").read_text(encoding="utf-8"))
RECORDS = [entry["cve"] for entry in FEED["vulnerabilities"]]
RANGES = ("versionStartIncluding", "versionStartExcluding", "versionEndIncluding", "versionEndExcluding")
KEV = ("cisaExploitAdd", "cisaActionDue", "cisaRequiredAction", "cisaVulnerabilityName")

every_record = pytest.mark.parametrize("record", RECORDS, ids=[record["id"] for record in RECORDS])


def criteria_of(record):
    return [
        criterion
        for configuration in record.get("configurations", [])
        for node in configuration["nodes"]
        for criterion in node["cpeMatch"]
    ]


def metrics_of(record):
    return [metric for metrics in record["metrics"].values() for metric in metrics]


def test_the_envelope_is_that_of_a_feed_and_counts_right():
    assert (FEED["format"], FEED["version"], FEED["startIndex"]) == ("NVD_CVE", "2.0", 0)
    assert FEED["resultsPerPage"] == FEED["totalResults"] == len(RECORDS) >= 40


def test_every_identifier_stands_once():
    identifiers = [record["id"] for record in RECORDS]

    assert len(set(identifiers)) == len(identifiers)
    assert all(re.fullmatch(r"CVE-\d{4}-\d{4,}", identifier) for identifier in identifiers)


@every_record
def test_a_record_has_the_members_of_its_state(record):
    assert datetime.fromisoformat(record["published"]) <= datetime.fromisoformat(record["lastModified"])
    assert record["lastModified"] <= FEED["timestamp"]
    assert record["descriptions"][0]["lang"] == "en"
    assert len(record["descriptions"][0]["value"]) > 40
    analysed = record["vulnStatus"] in {"Analyzed", "Modified"}
    assert bool(record.get("configurations")) == analysed
    assert bool(metrics_of(record)) == (record["vulnStatus"] != "Rejected")
    assert all(reference["url"].startswith("https://") for reference in record["references"])


@every_record
def test_what_is_known_to_be_exploited_says_so_completely(record):
    present = [field for field in KEV if field in record]

    assert present in ([], list(KEV))
    if present:
        assert date.fromisoformat(record["cisaExploitAdd"]) < date.fromisoformat(record["cisaActionDue"])


@every_record
def test_scores_name_the_version_of_their_vector(record):
    for metric in metrics_of(record):
        data = metric["cvssData"]
        prefix = "AV:" if data["version"] == "2.0" else f"CVSS:{data['version']}/"
        assert data["vectorString"].startswith(prefix)
        assert 0 < data["baseScore"] <= 10


@every_record
def test_ranges_are_ranges_of_every_version(record):
    for criterion in criteria_of(record):
        name = cpe.parse(criterion["criteria"])
        bounds = [criterion[field] for field in RANGES if field in criterion]
        assert not ("versionStartIncluding" in criterion and "versionStartExcluding" in criterion)
        assert not ("versionEndIncluding" in criterion and "versionEndExcluding" in criterion)
        assert all(bounds)
        if bounds:
            assert name.version == "*"


def test_a_criterion_has_one_identifier_of_its_own():
    known = {}
    for record in RECORDS:
        for criterion in criteria_of(record):
            identifier = criterion["matchCriteriaId"]
            assert str(uuid.UUID(identifier)).upper() == identifier
            content = (criterion["criteria"], *(criterion.get(field) for field in RANGES))
            assert known.setdefault(identifier, content) == content
    assert len(set(known.values())) == len(known)


def test_the_feed_shows_what_records_may_look_like():
    states = {record["vulnStatus"] for record in RECORDS}
    versions = {metric["cvssData"]["version"] for record in RECORDS for metric in metrics_of(record)}
    waiting = [record for record in RECORDS if record["vulnStatus"] == "Awaiting Analysis"]
    operators = {c.get("operator") for record in RECORDS for c in record.get("configurations", [])}

    assert {"Analyzed", "Modified", "Awaiting Analysis", "Rejected"} <= states
    assert versions == {"2.0", "3.0", "3.1", "4.0"}
    assert operators == {None, "AND"}
    assert waiting
    assert all(record["affected"][0]["affectedData"] for record in waiting)
    assert any("cisaExploitAdd" in record for record in RECORDS)


def test_the_shop_is_read_without_a_remark():
    document = read((SAMPLE / "sbom.cdx.json").read_bytes())

    assert (document.name, document.version) == ("harbour-shop", "3.4.0")
    assert len(document.components) == 32
    assert document.skipped == []


def test_half_of_the_shop_is_hit_with_every_certainty():
    document = read((SAMPLE / "sbom.cdx.json").read_bytes())
    components = [
        Component(name=c.name, version=c.version or "", purl=c.purl, cpes=c.cpes) for c in document.components
    ]
    criteria, candidates = {}, []
    for number, record in enumerate(RECORDS):
        tree, found = configurations.from_record(record.get("configurations", []))
        ids = range(len(criteria), len(criteria) + len(found))
        criteria.update(zip(ids, found, strict=True))
        candidates.append(Candidate(number, configurations.renumber(tree, ids)))

    found = [
        (components[hit.component].name, RECORDS[hit.vulnerability_id]["id"], str(hit.certainty))
        for hit in match(components, criteria, candidates)
    ]

    assert ("openssl", "CVE-2014-0160", "confirmed") in found
    assert ("spring-framework", "CVE-2022-22965", "conditional") in found
    assert ("log4j-core", "CVE-2021-44228", "likely") in found
    assert ("sudo", "CVE-2021-3156", "possible") in found
    hit = {name for name, _, _ in found}
    assert 14 <= len(hit) <= 20
    # Repaired releases, and Tomcat, whose flaw needs the Windows that this inventory does not run on.
    assert not hit & {"libcurl", "node-fetch", "urllib3", "Django", "Flask", "Jinja2", "tar", "tomcat"}
