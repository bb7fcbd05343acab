"""From a record to rows: what is used, what is tolerated, what is refused."""

import datetime as dt
import itertools
import json

import pytest

from shared.errors import Invalid
from shared.matching import configurations
from shared.models.finding import Severity
from worker_service.handlers.nvd import records
from worker_service.handlers.nvd.records import convert, criterion_id

UTC = dt.UTC


def encode(**fields):
    cve = {
        "id": "CVE-2020-0001",
        "lastModified": "2020-02-03T04:05:06.789",
        "vulnStatus": "Analyzed",
        **fields,
    }
    return json.dumps({"cve": cve}).encode()


def columns(**fields):
    return convert(encode(**fields), b"digest").vulnerability


def configuration(*matches, **more):
    return [{"nodes": [{"operator": "OR", "negate": False, "cpeMatch": list(matches)}], **more}]


def match(criteria, vulnerable=True, **bounds):
    return {"vulnerable": vulnerable, "criteria": criteria, "matchCriteriaId": "A0", **bounds}


def cvss(score, version="3.1", kind="Primary", severity=None, vector="V"):
    data = {"version": version, "baseScore": score, "vectorString": vector}
    outside = {"baseSeverity": severity} if severity and version == "2.0" else {}
    inside = {"baseSeverity": severity} if severity and version != "2.0" else {}
    return {"source": "x", "type": kind, "cvssData": {**data, **inside}, **outside}


def test_the_least_a_record_can_have():
    row = columns()
    assert (row["id"], row["cve_id"], row["year"]) == (2020 << 32 | 1, "CVE-2020-0001", 2020)
    assert row["last_modified"] == row["published"] == dt.datetime(2020, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)
    assert (row["severity"], row["score"], row["cvss_version"], row["cvss_vector"]) == (
        Severity.UNKNOWN,
        None,
        None,
        None,
    )
    assert (row["tree"], row["description"], row["digest"]) == (None, "", b"digest")
    assert (row["rejected"], row["analysed"], row["has_affected"]) == (False, True, False)


def test_what_lists_and_findings_show():
    row = columns(
        published="2019-12-31T23:00:00.000-01:00",
        descriptions=[{"lang": "es", "value": "Hola"}, {"lang": "en", "value": "Hello\0 there"}],
        cisaExploitAdd="2021-11-03",
        cisaActionDue="2022-05-03",
        cisaVulnerabilityName="A name",
        cisaRequiredAction="Do it",
        affected=[{"source": "x", "affectedData": []}],
    )
    assert row["published"] == dt.datetime(2020, 1, 1, tzinfo=UTC)
    assert row["description"] == "Hello\ufffd there"  # PostgreSQL has no place for NUL
    assert (row["kev_added"], row["kev_due"]) == (dt.date(2021, 11, 3), dt.date(2022, 5, 3))
    assert (row["kev_name"], row["kev_action"], row["has_affected"]) == ("A name", "Do it", True)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        # The newest version wins, even from a Secondary source; within a version the Primary one, then the first.
        (
            {"cvssMetricV31": [cvss(9.8)], "cvssMetricV40": [cvss(6.9, "4.0", "Secondary", "MEDIUM")]},
            (Severity.MEDIUM, 6.9, "4.0"),
        ),
        ({"cvssMetricV30": [cvss(5.0, "3.0")], "cvssMetricV31": [cvss(7.0)]}, (Severity.HIGH, 7.0, "3.1")),
        ({"cvssMetricV31": [cvss(3.1, kind="Secondary"), cvss(9.9)]}, (Severity.CRITICAL, 9.9, "3.1")),
        ({"cvssMetricV31": [cvss(4.1), cvss(8.0)]}, (Severity.MEDIUM, 4.1, "3.1")),
        # 2.0 has its severity outside the data, and knows neither critical nor none.
        ({"cvssMetricV2": [cvss(10, "2.0", severity="HIGH")]}, (Severity.HIGH, 10.0, "2.0")),
        ({"cvssMetricV2": [cvss(10, "2.0")]}, (Severity.HIGH, 10.0, "2.0")),
        ({"cvssMetricV2": [cvss(0, "2.0")]}, (Severity.LOW, 0.0, "2.0")),
        ({"cvssMetricV31": [cvss(0, severity="NONE")]}, (Severity.NONE, 0.0, "3.1")),
        # Unknown values are used as far as they are understood.
        ({"cvssMetricV50": [cvss(7.5, "5.0", "Tertiary", "SPICY")]}, (Severity.HIGH, 7.5, "5.0")),
        ({"cvssMetricV31": [cvss(7.5, version="next")]}, (Severity.HIGH, 7.5, "next")),
        ({"cvssMetricV31": [{"type": "Primary"}, 5, None]}, (Severity.UNKNOWN, None, None)),
        ({"cvssMetricV31": [cvss("high"), cvss(3.0)]}, (Severity.LOW, 3.0, "3.1")),
        ({"cvssMetricV31": [cvss(11)]}, (Severity.UNKNOWN, None, None)),
        ({"cvssMetricV31": {"no": "list"}, "cvssMetricV2": [cvss(5, "2.0")]}, (Severity.MEDIUM, 5.0, "2.0")),
        ({"ssvcV203": [{"source": "x", "ssvcData": {}}]}, (Severity.UNKNOWN, None, None)),
        ([], (Severity.UNKNOWN, None, None)),
        (None, (Severity.UNKNOWN, None, None)),
    ],
)
def test_the_chosen_assessment(metrics, expected):
    row = columns(metrics=metrics)
    assert (row["severity"], row["score"], row["cvss_version"]) == expected


