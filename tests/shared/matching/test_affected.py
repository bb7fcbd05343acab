"""The CNA's own data: the shapes of the CVE Record Format 5, and that it is second-class."""

import pytest

from shared.matching import configurations
from shared.matching.affected import from_record, tree_of
from shared.matching.certainty import Certainty
from shared.matching.component import Component
from shared.matching.criterion import Criterion
from shared.matching.evidence import evidence
from shared.matching.explain import explain
from shared.matching.match import Candidate, match
from shared.matching.reason import Reason

NODES = [{"nodes": [{"cpeMatch": [{"vulnerable": True, "criteria": "cpe:2.3:a:acme:tool:*:*:*:*:*:*:*:*"}]}]}]


def record(*versions, **more):
    product = {"vendor": "Acme Inc.", "product": "Acme Tool", "versions": list(versions), **more}
    return [{"source": "cna@example.org", "affectedData": [product]}]


def found(version, affected, component=None):
    tree, criteria = from_record(affected)
    component = component or Component("tool", cpes=(f"cpe:2.3:a:acme:tool:{version}:*:*:*:*:*:*:*",))
    return list(match([component], dict(enumerate(criteria)), [Candidate(1, tree)]))


def one(version="0", status="affected", **more):
    return {"version": version, "status": status, **more}


LOG4J = one(
    "2.0-beta9",
    lessThan="log4j-core*",
    versionType="custom",
    changes=[
        {"at": "2.3.1", "status": "unaffected"},
        {"at": "2.4", "status": "affected"},
        {"at": "2.12.2", "status": "unaffected"},
        {"at": "2.13.0", "status": "affected"},
        {"at": "2.15.0", "status": "unaffected"},
    ],
)
LESS = one("1.0", lessThan="2.0", versionType="semver")

# Record, versions that are affected, versions that are not.
SHAPES = [
    (record(LESS), ["1.0", "1.9"], ["0.9", "2.0"]),
    (record(one("1.0", lessThanOrEqual="2.0")), ["1.0", "2.0"], ["2.0.1"]),
    (record(one("1.5")), ["1.5", "1.5.0"], ["1.4", "1.6"]),
    (record(one("0", lessThan="2.0")), ["0.1", "1.9"], ["2.0"]),
    (record(one("unspecified", lessThan="2.0")), ["0.1"], ["2.0"]),
    (record(one("1.0", lessThan="*")), ["1.0", "99"], ["0.9"]),
    (record(one("5.0", lessThan="5.*")), ["5.0", "5.9"], ["6.0", "4.9"]),
    (record(one("5.2", lessThanOrEqual="5.2.*")), ["5.2.7"], ["5.3"]),
    (
        record(LOG4J),
        ["2.0-beta9", "2.3", "2.12.1", "2.14.1"],
        ["2.0-beta8", "2.3.1", "2.12.2", "2.15.0", "2.17"],
    ),
    (record(one(">= 1.0, < 1.2.3")), ["1.0", "1.2.2"], ["0.9", "1.2.3"]),
    (record(one("< 1.2.3")), ["1.2.2"], ["1.2.3"]),
    (record(one("= 1.2.3")), ["1.2.3"], ["1.2.2"]),
    (record(one("1.0", "unaffected")), [], ["1.0", "2.0"]),
    (record(one("1.0", "unknown")), [], ["1.0"]),
    (record(one("2.0", "unaffected", lessThan="*"), defaultStatus="affected"), ["1.9"], ["2.0", "3.0"]),
    (record(defaultStatus="affected"), ["1.0"], []),
    (record(defaultStatus="unaffected"), [], ["1.0"]),
    (record(one("2.0", "unaffected"), defaultStatus="affected"), ["1.9", "2.1"], ["2.0"]),
    (record(one("1.0", "UNAFFECTED", lessThan="2.0"), defaultStatus="Affected"), ["0.9", "2.0"], ["1.5"]),
    (record({"version": 1, "lessThan": 2}), ["1.0", "1.9"], ["0.9", "2.0"]),
    (
        record(
            one(
                "1.0",
                lessThan="4.0",
                changes=[{"at": "3.0", "status": "affected"}, {"at": "2.0", "status": "unaffected"}],
            )
        ),
        ["1.0", "3.0"],
        ["2.0", "4.0"],
    ),
    # As the CNA of the Linux kernel writes it.
    (
        record(
            one("5.4"),
            one("0", "unaffected", lessThan="5.4", versionType="semver"),
            one("5.10.7", "unaffected", lessThanOrEqual="5.10.*", versionType="semver"),
            one("5.11", "unaffected", lessThanOrEqual="*", versionType="original_commit_for_fix"),
            defaultStatus="affected",
        ),
        ["5.4", "5.9", "5.10.6"],
        ["5.3", "5.10.7", "5.10.99", "5.11", "6.0"],
    ),
    # A package of a distribution says nothing about the distribution's version, nor about upstream's.
    (
        record(
            one("1:1.1.1k-12.el8", "unaffected", lessThan="*", versionType="rpm"), defaultStatus="affected"
        ),
        [],
        ["0.9", "8"],
    ),
    (record(one("4f6d8a1", lessThan="9c1e2b3", versionType="git")), [], ["1.0", "4f6d8a1"]),
]


