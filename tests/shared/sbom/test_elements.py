import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from shared.sbom import elements
from shared.sbom.builder import Builder
from shared.sbom.model import DEFAULT

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30
)


def walked(text):
    builder = Builder(DEFAULT)
    return [
        (path, json.loads(bytes(view))) for path, view in elements.objects(Raw(text.encode()), "x", builder)
    ]


@settings(max_examples=60)
@given(
    st.lists(st.dictionaries(st.text(), values) | st.lists(values), max_size=6),
    st.sampled_from([None, 1, "\t"]),
)
def test_walking_a_list_finds_what_json_finds(content, indent):
    expected = [(f"x[{index}]", value) for index, value in enumerate(content)]

    assert walked(json.dumps(content, indent=indent)) == expected
    assert walked(json.dumps(content, indent=indent, ensure_ascii=False)) == expected


def test_objects_are_found_among_other_things():
    assert [value for _, value in walked('[1, {"a": 1}, "x]{", [2], null, {"b": "]}"}, true]')] == [
        {"a": 1},
        [2],
        {"b": "]}"},
    ]


@pytest.mark.parametrize("levels", [1, 4, 5, 6, 40])
def test_depth_makes_no_difference(levels):
    deep = json.dumps([{"a": json.loads("[" * levels + "]" * levels)}, {"b": 1}])

    assert len(walked(deep)) == 2


@pytest.mark.parametrize("text", ["null", "[]", "[ ]", "{}", '"[{}]"', "5"])
def test_other_values_hold_no_objects(text):
    assert walked(text) == []
