import json

import pytest

from shared.sbom import Component, Format, SbomError, Skipped, read

PURL = "pkg:npm/anchor@1.2.3"
CPES = ("cpe:2.3:a:example:anchor:1.2.3:*:*:*:*:*:*:*", "cpe:/a:example:anchor:1.2.3")


def document(*packages, **members):
    return {
        "spdxVersion": "SPDX-2.3",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "doc",
        "packages": packages,
        **members,
    }


def read_json(content):
    return read(json.dumps(content).encode())


def reference(category, kind, locator):
    return {"referenceCategory": category, "referenceType": kind, "referenceLocator": locator}


def test_a_package_is_carried_whole():
    found = read_json(
        document(
            {
                "SPDXID": "SPDXRef-1",
                "name": "anchor",
                "versionInfo": "1.2.3",
                "licenseConcluded": "NOASSERTION",
                "licenseDeclared": "MIT",
                "primaryPackagePurpose": "OPERATING_SYSTEM",
                "externalRefs": [
                    reference("SECURITY", "cpe23Type", CPES[0]),
                    reference("SECURITY", "cpe22Type", CPES[1]),
                    reference("PACKAGE-MANAGER", "purl", PURL),
                    reference("OTHER", "website", "nothing"),
                ],
            }
        )
    )

    assert (found.format, found.spec_version, found.skipped) == (Format.SPDX_JSON, "2.3", [])
    assert found.components == [
        Component(
            name="anchor",
            version="1.2.3",
            purl=PURL,
            cpes=CPES,
            type="operating-system",
            bom_ref="SPDXRef-1",
            licences=("MIT",),
        )
    ]


@pytest.mark.parametrize(
    ("category", "kind"),
    [
        ("PACKAGE-MANAGER", "purl"),
        ("PACKAGE_MANAGER", "purl"),
        ("PACKAGE-MANAGER", "http://spdx.org/rdf/references/purl"),
        ("OTHER", "PURL"),
    ],
)
def test_every_spelling_of_a_reference_is_understood(category, kind):
    found = read_json(document({"name": "anchor", "externalRefs": [reference(category, kind, PURL)]}))

    assert found.components[0].purl == PURL


def test_of_several_purls_the_first_counts_and_that_is_said():
    references = [reference("PACKAGE-MANAGER", "purl", purl) for purl in (PURL, PURL, "pkg:npm/other@1")]
    found = read_json(document({"name": "anchor", "externalRefs": references}))

    assert found.components[0].purl == PURL
    assert found.skipped == [Skipped("packages[0]", "it has 2 purls; only the first is kept")]


@pytest.mark.parametrize("version", ["NOASSERTION", "NONE", "", None])
def test_a_version_may_be_unknown(version):
    assert read_json(document({"name": "a", "versionInfo": version})).components[0].version is None


def test_every_package_counts_described_or_not():
    found = read_json(
        document({"SPDXID": "A", "name": "shop", "versionInfo": "2"}, {"name": "b"}, documentDescribes=["A"])
    )

    assert [component.name for component in found.components] == ["shop", "b"]
    assert (found.name, found.version) == ("shop", "2")


@pytest.mark.parametrize(
    ("relationships", "name"),
    [
        ([("SPDXRef-DOCUMENT", "DESCRIBES", "A")], "shop"),
        ([("A", "DESCRIBED_BY", "SPDXRef-DOCUMENT")], "shop"),
        ([("SPDXRef-DOCUMENT", "DESCRIBES", "A"), ("SPDXRef-DOCUMENT", "DESCRIBES", "B")], "doc"),
        ([("SPDXRef-DOCUMENT", "CONTAINS", "A")], "doc"),
        ([("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-DOCUMENT")], "doc"),
        ([("SPDXRef-DOCUMENT", "DESCRIBES", 5)], "doc"),
        ([], "doc"),
    ],
)
def test_one_described_package_names_the_document(relationships, name):
    keys = ("spdxElementId", "relationshipType", "relatedSpdxElement")
    found = read_json(
        document(
            {"SPDXID": "A", "name": "shop"},
            {"SPDXID": "B", "name": "till"},
            relationships=[dict(zip(keys, relationship, strict=True)) for relationship in relationships],
        )
    )

    assert found.name == name


@pytest.mark.parametrize("version", ["SPDX-2.1", "SPDX-3.0", "2.3", "", None, {}])
def test_any_other_version_is_refused(version):
    with pytest.raises(SbomError) as caught:
        read_json(document({"name": "a"}, spdxVersion=version))
    assert caught.value.where in {"spdxVersion", "the document"}


def test_version_3_is_told_by_its_context():
    with pytest.raises(SbomError, match="SPDX 3"):
        read_json({"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": []})


def test_a_document_wrapped_as_github_does_is_read():
    assert len(read_json({"sbom": document({"name": "a"})}).components) == 1


@pytest.mark.parametrize(
    ("members", "remark"),
    [
        ({"externalRefs": {}}, Skipped("packages[0].externalRefs", "it is an object, not a list")),
        (
            {"externalRefs": [{}]},
            Skipped("packages[0].externalRefs[0]", "it does not have the form of such an entry"),
        ),
        ({"licenseDeclared": ["MIT"]}, Skipped("packages[0].licenseDeclared", "it is a list, not a text")),
        ({"SPDXID": {}}, Skipped("packages[0].SPDXID", "it is an object, not a text")),
    ],
)
def test_what_breaks_the_schema_is_left_out_and_said(members, remark):
    found = read_json(document({"name": "a", "versionInfo": 7, **members}))

    assert (found.components[0].name, found.components[0].version) == ("a", "7")
    assert found.skipped == [remark]


@pytest.mark.parametrize("packages", [{}, "many", 3])
def test_packages_that_are_no_list_are_refused(packages):
    with pytest.raises(SbomError, match="not a list"):
        read_json({"spdxVersion": "SPDX-2.3", "packages": packages})
