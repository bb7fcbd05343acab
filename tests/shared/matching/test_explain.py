"""Why, and why not: every reason."""

import pytest

from shared.matching.component import Component
from shared.matching.configurations import from_record
from shared.matching.explain import explain
from shared.matching.reason import Reason

RANGE = {
    "vulnerable": True,
    "criteria": "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*",
    "versionStartIncluding": "1.0.1",
    "versionEndExcluding": "1.0.1g",
}
WINDOWS = {"vulnerable": False, "criteria": "cpe:2.3:o:microsoft:windows:-:*:*:*:*:*:*:*"}
ON_WINDOWS = [{"operator": "AND", "nodes": [{"cpeMatch": [RANGE]}, {"cpeMatch": [WINDOWS]}]}]
LINUX = Component("Linux", cpes=("cpe:2.3:o:linux:linux_kernel:5.10:*:*:*:*:*:*:*",))


def openssl(version, **more):
    return Component(
        "OpenSSL", version, cpes=(f"cpe:2.3:a:openssl:openssl:{version or '*'}:*:*:*:*:*:*:*",), **more
    )


def single(criteria, **bounds):
    return [{"nodes": [{"cpeMatch": [{"vulnerable": True, "criteria": criteria, **bounds}]}]}]


def ask(components, record, status="Analyzed", index=0):
    tree, criteria = from_record(record)
    return explain(components, index, dict(enumerate(criteria)), tree, status)


def test_a_match_comes_with_its_evidence():
    told = ask([openssl("1.0.1f")], ON_WINDOWS)

    assert told.matches
    assert told.reason is None
    assert told.evidence["path"] == "configurations[0].nodes[0].cpeMatch[0]"
    assert told.sentence == told.evidence["sentence"]


REASONS = [
    ([openssl("1.0.1g")], ON_WINDOWS, Reason.VERSION_OUTSIDE, "1.0.1g = 1.0.1g, wanted < 1.0.1g"),
    ([openssl("0.9.8")], ON_WINDOWS, Reason.VERSION_OUTSIDE, "0.9.8 < 1.0.1, wanted >= 1.0.1"),
    (
        [openssl("1.0.1g")],
        single("cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*"),
        Reason.VERSION_OUTSIDE,
        "1.0.1g against 1.0.1f",
    ),
    ([openssl("1.0.1f"), LINUX], ON_WINDOWS, Reason.PLATFORM_NOT_MET, "none of cpe:2.3:o:microsoft:windows"),
    ([openssl("")], ON_WINDOWS, Reason.VERSION_UNKNOWN, "the version of OpenSSL is unknown"),
    (
        [openssl("deadbeef1234")],
        ON_WINDOWS,
        Reason.VERSION_UNDECIDED,
        "no order decides deadbeef1234 ? 1.0.1",
    ),
    (
        [openssl("latest")],
        single("cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*"),
        Reason.VERSION_UNDECIDED,
        "no order decides latest against 1.0.1f",
    ),
    (
        [Component("lodash", purl="pkg:npm/lodash@%5E4.17.4")],
        single("cpe:2.3:a:lodash:lodash:4.17.4:*:*:*:*:node.js:*:*"),
        Reason.VERSION_UNDECIDED,
        "no order decides ^4.17.4 against 4.17.4",
    ),
    (
        [openssl("1.0")],
        single("cpe:2.3:a:openssl:openssl:-:*:*:*:*:*:*:*"),
        Reason.VERSION_NOT_NAMED,
        "without a version",
    ),
    (
        [LINUX],
        ON_WINDOWS,
        Reason.NO_IDENTIFIER,
        "is known as o:linux:linux_kernel; the record is about a:openssl:openssl",
    ),
    ([Component()], ON_WINDOWS, Reason.NO_IDENTIFIER, "neither a CPE name nor a package URL"),
    (
        [Component("redis", "2.8", "pkg:npm/redis@2.8")],
        single("cpe:2.3:a:redis:redis:*:*:*:*:*:*:*:*"),
        Reason.ECOSYSTEM_DIFFERS,
        "other software of that name",
    ),
    (
        [Component("x", cpes=("cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:linux:*:*",))],
        single("cpe:2.3:a:openssl:openssl:*:*:*:*:*:windows:*:*"),
        Reason.ATTRIBUTE_DIFFERS,
        "differs from",
    ),
    ([openssl("1")], single("cpe:2.3:a:openssl"), Reason.UNREADABLE, "breaks the grammar"),
    (
        [openssl("1")],
        [],
        Reason.NOT_ANALYSED,
        "no affected product that can be compared (its status is 'Analyzed')",
    ),
    ([openssl("1")], [{"nodes": [{"cpeMatch": [WINDOWS]}]}], Reason.NOT_ANALYSED, "no affected product"),
]


@pytest.mark.parametrize(
    ("components", "record", "reason", "words"), REASONS, ids=lambda value: str(value)[:30]
)
def test_reason(components, record, reason, words):
    told = ask(components, record)

    assert not told.matches
    assert told.reason is reason
    assert words in told.sentence


def test_a_rejected_record_matches_nothing():
    told = ask([openssl("1.0.1f")], ON_WINDOWS, status="Rejected")

    assert told.reason is Reason.REJECTED


def test_the_closest_miss_comes_first():
    record = single("cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*", versionEndExcluding="1.0")
    record[0]["nodes"][0]["cpeMatch"].append(
        {"vulnerable": True, "criteria": "cpe:2.3:a:openssl:openssl:-:*:*:*:*:*:*:*"}
    )

    told = ask([openssl("1.0.1")], record)

    assert [miss.reason for miss in told.near_misses] == [Reason.VERSION_OUTSIDE, Reason.VERSION_NOT_NAMED]
    assert told.near_misses[0].path == "configurations[0].nodes[0].cpeMatch[0]"
    assert told.near_misses[0].comparison == "1.0.1 > 1.0, wanted < 1.0"


def test_the_answer_is_about_the_component_that_was_asked_about():
    components = [openssl("1.0.1f"), openssl("1.0.1g")]

    assert ask(components, ON_WINDOWS, index=0).matches
    assert not ask(components, ON_WINDOWS, index=1).matches
