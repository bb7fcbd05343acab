import pytest

from shared.sbom import Component, Format, SbomError, read


def document(components="", metadata="", version="1.5", head='<?xml version="1.0" encoding="UTF-8"?>'):
    return (
        f'{head}<bom xmlns="http://cyclonedx.org/schema/bom/{version}">'
        f"<metadata>{metadata}</metadata><components>{components}</components></bom>"
    )


def read_xml(text):
    return read(text.encode())


def named(*names):
    return "".join(f"<component><name>{name}</name></component>" for name in names)


def names(found):
    return [component.name for component in found.components]


def test_a_component_is_carried_whole():
    found = read_xml(
        document(
            """
            <component type="library" bom-ref="ref-1">
              <group>org.example</group>
              <name> anchor </name>
              <version><![CDATA[1.2.3]]></version>
              <licenses>
                <license><id>MIT</id><text>anything</text></license>
                <license><name>Ours</name></license>
                <expression>A OR B</expression>
              </licenses>
              <cpe>cpe:2.3:a:example:anchor:1.2.3:*:*:*:*:*:*:*</cpe>
              <purl>pkg:maven/org.example/anchor@1.2.3?type=jar&amp;x=y</purl>
              <properties>
                <property name="syft:cpe23">cpe:2.3:a:anchor:anchor:1.2.3:*:*:*:*:*:*:*</property>
                <property name="other">no</property>
              </properties>
            </component>"""
        )
    )

    assert (found.format, found.spec_version, found.skipped) == (Format.CYCLONEDX_XML, "1.5", [])
    assert found.components == [
        Component(
            name="anchor",
            version="1.2.3",
            group="org.example",
            purl="pkg:maven/org.example/anchor@1.2.3?type=jar&x=y",
            cpes=(
                "cpe:2.3:a:example:anchor:1.2.3:*:*:*:*:*:*:*",
                "cpe:2.3:a:anchor:anchor:1.2.3:*:*:*:*:*:*:*",
            ),
            type="library",
            bom_ref="ref-1",
            licences=("MIT", "Ours", "A OR B"),
        )
    ]


@pytest.mark.parametrize("version", ["1.2", "1.3", "1.4", "1.5", "1.6", "1.7"])
def test_every_supported_version_is_read(version):
    assert read_xml(document(named("a"), version=version)).spec_version == version


@pytest.mark.parametrize("version", ["1.1", "1.0", "2.0", ""])
def test_any_other_version_is_refused(version):
    with pytest.raises(SbomError, match=r"1\.2 to 1\.7 are read"):
        read_xml(document(named("a"), version=version))


def test_the_described_component_names_the_document_and_is_not_counted():
    metadata = "<component><name>shop</name><version>2</version></component>"
    found = read_xml(document(named("part"), metadata))

    assert (found.name, found.version, names(found)) == ("shop", "2", ["part"])


def test_nested_components_count_outer_ones_first():
    inner = f"<components>{named('c')}</components>"
    components = f"<component><name>a</name><components><component><name>b</name>{inner}</component></components></component>"
    metadata = f"<component><name>shop</name><components>{named('module')}</components></component>"

    assert names(read_xml(document(components + named("d"), metadata))) == ["module", "a", "b", "c", "d"]


def test_components_elsewhere_are_not_parts():
    pedigree = f"<pedigree><ancestors>{named('old')}</ancestors></pedigree>"
    tools = f"<tools><components>{named('tool')}</components></tools>"
    components = f"<component>{pedigree}<name>a</name><evidence><name>no</name></evidence></component>"

    assert names(read_xml(document(components, tools))) == ["a"]


def test_elements_of_other_namespaces_are_passed_over():
    inner = "<x:name>no</x:name><name>a</name><x:component><name>b</name></x:component>"
    components = f'<component xmlns:x="urn:x">{inner}</component>'

    assert names(read_xml(document(components))) == ["a"]


def test_a_namespace_prefix_makes_no_difference():
    text = (
        '<c:bom xmlns:c="http://cyclonedx.org/schema/bom/1.4"><c:components>'
        "<c:component><c:name>a</c:name></c:component></c:components></c:bom>"
    )

    assert names(read_xml(text)) == ["a"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "iso-8859-1", "utf-16"])
def test_the_declared_encoding_is_honoured(encoding):
    declared = encoding.removesuffix("-sig")
    text = document(named("Möwe"), head=f'<?xml version="1.0" encoding="{declared}"?>')

    assert names(read(text.encode(encoding))) == ["Möwe"]


def test_a_place_is_a_line():
    found = read_xml(document("\n<component>\n<name>a</name><purl>no</purl></component>"))

    assert [remark.where for remark in found.skipped] == ["line 2"]
