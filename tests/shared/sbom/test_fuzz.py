"""Reading either gives a document fit for a database or raises `SbomError`; nothing else, whatever comes."""

import gzip
import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.sbom import Limits, SbomError, read

LIMITS = Limits(size=100_000, unpacked=100_000, components=50, text=50, cpes=5, skipped=5)
COMPONENT = {
    "type": "library",
    "bom-ref": "r",
    "group": "g",
    "name": "anchor",
    "version": "1",
    "purl": "pkg:npm/anchor@1",
    "cpe": "cpe:2.3:a:x:anchor:1:*:*:*:*:*:*:*",
    "licenses": [{"license": {"id": "MIT"}}],
    "properties": [{"name": "syft:cpe23", "value": "cpe:/a:b"}],
    "components": [{"name": "inner"}],
}
PACKAGE = {
    "name": "anchor",
    "SPDXID": "A",
    "versionInfo": "1",
    "licenseDeclared": "MIT",
    "primaryPackagePurpose": "LIBRARY",
    "externalRefs": [
        {"referenceCategory": "SECURITY", "referenceType": "purl", "referenceLocator": "pkg:npm/a@1"}
    ],
}
CDX = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "metadata": {"component": COMPONENT},
    "components": [COMPONENT],
}
SPDX = {
    "spdxVersion": "SPDX-2.3",
    "name": "doc",
    "documentDescribes": ["A"],
    "packages": [PACKAGE],
    "relationships": [{"spdxElementId": "B", "relatedSpdxElement": "A", "relationshipType": "DESCRIBED_BY"}],
}
XML = b"""<?xml version="1.0" encoding="UTF-8"?><bom xmlns="http://cyclonedx.org/schema/bom/1.5"><metadata>
<component type="application"><name>shop</name></component></metadata><components><component type="library"
bom-ref="r"><group>g</group><name>anchor</name><version>1</version><licenses><license><id>MIT</id></license>
</licenses><cpe>cpe:/a:b</cpe><purl>pkg:npm/a@1</purl><components><component><name>inner</name></component>
</components><properties><property name="syft:cpe23">cpe:/a:c</property></properties></component></components></bom>"""
TAGS = b"""SPDXVersion: SPDX-2.3
DocumentName: doc
PackageName: anchor
SPDXID: A
PackageVersion: 1
PackageComment: <text>long
text</text>
ExternalRef: SECURITY cpe23Type cpe:2.3:a:x:anchor:1:*:*:*:*:*:*:*
Relationship: SPDXRef-DOCUMENT DESCRIBES A
"""
VALID = [json.dumps(CDX).encode(), json.dumps(SPDX, indent=1).encode(), XML, TAGS]
VALID += [document.decode().encode("utf-16") for document in VALID]
VALID += [gzip.compress(document, mtime=0) for document in VALID[:4]]

scraps = st.sampled_from(
    [b"\0", b'"', b"{", b"[", b"]", b"}", b"<", b">", b"&", b"\\ud800", b"<text>", b"null", b"\xff", b"\n"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*COMPONENT, *PACKAGE]), inner, max_size=4)
    ),
    max_leaves=12,
)


def check(data):
    try:
        document = read(data, limits=LIMITS)
    except SbomError as error:
        return str(error)
    texts = [document.name, document.version, *(remark.why for remark in document.skipped)]
    for component in document.components:
        assert component.name
        texts += [component.name, component.version, component.group, component.purl, component.type]
        texts += [component.bom_ref, *component.cpes, *component.licences]
        assert len(component.cpes) <= LIMITS.cpes
    for text in texts:
        if text is not None:
            assert text.encode()
            assert "\0" not in text
    assert len(document.skipped) <= LIMITS.skipped + 1
    return ""


@given(st.binary(max_size=300))
def test_any_bytes(data):
    check(data)


@given(
    st.sampled_from(
        [
            b"{",
            b"<",
            b"SPDXVersion:",
            b"\x1f\x8b",
            b"\xff\xfe",
            b'{"bomFormat":',
            b'{"spdxVersion":"SPDX-2.3",',
        ]
    ),
    st.binary(),
)
def test_any_bytes_after_a_promising_beginning(head, data):
    check(head + data)


@settings(max_examples=300)
@given(
    st.sampled_from(VALID),
    st.lists(
        st.tuples(st.integers(0, 2_000), st.integers(0, 30), scraps | st.binary(max_size=5)),
        min_size=1,
        max_size=5,
    ),
)
@example(VALID[2], [(20, 0, b"<!DOCTYPE a>")])
def test_valid_documents_with_pieces_replaced(document, changes):
    for place, length, piece in changes:
        start = place % (len(document) + 1)
        document = document[:start] + piece + document[start + length :]
    check(document)


@given(st.sampled_from([(CDX, "components", COMPONENT), (SPDX, "packages", PACKAGE)]), st.data())
def test_valid_documents_with_members_of_any_kind(case, data):
    document, key, item = case
    changed = data.draw(st.dictionaries(st.sampled_from(sorted(item)), values))
    content = {**document, key: [{**item, **changed}, item]}
    if data.draw(st.booleans()):
        content[data.draw(st.sampled_from(sorted(content)))] = data.draw(values)
    check(json.dumps(content).encode())


def test_the_documents_that_are_changed_are_valid():
    for document in VALID:
        assert read(document, limits=LIMITS).components[0].name in {"anchor", "inner"}
