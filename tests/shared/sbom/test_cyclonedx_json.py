import json

import pytest

from shared.sbom import Component, Format, SbomError, Skipped, read


def document(*components, **members):
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": list(components), **members}


def read_json(content):
    return read(json.dumps(content).encode())


def test_a_component_is_carried_whole():
    found = read_json(
        document(
            {
                "type": "library",
                "bom-ref": "ref-1",
                "group": "org.example",
                "name": "anchor",
                "version": "1.2.3",
                "purl": "pkg:maven/org.example/anchor@1.2.3",
                "cpe": "cpe:2.3:a:example:anchor:1.2.3:*:*:*:*:*:*:*",
                "licenses": [
                    {"license": {"id": "MIT"}},
                    {"license": {"name": "Ours"}},
                    {"expression": "A OR B"},
                ],
            }
        )
    )

    assert found.format is Format.CYCLONEDX_JSON
    assert found.spec_version == "1.5"
    assert found.skipped == []
    assert found.components == [
        Component(
            name="anchor",
            version="1.2.3",
            group="org.example",
            purl="pkg:maven/org.example/anchor@1.2.3",
            cpes=("cpe:2.3:a:example:anchor:1.2.3:*:*:*:*:*:*:*",),
            type="library",
            bom_ref="ref-1",
            licences=("MIT", "Ours", "A OR B"),
        )
    ]


@pytest.mark.parametrize("version", ["1.2", "1.3", "1.4", "1.5", "1.6", "1.7"])
def test_every_supported_version_is_read(version):
    assert read_json(document({"name": "a"}, specVersion=version)).spec_version == version


@pytest.mark.parametrize("version", ["1.1", "1.0", "2.0", "", None, 1.5, {}])
def test_any_other_version_is_refused(version):
    content = document({"name": "a"}, specVersion=version)
    if version == 1.5:  # A number instead of a text is a common slip and says enough.
        assert read_json(content).spec_version == "1.5"
        return
    with pytest.raises(SbomError) as caught:
        read_json(content)
    assert caught.value.where == "specVersion"


def test_a_document_without_its_format_name_is_known_by_its_version():
    assert len(read_json({"specVersion": "1.4", "components": [{"name": "a"}]}).components) == 1


def test_the_described_component_names_the_document_and_is_not_counted():
    found = read_json(document({"name": "part"}, metadata={"component": {"name": "shop", "version": "2"}}))

    assert (found.name, found.version) == ("shop", "2")
    assert [component.name for component in found.components] == ["part"]


def test_nested_components_count_wherever_they_are_nested():
    found = read_json(
        document(
            {"name": "a", "components": [{"name": "b", "components": [{"name": "c"}]}, {"name": "d"}]},
            {"name": "e"},
            metadata={"component": {"name": "shop", "components": [{"name": "module"}]}},
        )
    )

    assert [component.name for component in found.components] == ["module", "a", "b", "c", "d", "e"]


def test_components_elsewhere_are_not_parts():
    found = read_json(
        document(
            {"name": "a", "pedigree": {"ancestors": [{"name": "old"}]}},
            metadata={"tools": {"components": [{"name": "tool"}]}},
            services=[{"name": "service"}],
        )
    )

    assert [component.name for component in found.components] == ["a"]


def test_further_cpes_come_from_properties():
    first, second = "cpe:2.3:a:x:y:1:*:*:*:*:*:*:*", "cpe:2.3:a:z:y:1:*:*:*:*:*:*:*"
    properties = [{"name": "syft:cpe23", "value": cpe} for cpe in (first, second)]
    found = read_json(document({"name": "y", "cpe": first, "properties": [*properties, {"name": "other"}]}))

    assert found.components[0].cpes == (first, second)


def test_duplicates_are_kept():
    assert (
        len(read_json(document({"name": "a", "version": "1"}, {"name": "a", "version": "1"})).components) == 2
    )


def test_of_a_repeated_key_the_last_counts():
    text = b'{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"name":"x"}],"components":[{"name":"a","name":"b"}]}'

    assert [component.name for component in read(text).components] == ["b"]