def test_every_odd_value_costs_only_itself():
    row = columns(
        published="yesterday",
        vulnStatus=7,
        descriptions={"lang": "en"},
        weaknesses=[
            {"description": [{"value": ["CWE-1"]}, {"value": "CWE-79"}, {"value": "'; DROP"}]},
            None,
            3,
        ],
        cisaExploitAdd="soon",
        references="none",
        somethingNew={"nested": [1, None]},
    )
    assert row["status"] == ""
    assert row["published"] == row["last_modified"]
    assert row["kev_added"] is None
    assert convert(
        encode(weaknesses=[{"description": [{"value": ["CWE-1"]}, {"value": "CWE-79"}]}, None]), b""
    ).cwes == ["CWE-79"]


def test_weaknesses_are_distinct_and_named_as_the_nvd_names_them():
    value = [
        {"description": [{"lang": "en", "value": "CWE-79"}, {"lang": "en", "value": "NVD-CWE-noinfo"}]},
        {"description": [{"lang": "en", "value": "CWE-79"}]},
    ]
    assert convert(encode(weaknesses=value), b"").cwes == ["CWE-79", "NVD-CWE-noinfo"]


def test_configurations_become_a_tree_of_criteria_ids():
    openssl = "cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*"
    linux = "cpe:2.3:o:linux:linux_kernel:-:*:*:*:*:*:*:*"
    converted = convert(
        encode(configurations=configuration(match(openssl), match(linux, vulnerable=False))), b""
    )
    by_text = {filed.criterion.criteria: filed for filed in converted.criteria}
    assert (by_text[openssl].product_key, by_text[openssl].version_key) == by_text[
        openssl
    ].criterion.index_key
    assert converted.uses == {by_text[openssl].id: True, by_text[linux].id: False}
    tree = configurations.decode(converted.vulnerability["tree"])
    assert records.uses(tree) == converted.uses


def test_a_criterion_named_both_ways_counts_as_vulnerable():
    text = "cpe:2.3:o:linux:linux_kernel:-:*:*:*:*:*:*:*"
    for order in ([True, False], [False, True]):
        converted = convert(
            encode(configurations=configuration(*(match(text, vulnerable=v) for v in order))), b""
        )
        assert list(converted.uses.values()) == [True]


def test_ids_of_criteria_depend_on_string_and_range_only():
    text = "cpe:2.3:a:a:b:*:*:*:*:*:*:*:*"
    variants = [
        match(text),
        match(text, versionEndExcluding="2"),
        match(text, versionEndIncluding="2"),
        match(text, versionStartIncluding="2"),
        match(text, versionStartExcluding="2"),
        match(text, versionStartExcluding="2", versionEndIncluding="3"),
        match(text.replace(":b:", ":c:")),
    ]
    ids = [next(iter(convert(encode(configurations=configuration(v)), b"").uses)) for v in variants]
    assert len(set(ids)) == len(ids)
    assert all(0 <= number < 2**63 for number in ids)
    again = [
        next(iter(convert(encode(configurations=configuration({**v, "matchCriteriaId": "B"})), b"").uses))
        for v in variants
    ]
    assert again == ids


