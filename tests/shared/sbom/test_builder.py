import pytest

from shared.sbom.builder import Builder
from shared.sbom.model import Component, Format, Limits, SbomError, Skipped

VALID_PURLS = [
    "pkg:npm/lodash@4.17.21",
    "pkg:npm/%40angular/core@1",
    "pkg:npm/@angular/core@1",
    "pkg:golang/github.com/a/b@v1.0.0#sub/path",
    "pkg:deb/debian/zlib1g@1:1.2.11.dfsg-2+deb11u2?arch=amd64&distro=debian-11",
    "pkg:generic/openssl?download_url=https://example.org/x.tgz",
    "pkg://pypi/django",
    "pkg:docker/cassandra@sha256:244fd47e07d1004f0aed9c",
]
INVALID_PURLS = [
    "npm/lodash",
    "pkg:",
    "pkg:npm",
    "pkg:npm/",
    "pkg:npm/@1",
    "pkg:npm/a b",
    "pkg:npm/a%zz",
    "pkg:1a/b",
    "PKG npm/a",
]
VALID_CPES = [
    "cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*",
    r"cpe:2.3:a:foo\:bar:x\\y:1\.0:*:*:*:*:node.js:*:*",
    "cpe:2.3:o:microsoft:windows:-:*:*:*:*:*:*:*",
    "cpe:/a:openssl:openssl:1.0.1f",
    "cpe:/o:linux:linux_kernel",
]
INVALID_CPES = [
    "openssl",
    "cpe:2.3:a:b",
    "cpe:2.3:x:a:b:1:*:*:*:*:*:*:*",
    "cpe:2.3:a:a b:c:1:*:*:*:*:*:*:*",
    "cpe:/x:a",
    "cpe:2.3:a:::::::::::",
]


def added(component, limits=None):
    builder = Builder(limits or Limits())
    builder.add("here", component)
    return builder.document(Format.SPDX_JSON, "2.3", None, None)


@pytest.mark.parametrize("purl", VALID_PURLS)
def test_a_valid_purl_is_kept_without_a_remark(purl):
    assert added(Component(name="a", purl=purl)).skipped == []


@pytest.mark.parametrize("purl", INVALID_PURLS)
def test_an_invalid_purl_is_kept_with_a_remark(purl):
    document = added(Component(name="a", purl=purl))

    assert document.components[0].purl == purl
    assert document.skipped == [Skipped("here", f"the purl is kept but is not valid: {purl}")]


@pytest.mark.parametrize("cpe", VALID_CPES)
def test_a_valid_cpe_is_kept_without_a_remark(cpe):
    assert added(Component(name="a", cpes=(cpe,))).skipped == []


@pytest.mark.parametrize("cpe", INVALID_CPES)
def test_an_invalid_cpe_is_kept_with_a_remark(cpe):
    document = added(Component(name="a", cpes=(cpe,)))

    assert document.components[0].cpes == (cpe,)
    assert document.skipped == [Skipped("here", f"the CPE is kept but is not valid: {cpe}")]


def test_each_cpe_stands_once_and_only_so_many():
    document = added(Component(name="a", cpes=tuple(f"cpe:/a:x:{i % 4}" for i in range(9))), Limits(cpes=3))

    assert document.components[0].cpes == ("cpe:/a:x:0", "cpe:/a:x:1", "cpe:/a:x:2")
    assert document.skipped == [Skipped("here", "it has more than 3 CPE entries; the rest is left out")]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a", "a"),
        (" a\t", "a"),
        ("a\n\tb", "a b"),
        ("a\0", "a\ufffd"),
        ("\x1b[31m", "\ufffd[31m"),
        ("a\ud800", "a\ufffd"),
    ],
)
def test_texts_can_be_stored_and_shown(text, kept):
    name = added(Component(name=text)).components[0].name

    assert name == kept
    assert name.encode()


def test_the_list_of_remarks_has_an_end():
    builder = Builder(Limits(skipped=2))
    for number in range(5):
        builder.skip(f"{number}", "why")

    assert builder.document(Format.SPDX_JSON, "2.3", None, None).skipped == [
        Skipped("0", "why"),
        Skipped("1", "why"),
        Skipped("the rest of the document", "3 more remarks"),
    ]


def test_a_long_run_of_unusable_components_ends_early():
    builder = Builder(Limits(skipped=2))
    builder.leave_out("1", "why")
    builder.leave_out("2", "why")

    with pytest.raises(SbomError, match="none of the components"):
        builder.leave_out("3", "why")