@pytest.mark.parametrize(("affected", "inside", "outside"), SHAPES)
def test_shapes_of_versions(affected, inside, outside):
    for version in inside:
        assert [each.certainty for each in found(version, affected)] == [Certainty.POSSIBLE], version
    for version in outside:
        assert found(version, affected) == [], version


PACKAGES = [
    ("npmjs", "lodash", "pkg:npm/lodash@1.5"),
    ("npmjs", "@astrojs/node", "pkg:npm/%40astrojs/node@1.5"),
    ("pypi", "Some-Package", "pkg:pypi/some-package@1.5"),
    ("maven", "org.example:thing", "pkg:maven/org.example/thing@1.5"),
    ("packagist", "vendor/thing", "pkg:composer/vendor/thing@1.5"),
    ("pkg.go", "example.org/a/b", "pkg:golang/example.org/a/b@v1.5"),
]


@pytest.mark.parametrize(("collection", "name", "purl"), PACKAGES)
def test_a_package_is_found_by_its_package_url(collection, name, purl):
    affected = record(LESS, vendor="n/a", packageName=name, collectionURL=f"https://{collection}.example")

    (match_found,) = found("", affected, Component("x", purl=purl))

    assert match_found.certainty is Certainty.POSSIBLE
    assert match_found.hit.identity.package == purl.partition("@1")[0].partition("@v")[0]
    assert found("", affected, Component("x", purl=purl.replace("1.5", "2.5"))) == []


def test_a_package_url_given_by_the_cna_is_used():
    affected = record(LESS, vendor="n/a", packageURL="pkg:npm/%40acme/tool@1")

    assert len(found("", affected, Component("x", purl="pkg:npm/%40acme/tool@1.5"))) == 1
    assert found("", affected, Component("x", purl="pkg:npm/tool@1.5")) == []


def test_versions_of_one_product_beside_each_other_are_told_apart():
    """Unless each is looked at alone, the one that is excepted would clear the others."""
    affected = record(one("2.0", "unaffected", lessThan="*"), defaultStatus="affected")
    tree, criteria = from_record(affected)
    tools = [
        Component("tool", cpes=(f"cpe:2.3:a:acme:tool:{version}:*:*:*:*:*:*:*",))
        for version in ("1.0", "2.0", "1.9")
    ]

    matches = match(tools, dict(enumerate(criteria)), [Candidate(1, tree)])

    assert sorted(each.component for each in matches) == [0, 2]


def test_what_the_cna_excepts_is_told():
    affected = record(one("2.0", "unaffected", lessThan="*"), defaultStatus="affected")
    tree, criteria = from_record(affected)
    tool = Component("tool", "2.1", cpes=("cpe:2.3:a:acme:tool:2.1:*:*:*:*:*:*:*",))

    told = explain([tool], 0, dict(enumerate(criteria)), tree)

    assert told.reason is Reason.VERSION_OUTSIDE
    assert told.sentence == (
        "tool 2.1 is not affected: the CNA's data names every version of it but those that are "
        "cpe:2.3:a:acme:tool:*:*:*:*:*:*:*:* from 2.0."
    )


def test_a_cpe_given_by_the_cna_is_used():
    affected = record(
        LESS, vendor="n/a", product="n/a", cpes=["cpe:2.3:a:acme:tool:1.5:*:*:*:*:*:*:*", "nonsense"]
    )

    assert len(found("1.9", affected)) == 1


def test_evidence_tells_where_in_the_cnas_data():
    (match_found,) = found("1.5", record(one("0.1"), LESS))
    (by_default,) = found("1.5", record(defaultStatus="affected"))

    assert evidence(match_found)["path"] == "affected[0].affectedData[0].versions[1]"
    assert evidence(by_default)["path"] == "affected[0].affectedData[0].defaultStatus"
    assert "the CNA's data names" in evidence(match_found)["sentence"]


def test_configurations_come_first_when_they_are_usable():
    tree, criteria = tree_of(NODES, record(LESS))

    assert [each.cna for each in tree] == [False]
    assert criteria == [Criterion("cpe:2.3:a:acme:tool:*:*:*:*:*:*:*:*")]


UNUSABLE = [
    None,
    [],
    [{"nodes": []}],
    [{"nodes": [{"cpeMatch": [{"vulnerable": True, "criteria": "cpe:2.3:a:broken"}]}]}],
    [{"nodes": [{"cpeMatch": [{"vulnerable": False, "criteria": "cpe:2.3:o:x:y:-:*:*:*:*:*:*:*"}]}]}],
]


@pytest.mark.parametrize("configured", UNUSABLE, ids=str)
def test_the_cnas_data_stands_in_for_configurations_that_are_not_usable(configured):
    tree, _ = tree_of(configured, record(LESS))

    assert [each.cna for each in tree] == [True]


@pytest.mark.parametrize(
    "affected",
    [
        None,
        3,
        {},
        [3],
        [{"affectedData": 3}],
        [{"affectedData": [None, {"versions": [None, {"changes": [None]}]}]}],
    ],
    ids=str,
)
def test_odd_shapes_are_read_as_far_as_they_go(affected):
    tree, criteria = from_record(affected)

    assert list(match([Component("x", "1")], dict(enumerate(criteria)), [Candidate(1, tree)])) == []


def test_the_mark_survives_storage():
    tree, criteria = from_record(record(LESS))

    stored = configurations.decode(configurations.encode(configurations.renumber(tree, range(len(criteria)))))

    assert stored == tree
