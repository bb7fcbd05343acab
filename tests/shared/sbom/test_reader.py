"""Whatever comes in: what is not an SBOM is refused with a place and a reason, and cheaply."""

import gzip

import pytest

from shared.sbom import FORMATS, Limits, SbomError, read

CDX = b'{"bomFormat":"CycloneDX","specVersion":"1.5","components":['
SPDX = b'{"spdxVersion":"SPDX-2.3","name":"x","packages":['
XML = b'<bom xmlns="http://cyclonedx.org/schema/bom/1.5"><components>'
TAGS = b"SPDXVersion: SPDX-2.3\n"
LAUGHS = b"".join(b'<!ENTITY l%d "&l%d;&l%d;">' % (i + 1, i, i) for i in range(30))

HOSTILE = {
    "nothing": (b"", "it is empty"),
    "blanks": (b" \n\t ", "it is empty"),
    "rubbish": (b"\x00\x01\x02", "not an SBOM"),
    "prose": (b"Dear sir or madam,", "not an SBOM"),
    "YAML": (b"bomFormat: CycloneDX", "not an SBOM"),
    "a JSON list": (b"[]", "not an object"),
    "a JSON text": (b'"bomFormat"', "not an SBOM"),
    "another JSON": (b'{"artifacts":[],"descriptor":{"name":"syft"}}', "neither bomFormat nor spdxVersion"),
    "another XML": (b"<html></html>", "outermost element is <html>"),
    "RDF": (b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>', "RDF/XML"),
    "XML without a namespace": (b"<bom><components/></bom>", "not an SBOM"),
    "JSON cut short": (CDX + b'{"name":"a"', "ends too early"),
    "JSON cut in a text": (CDX + b'{"name":"a', "ends too early"),
    "XML cut short": (XML + b"<component>", "ends too early"),
    "XML cut in a tag": (XML + b"<component", "ends too early"),
    "XML cut in CDATA": (XML + b"<![CDATA[", "ends too early"),
    "mismatched tags": (XML + b"<component></name>", "mismatched tag"),
    "a NUL in XML": (XML + b"<component><name>\0", "cannot stand here"),
    "an unknown encoding": (b'<?xml version="1.0" encoding="klingon"?><bom/>', "decoded|malformed"),
    "an encoding of many bytes": (b'<?xml version="1.0" encoding="utf-7"?><bom/>', "decoded|malformed"),
    "wrong bytes in XML": (XML + b"<component><name>\xff", "cannot stand here"),
    "rubbish after JSON": (CDX + b"]} x", "trailing"),
    "NaN": (CDX + b'{"name":"a","x":NaN}]}', "invalid character"),
    "Infinity": (CDX + b'{"name":"a","x":-Infinity}]}', "invalid character"),
    "a lone surrogate": (CDX + b'{"name":"a","x":"\\ud800 and more"}]}', "surrogate"),
    "a lone second surrogate": (CDX + b'{"name":"a\\udc00 and more"}]}', "surrogate"),
    "a raw control character": (CDX + b'{"name":"a\x01"}]}', "invalid character"),
    "a single quote": (b"{'bomFormat':'CycloneDX'}", "malformed"),
    "deep lists": (b'{"bomFormat":' + b"[" * 100_000, "nested too deep"),
    "deep objects": (b'{"a":' * 100_000, "nested too deep"),
    "deep components": (CDX + b'{"name":"a","components":[' * 65 + b"]}" * 65 + b"]}", "64 deep"),
    "deep elements": (XML + b"<a>" * 300, "nested too deep"),
    "deep components in XML": (XML + b"<component><components>" * 65, "64 deep"),
    "an entity": (b'<!DOCTYPE bom [<!ENTITY a "b">]>' + XML, "DTD"),
    "a billion laughs": (b'<!DOCTYPE bom [<!ENTITY l0 "ha">' + LAUGHS + b"]>" + XML + b"&l30;", "DTD"),
    "an external entity": (b'<!DOCTYPE bom [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + XML + b"&a;", "DTD"),
    "an external DTD": (b'<!DOCTYPE bom SYSTEM "http://127.0.0.1:9/x.dtd">' + XML, "DTD"),
    "an undeclared entity": (XML + b"<component><name>&a;", "undefined entity"),
    "an external entity behind another root": (
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        "DTD",
    ),
    "many names": (XML + b"".join(b"<a%d/>" % i for i in range(6_000)), "different elements"),
    "many attributes": (
        XML + b"<a " + b" ".join(b'a%d=""' % i for i in range(6_000)) + b"/>",
        "too many attributes",
    ),
    "many namespaces": (
        XML + b"".join(b'<a xmlns:a%d="u"/>' % i for i in range(6_000)),
        "too many attributes",
    ),
    "a long tag": (XML + b"<a" + b"a" * 2_000_000, "longer than 1 MB"),
    "a tag-value file of nothing": (TAGS, "neither a name nor packages"),
    "a wrong byte in tag-value": (TAGS + b"PackageName: \xff\n", "not UTF-8"),
    "packed rubbish": (gzip.compress(b"rubbish"), "not an SBOM"),
}


@pytest.mark.parametrize(("data", "why"), HOSTILE.values(), ids=HOSTILE)
def test_what_cannot_be_read_says_where_and_why(data, why):
    with pytest.raises(SbomError, match=why) as caught:
        read(data)

    assert caught.value.where
    assert str(caught.value) == f"{caught.value.where}: {caught.value.why}"
    assert isinstance(caught.value, ValueError)


FEW = Limits(components=3)
MANY = {
    "CycloneDX JSON": CDX + b",".join([b'{"name":"a"}'] * 4) + b"]}",
    "nested": CDX + b'{"name":"a","components":[' + b",".join([b'{"name":"b"}'] * 3) + b"]}]}",
    "in the described one": CDX
    + b'],"metadata":{"component":{"components":['
    + b",".join([b"{}"] * 4)
    + b"]}}}",
    "nameless": CDX + b",".join([b"{}"] * 4) + b"]}",
    "SPDX JSON": SPDX + b",".join([b'{"name":"a"}'] * 4) + b"]}",
    "XML": XML + b"<component><name>a</name></component>" * 4 + b"</components></bom>",
    "XML nested": XML + b"<component><name>a</name><components>" * 4,
    "tag-value": TAGS + b"PackageName: a\n" * 4,
}


@pytest.mark.parametrize("data", MANY.values(), ids=MANY)
def test_more_components_than_allowed_are_refused(data):
    with pytest.raises(SbomError, match="more than 3 components"):
        read(data, limits=FEW)


@pytest.mark.parametrize(
    "data",
    [
        CDX + b'{"name":"a","x":[' + b"[]," * 60 + b"0]}]}",
        CDX + b'{"name":"a","x":[' + b'"",' * 60 + b"0]}]}",
        CDX + b'{"name":"a","components":[{"name":"' + b"a" * 1_000 + b'"}]}]}',
        XML + b"<a/>" * 60,
        XML + b"a<![CDATA[a]]>" * 60,
        TAGS + b"\n" * 60,
    ],
)
def test_too_many_small_pieces_are_refused(data):
    with pytest.raises(SbomError, match=r"small or nested pieces|too early"):
        read(data, limits=Limits(steps=50))


def test_a_list_names_every_format():
    assert [module.__name__.rpartition(".")[2] for module in FORMATS] == [
        "cyclonedx_json",
        "spdx_json",
        "cyclonedx_xml",
        "spdx_tagvalue",
    ]