def test_criteria_of_a_product_lie_side_by_side():
    numbers = {}
    for product in "abc":
        matches = [match(f"cpe:2.3:a:v:{product}:{n}:*:*:*:*:*:*:*") for n in range(50)]
        converted = convert(encode(configurations=configuration(*matches)), b"")
        assert {criterion_id(f.criterion, f.product_key) for f in converted.criteria} == set(converted.uses)
        numbers[product] = sorted(converted.uses)
    ranges = sorted((each[0], each[-1]) for each in numbers.values())
    assert all(left[1] < right[0] for left, right in itertools.pairwise(ranges))


def test_a_rejected_record_matches_nothing_whatever_it_still_carries():
    text = "cpe:2.3:a:a:b:1:*:*:*:*:*:*:*"
    converted = convert(encode(vulnStatus="Rejected", configurations=configuration(match(text))), b"")
    assert (converted.uses, converted.criteria, converted.vulnerability["tree"]) == ({}, [], None)
    assert converted.vulnerability["rejected"]
    assert not converted.vulnerability["analysed"]


@pytest.mark.parametrize(
    ("status", "listed", "analysed"),
    [
        ("Received", False, False),
        ("Awaiting Analysis", False, False),
        ("Undergoing Analysis", False, False),
        ("Undergoing Analysis", True, True),
        ("Deferred", True, True),
        ("Deferred", False, False),
        ("Modified", False, True),
        ("Under Reconsideration", False, False),
    ],
)
def test_analysed_or_not(status, listed, analysed):
    value = configuration(match("cpe:2.3:a:a:b:1:*:*:*:*:*:*:*")) if listed else []
    assert columns(vulnStatus=status, configurations=value)["analysed"] is analysed


@pytest.mark.parametrize(
    "value", [None, [], [{}], [{"nodes": []}], [{"nodes": [{"operator": "OR"}]}], "x", 5]
)
def test_without_criteria_there_is_no_tree(value):
    assert columns(configurations=value)["tree"] is None


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"{oops", "not a CVE record"),
        (b"null", "not a CVE record"),
        (b'{"cve": 5}', "not a CVE record"),
        (b"{}", "not a CVE record"),
        (b"[" * 5000 + b"]" * 5000, "not a CVE record"),
        (encode(id=None), "not a CVE id: ''"),
        (encode(id="CVE-20-1"), "not a CVE id"),
        (encode(id="CVE-2020-00001"), "not a CVE id"),
        (encode(id="CVE-2020-9999999999"), "not a CVE id"),
        (encode(id="CVE-2020-\u0660\u0660\u0660\u0661"), "not a CVE id"),
        (encode(lastModified=None), "no usable lastModified"),
        (encode(lastModified="today"), "no usable lastModified"),
        (encode(configurations=configuration(match(7))), "no criterion that can be read"),
        (encode(configurations=configuration({}, match("cpe:/oops"))), "no criterion that can be read"),
        (
            encode(configurations=configuration(match("cpe:2.3:a:b:" + "c" * 2000 + ":*" * 8))),
            "more than 1024 characters",
        ),
    ],
)
def test_what_cannot_be_used_says_why(record, reason):
    with pytest.raises(Invalid, match=reason):
        convert(record, b"")


def test_the_digest_is_of_the_content_and_of_the_conversion(monkeypatch):
    record = encode()
    first = records.digest(record)
    assert first == records.digest(encode())
    assert first != records.digest(encode(vulnStatus="Modified"))
    monkeypatch.setattr(records, "CONVERSION", b"next")
    assert first != records.digest(record)


def test_the_name_is_found_without_converting():
    assert records.name(encode()) == "CVE-2020-0001"
    assert records.name(b'{"cve": {"id": 5}}') is None
    assert records.name(b"{oops") is None


def test_every_real_record_can_be_used(data_dir):
    pages = [json.loads(path.read_bytes()) for path in sorted((data_dir / "nvd-api").glob("*.json"))]
    rows = {}
    for page in pages:
        for element in page["vulnerabilities"]:
            converted = convert(json.dumps(element).encode(), b"")
            rows[converted.vulnerability["cve_id"]] = converted
    log4shell = rows["CVE-2021-44228"].vulnerability
    assert log4shell["has_affected"]
    assert (log4shell["score"], log4shell["severity"], log4shell["kev_added"]) == (
        10.0,
        Severity.CRITICAL,
        dt.date(2021, 12, 10),
    )
    assert len(rows["CVE-2021-44228"].uses) > 100
    assert len(rows) == 9
