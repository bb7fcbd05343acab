import pytest

from shared.sbom import Component, Format, SbomError, Skipped, read

HEAD = "SPDXVersion: SPDX-2.3\nSPDXID: SPDXRef-DOCUMENT\nDocumentName: doc\n"


def read_text(text):
    return read(text.encode())


def names(found):
    return [component.name for component in found.components]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_package_is_carried_whole(ending):
    text = (
        HEAD
        + """
##### Package: anchor
PackageName: anchor
SPDXID: SPDXRef-1
PackageVersion: 1.2.3
PackageLicenseDeclared: MIT
PrimaryPackagePurpose: LIBRARY
ExternalRef: SECURITY cpe23Type cpe:2.3:a:example:anchor:1.2.3:*:*:*:*:*:*:*
ExternalRefComment: <text>a comment
PackageName: in it</text>
ExternalRef: SECURITY cpe22Type cpe:/a:example:anchor:1.2.3
ExternalRef: PACKAGE_MANAGER purl pkg:npm/anchor@1.2.3
PackageName: second
"""
    )
    found = read_text(text.replace("\n", ending))

    assert (found.format, found.spec_version, found.name, found.skipped) == (
        Format.SPDX_TAG_VALUE,
        "2.3",
        "doc",
        [],
    )
    assert found.components == [
        Component(
            name="anchor",
            version="1.2.3",
            purl="pkg:npm/anchor@1.2.3",
            cpes=("cpe:2.3:a:example:anchor:1.2.3:*:*:*:*:*:*:*", "cpe:/a:example:anchor:1.2.3"),
            type="library",
            bom_ref="SPDXRef-1",
            licences=("MIT",),
        ),
        Component(name="second"),
    ]


def test_lines_within_a_text_are_no_tags():
    text = (
        HEAD
        + "PackageName: a\nPackageComment: <text>\nPackageName: b\nPackageVersion: 9\n</text>\nPackageVersion: 1\n"
    )
    found = read_text(text)

    assert [(c.name, c.version) for c in found.components] == [("a", "1")]


def test_a_text_without_end_takes_the_rest():
    assert names(read_text(HEAD + "PackageName: a\nLicenseComments: <text>\nPackageName: b\n")) == ["a"]


def test_a_value_may_be_wrapped_in_a_text():
    assert names(read_text(HEAD + "PackageName: <text>a</text>\n")) == ["a"]


def test_a_comment_is_no_text():
    assert names(read_text(HEAD + "# PackageComment: <text>\nPackageName: a\n")) == ["a"]


def test_what_belongs_to_a_file_does_not_change_the_package():
    text = HEAD + "PackageName: a\nSPDXID: SPDXRef-a\nFileName: ./x\nSPDXID: SPDXRef-x\nPackageVersion: 7\n"
    found = read_text(text)

    assert found.components == [Component(name="a", bom_ref="SPDXRef-a")]


def test_one_described_package_names_the_document():
    packages = "PackageName: shop\nSPDXID: A\nPackageVersion: 2\nPackageName: b\nSPDXID: B\n"
    found = read_text(
        HEAD + packages + "Relationship: SPDXRef-DOCUMENT DESCRIBES A\nRelationship: A DEPENDS_ON B\n"
    )

    assert (found.name, found.version, names(found)) == ("shop", "2", ["shop", "b"])


def test_a_place_is_a_line():
    found = read_text(HEAD + "\nPackageName: a\nExternalRef: SECURITY purl\n\nPackageName:\nPackageName: c\n")

    assert names(found) == ["a", "c"]
    assert found.skipped == [
        Skipped("line 5", "an ExternalRef has not three parts"),
        Skipped("line 8", "the component is left out: it has no usable name"),
    ]


@pytest.mark.parametrize("version", ["SPDX-2.1", "SPDX-3.0", "2.3", ""])
def test_any_other_version_is_refused(version):
    with pytest.raises(SbomError, match=r"SPDX-2\.2 and SPDX-2\.3 are read"):
        read_text(f"SPDXVersion: {version}\nPackageName: a\n")


def test_version_2_2_is_read():
    assert read_text("SPDXVersion: SPDX-2.2\nPackageName: a\n").spec_version == "2.2"