@pytest.mark.parametrize("members", [{}, {"components": None}, {"components": []}])
def test_a_document_without_components_is_empty(members):
    content = {"bomFormat": "CycloneDX", "specVersion": "1.5", **members}

    assert read_json(content).components == []


@pytest.mark.parametrize("components", [{}, "many", 3, True])
def test_components_that_are_no_list_are_refused(components):
    with pytest.raises(SbomError) as caught:
        read_json({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": components})
    assert caught.value.where == "components"


# What breaks the schema: the component, what is kept of it, what is said about it.
BROKEN = [
    ({"version": 1.10}, {"version": "1.1"}, None),
    ({"group": {"x": 1}}, {"group": None}, Skipped("components[0].group", "it is an object, not a text")),
    ({"type": False}, {"type": None}, Skipped("components[0].type", "it is false, not a text")),
    ({"cpe": []}, {"cpes": ()}, Skipped("components[0].cpe", "it is a list, not a text")),
    ({"licenses": "MIT"}, {"licences": ()}, Skipped("components[0].licenses", "it is a text, not a list")),
    (
        {"licenses": [{"license": "MIT"}, {"license": {"id": "BSD"}}]},
        {"licences": ("BSD",)},
        Skipped("components[0].licenses[0]", "it does not have the form of such an entry"),
    ),
    ({"licenses": None, "properties": None, "version": None}, {"licences": (), "version": None}, None),
    (
        {"purl": "npm/a"},
        {"purl": "npm/a"},
        Skipped("components[0]", "the purl is kept but is not valid: npm/a"),
    ),
    (
        {"cpe": "cpe:x"},
        {"cpes": ("cpe:x",)},
        Skipped("components[0]", "the CPE is kept but is not valid: cpe:x"),
    ),
    (
        {"group": "a\0b"},
        {"group": "a\ufffdb"},
        Skipped("components[0]", "control characters in the group are replaced by U+FFFD"),
    ),
    ({"group": "  a \n b "}, {"group": "a b"}, None),
    (
        {"group": "x" * 3000},
        {"group": None},
        Skipped("components[0]", "the group is longer than 2,000 characters"),
    ),
]


@pytest.mark.parametrize(("members", "kept", "remark"), BROKEN)
def test_what_breaks_the_schema_is_repaired_or_left_out_and_said(members, kept, remark):
    found = read_json(document({"name": "a", **members}))

    component = found.components[0]
    assert {name: getattr(component, name) for name in kept} == kept
    assert found.skipped == ([remark] if remark else [])


@pytest.mark.parametrize(
    "component",
    [
        *(5, "a", None, [], [{}], {}),
        *({"name": ""}, {"name": " "}, {"name": {}}, {"name": "x" * 3000}),
        *({"name": "a", "version": {}}, {"name": "a", "version": "1" * 3000}),
        {"name": "a", "version": "1" * 300_000},
    ],
)
def test_a_component_without_a_usable_name_or_version_is_left_out(component):
    found = read_json(document({"name": "before"}, component, {"name": "after"}))

    assert [component.name for component in found.components] == ["before", "after"]
    assert any("left out" in remark.why for remark in found.skipped)
    assert found.skipped[0].where == "components[1]"


def test_a_document_of_which_nothing_can_be_used_is_refused():
    with pytest.raises(SbomError, match="none of the components"):
        read_json(document({"name": ""}, 7))


def test_a_missing_name_is_taken_from_the_purl():
    found = read_json(document({"purl": "pkg:npm/%40scope/thing@1.0"}))

    assert found.components[0].name == "thing"
    assert "taken from the purl" in found.skipped[0].why


def test_a_huge_component_is_read_without_its_lists():
    filler = [{"name": "x", "value": "y" * 100} for _ in range(5000)]
    found = read_json(document({"name": "a", "version": "1", "properties": filler}))

    assert (found.components[0].name, found.components[0].version) == ("a", "1")
    assert found.skipped == [Skipped("components[0].properties", "it is longer than 262,144 bytes")]
