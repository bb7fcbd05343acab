r"""CPE names against the tables and examples of NIST IR 7695 (naming) and NIST IR 7696 (matching)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.matching import cpe
from shared.matching.cpe import ANY, NA, Name, Relation, compare, compare_names, name_relation, parse

SUPERSET, SUBSET, EQUAL = Relation.SUPERSET, Relation.SUBSET, Relation.EQUAL
DISJOINT, UNDEFINED = Relation.DISJOINT, Relation.UNDEFINED

# IR 7696, table 6-2; i is "foo", k is "bar", m + wild cards is "*b??".
TABLE_6_2 = [
    (1, ANY, ANY, EQUAL),
    (2, ANY, NA, SUPERSET),
    (3, ANY, "foo", SUPERSET),
    (4, ANY, "*b??", UNDEFINED),
    (5, NA, ANY, SUBSET),
    (6, NA, NA, EQUAL),
    (7, NA, "foo", DISJOINT),
    (8, NA, "*b??", UNDEFINED),
    (9, "foo", "foo", EQUAL),
    (10, "foo", "bar", DISJOINT),
    (11, "foo", "*b??", UNDEFINED),
    (12, "foo", NA, DISJOINT),
    (13, "foo", ANY, SUBSET),
    (14, "*b??", "bar", SUPERSET),
    (14, "*b??", "foo", DISJOINT),
    (15, "*b??", ANY, SUBSET),
    (16, "*b??", NA, DISJOINT),
    (17, "*b??", "?bar", UNDEFINED),
]


@pytest.mark.parametrize(("row", "source", "target", "relation"), TABLE_6_2)
def test_attribute_relations_of_table_6_2(row, source, target, relation):
    assert compare(source, target) is relation, f"row {row}"


# IR 7696, table 6-4: the relation of names from the relations of attributes.
TABLE_6_4 = [
    (1, [EQUAL, SUPERSET, DISJOINT, SUBSET], DISJOINT),
    (2, [EQUAL, EQUAL, EQUAL], EQUAL),
    (3, [SUBSET, EQUAL, SUBSET], SUBSET),
    (4, [SUPERSET, EQUAL, SUPERSET], SUPERSET),
    ("open: mixed", [SUPERSET, SUBSET], UNDEFINED),
    ("open: undefined", [EQUAL, UNDEFINED], UNDEFINED),
]


@pytest.mark.parametrize(("row", "relations", "relation"), TABLE_6_4)
def test_name_relations_of_table_6_4(row, relations, relation):
    assert name_relation(relations) is relation, f"row {row}"


# IR 7696, 6.3: * stands for zero or more characters, ? for zero or one, at either end of the source.
WILDCARDS = [
    ("9.*", "9.3", SUPERSET),  # the example under table 6-2, line 14
    ("9.*", "8.3", DISJOINT),
    ("9.*", "9.", SUPERSET),
    ("foo*", "foo", SUPERSET),
    ("foo*", "foobar", SUPERSET),
    ("foo*", "barfoo", DISJOINT),
    ("*foo", "barfoo", SUPERSET),
    ("*foo", "foobar", DISJOINT),
    ("*foo*", "barfoobar", SUPERSET),
    ("foo?", "foo", SUPERSET),
    ("foo?", "foo1", SUPERSET),
    ("foo?", "foo12", DISJOINT),
    ("foo??", "foo12", SUPERSET),
    ("?foo", "foo", SUPERSET),
    ("?foo", "xfoo", SUPERSET),
    ("?foo", "xxfoo", DISJOINT),
    ("?foo*", "xfoobar", SUPERSET),
    ("sp?", "sp\\?", SUPERSET),  # an escaped character is one character
    ("8.\\*", "8.\\*", EQUAL),
    ("8.\\*", "8.1", DISJOINT),  # a quoted asterisk is no wild card
    ("???", "ab", SUPERSET),
    ("???", "abcd", DISJOINT),
]


@pytest.mark.parametrize(("source", "target", "relation"), WILDCARDS)
def test_wildcards(source, target, relation):
    assert compare(source, target) is relation


def test_attribute_comparison_example_of_table_6_3():
    source = parse(r"cpe:2.3:a:Adobe:*:9.*:*:PalmOS:*:*:*:*:*")
    target = parse(r"cpe:2.3:a:*:Reader:9.3.2:-:-:*:*:*:*:*")

    relations = compare_names(source, target)

    assert relations[:6] == (EQUAL, SUBSET, SUPERSET, SUPERSET, SUPERSET, DISJOINT)
    assert name_relation(relations) is DISJOINT


# IR 7695, 6.2.3.3 and 6.1.3.3: examples of unbinding, here to the canonical formatted string.
UNBOUND = [
    (
        "cpe:2.3:a:microsoft:internet_explorer:8.0.6001:beta:*:*:*:*:*:*",
        "cpe:2.3:a:microsoft:internet_explorer:8.0.6001:beta:*:*:*:*:*:*",
    ),
    (
        "cpe:2.3:a:microsoft:internet_explorer:8.*:sp?:*:*:*:*:*:*",
        "cpe:2.3:a:microsoft:internet_explorer:8.*:sp?:*:*:*:*:*:*",
    ),
    (
        "cpe:2.3:a:hp:insight_diagnostics:7.4.0.1570:-:*:*:online:win2003:x64:*",
        "cpe:2.3:a:hp:insight_diagnostics:7.4.0.1570:-:*:*:online:win2003:x64:*",
    ),
    (
        r"cpe:2.3:a:foo\\bar:big\$money:2010:*:*:*:special:ipod_touch:80gb:*",
        r"cpe:2.3:a:foo\\bar:big\$money:2010:*:*:*:special:ipod_touch:80gb:*",
    ),
    (
        "cpe:/a:microsoft:internet_explorer:8.0.6001:beta",
        "cpe:2.3:a:microsoft:internet_explorer:8.0.6001:beta:*:*:*:*:*:*",
    ),
    (
        "cpe:/a:microsoft:internet_explorer:8.%2a:sp%3f",
        r"cpe:2.3:a:microsoft:internet_explorer:8.\*:sp\?:*:*:*:*:*:*",
    ),
    (
        "cpe:/a:microsoft:internet_explorer:8.%02:sp%01",
        "cpe:2.3:a:microsoft:internet_explorer:8.*:sp?:*:*:*:*:*:*",
    ),
    (
        "cpe:/a:hp:insight_diagnostics:7.4.0.1570::~~online~win2003~x64~",
        "cpe:2.3:a:hp:insight_diagnostics:7.4.0.1570:*:*:*:online:win2003:x64:*",
    ),
    (
        "cpe:/a:hp:openview_network_manager:7.51:-:~~~linux~~",
        "cpe:2.3:a:hp:openview_network_manager:7.51:-:*:*:*:linux:*:*",
    ),
    ("cpe:/a:foo~bar:big%7emoney_2010", r"cpe:2.3:a:foo\~bar:big\~money_2010:*:*:*:*:*:*:*:*"),
    ("cpe:/a:foo%5cbar:big%24money", r"cpe:2.3:a:foo\\bar:big\$money:*:*:*:*:*:*:*:*"),
    ("cpe:/o:linux:linux_kernel", "cpe:2.3:o:linux:linux_kernel:*:*:*:*:*:*:*:*"),
    ("cpe:/a:x:y:1::pro:en-us", "cpe:2.3:a:x:y:1:*:pro:en-us:*:*:*:*"),
    # Not examples of the report:
    ("CPE:2.3:A:OpenSSL:OpenSSL:1.0.1F:*:*:*:*:*:*:*", "cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*"),
    ("cpe:2.3:a:gnu:libstdc++:1.0:*:*:*:*:*:*:*", r"cpe:2.3:a:gnu:libstdc\+\+:1.0:*:*:*:*:*:*:*"),
    (r"cpe:2.3:a:x:a\.b\-c\_d:1\.0:*:*:*:*:*:*:*", "cpe:2.3:a:x:a.b-c_d:1.0:*:*:*:*:*:*:*"),
    (r"cpe:2.3:a:colon\:in:name:1:*:*:*:*:*:*:*", r"cpe:2.3:a:colon\:in:name:1:*:*:*:*:*:*:*"),
    (r"cpe:2.3:a:x:y:\-:*:*:*:*:*:*:*", r"cpe:2.3:a:x:y:\-:*:*:*:*:*:*:*"),
    (" cpe:2.3:a:x:y:1:*:*:*:*:*:*:*\n", "cpe:2.3:a:x:y:1:*:*:*:*:*:*:*"),
]


@pytest.mark.parametrize(("text", "canonical"), UNBOUND)
def test_unbinding_and_binding_back(text, canonical):
    assert str(parse(text)) == canonical
    assert str(parse(canonical)) == canonical


# IR 7695's own examples of errors, and the constraints of IR 7696, 5.2.
ERRORS = [
    ("cpe:2.3:a:hp:insight_diagnostics:7.4.*.1570:*:*:*:*:*:*:*", "version", "unquoted"),
    ("cpe:/a:foo%5cbar:big%24money_2010%07:::~~special~ipod_touch~80gb~", "product", "%07"),
    ("cpe:/a:foo:bar:12.%02.1234", "version", "unquoted"),
    ("cpe:2.3:a:x:foo?bar:1:*:*:*:*:*:*:*", "product", "unquoted"),
    ("cpe:2.3:a:x:**foo:1:*:*:*:*:*:*:*", "product", "unquoted"),
    ("cpe:2.3:a:x:bar***:1:*:*:*:*:*:*:*", "product", "unquoted"),
    ("cpe:2.3:a:x:*?foobar:1:*:*:*:*:*:*:*", "product", "unquoted"),
    ("cpe:2.3:a:x:foobar*?:1:*:*:*:*:*:*:*", "product", "unquoted"),
    ("cpe:2.3:a:x:y:1", "fields", "found 4"),
    ("cpe:2.3:a:x:y:1:*:*:*:*:*:*:*:*", "fields", "found 12"),
    ("cpe:2.3:a::y:1:*:*:*:*:*:*:*", "vendor", "empty"),
    ("cpe:2.3:q:x:y:1:*:*:*:*:*:*:*", "part", "'q'"),
    ("cpe:2.3:a:x:caf\u00e9:1:*:*:*:*:*:*:*", "product", "ASCII"),
    ("cpe:2.3:a:x y:z:1:*:*:*:*:*:*:*", "vendor", "blank"),
    (r"cpe:2.3:a:\x:y:1:*:*:*:*:*:*:*", "vendor", "backslash"),
    ("cpe:2.3:a:x:y:1:*:*:*:*:*:*:x\\", "other", "backslash"),
    ("cpe:/a:b:c:d:e:f:g:h", "components", "found 8"),
    ("cpe:/a:b:c:d:e:~1~2~3~4~5~6", "edition", "found 6"),
    ("cpe:/a:b:c%2", "product", "%2"),
    ("openssl", "start", "neither"),
    ("", "start", "neither"),
]


@pytest.mark.parametrize(("text", "where", "what"), ERRORS)
def test_an_error_says_where_and_what(text, where, what):
    with pytest.raises(cpe.CpeError) as raised:
        parse(text)

    assert raised.value.where == where
    assert what in raised.value.what
    assert where in str(raised.value)


def test_comparison_is_insensitive_to_case():
    assert (
        compare_names(parse("cpe:/a:Apache:HTTP_Server"), parse("cpe:/a:apache:http_server")) == (EQUAL,) * 11
    )


def test_product_key_is_folded_and_escaped():
    assert parse("cpe:2.3:a:OpenSSL:OpenSSL:1:*:*:*:*:*:*:*").product_key == "a:openssl:openssl"
    assert parse("cpe:2.3:a:GNU:libstdc++:1:*:*:*:*:*:*:*").product_key == r"a:gnu:libstdc\+\+"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("foo", False), ("foo?", True), ("foo\\?", False), ("\\*bar", False), ("*bar", True), ("*", False)],
)
def test_wildcards_are_the_unquoted_ones(value, expected):
    """The examples of contains_wildcards(), IR 7696, 7.3; the logical ANY is no wildcard."""
    assert cpe.has_wildcards(value) is expected


_values = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8).map(cpe.quote)


@given(st.lists(_values, min_size=10, max_size=10))
def test_quoted_text_survives_binding_and_unbinding(values):
    name = Name("a", *values)

    assert parse(str(name)) == name


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12))
def test_quote_and_unquote_are_inverse(text):
    assert cpe.unquote(cpe.quote(text)) == text.lower()
    assert cpe.is_value(cpe.quote(text))


@given(st.text(max_size=60))
def test_parsing_anything_gives_a_name_or_an_error(text):
    for prefix in ("", "cpe:/", "cpe:2.3:a:", "cpe:2.3:"):
        with contextlib.suppress(cpe.CpeError):
            assert parse(str(parse(prefix + text))) == parse(prefix + text)


@given(_values, _values)
def test_relations_are_symmetric(left, right):
    mirrored = {SUPERSET: SUBSET, SUBSET: SUPERSET}
    there, back = compare(left, right), compare(right, left)

    assert back is mirrored.get(there, there)
