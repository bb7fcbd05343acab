"""Trees of criteria: reading, storing, and evaluating them, against an evaluator that enumerates assignments."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.matching import configurations
from shared.matching.configurations import FALSE, TRUE, UNKNOWN, Configuration, Node, Platform
from tests.shared.matching import brute_force
from tests.shared.matching.generated import CONFIGURATIONS, WINDOWS, A, B, C, D, entry, node


def read(*record):
    tree, criteria = configurations.from_record(list(record))
    return tree, [each.criteria for each in criteria]


# Reading


def test_equal_criteria_get_one_number_and_platforms_know_their_product():
    tree, criteria = read(
        {
            "operator": "AND",
            "nodes": [node(entry(A), entry(B), entry(A)), node(entry(WINDOWS, vulnerable=False))],
        }
    )

    assert criteria == [A, B, WINDOWS]
    assert tree == (
        Configuration(
            True,
            False,
            (Node(False, False, (0, 1, 0)), Node(False, False, (Platform(2, "o:microsoft:windows"),))),
        ),
    )


def test_a_missing_operator_is_or_and_unknown_fields_are_ignored():
    tree, _ = read({"nodes": [{"cpeMatch": [entry(A, future=1)], "new": []}], "something": {}})

    assert tree == (Configuration(False, False, (Node(False, False, (0,)),)),)


ODD = [
    None,
    3,
    {},
    [3],
    [{"nodes": 3}],
    [{"nodes": [None]}],
    [{"nodes": [{"cpeMatch": [None, {"criteria": 3}]}]}],
    [{"nodes": [{"negate": "yes", "operator": None}]}],
]


@pytest.mark.parametrize("record", ODD, ids=str)
def test_odd_shapes_are_read_as_far_as_they_go(record):
    tree, _ = configurations.from_record(record)
    as_json, _ = configurations.from_record(json.dumps(record).encode())

    assert tree == as_json
    for each in tree:
        assert configurations.evaluate(each, lambda _: FALSE).value == FALSE


def test_an_odd_entry_keeps_the_positions_of_the_others():
    tree, criteria = read({"nodes": [{"cpeMatch": [None, entry(A, versionEndIncluding=5)]}]})

    assert criteria[1] == A
    assert [configurations.spell(path) for path, _ in configurations.operands(tree)] == [
        "configurations[0].nodes[0].cpeMatch[0]",
        "configurations[0].nodes[0].cpeMatch[1]",
    ]


def test_json_reads_as_the_decoded_value_does():
    record = [
        {
            "operator": "AND",
            "nodes": [node(entry(A, versionEndExcluding="2")), node(entry(B, vulnerable=False))],
        }
    ]

    raw = msgspec.Raw(json.dumps(record).encode())

    assert configurations.from_record(raw) == configurations.from_record(record)


def test_a_tree_survives_storage_with_ids_of_63_bits():
    tree, criteria = read(
        {
            "operator": "AND",
            "nodes": [node(entry(A), children=[node(entry(B))]), node(entry(C, vulnerable=False))],
        }
    )
    ids = [2**63 - 1 - number for number in range(len(criteria))]

    blob = configurations.encode(configurations.renumber(tree, ids))

    assert configurations.decode(blob) == configurations.renumber(tree, ids)
    stored = [
        each.criterion if isinstance(each, Platform) else each
        for _, each in configurations.operands(configurations.decode(blob))
    ]
    assert stored == ids


PLAIN = {"nodes": [node(entry(A), entry(WINDOWS, vulnerable=False), entry(B))]}
# A record's configurations, and whether any one of its vulnerable criteria suffices.
ANY_SUFFICES = [
    ([PLAIN], True),
    ([PLAIN, {"nodes": [node(entry(C))]}], True),
    ([{"operator": "AND", "nodes": [node(entry(A))]}], True),  # of one node
    ([PLAIN, {"operator": "AND", "nodes": [node(entry(C)), node(entry(D))]}], False),
    ([{"nodes": [node(entry(A), operator="AND")]}], False),
    ([{"nodes": [node(entry(A), negate=True)]}], False),
    ([{"negate": True, "nodes": [node(entry(A))]}], False),
    ([{"nodes": [node(entry(A), children=[node(entry(B))])]}], False),
    ([{"nodes": [node(entry(A)), node(entry(B))]}], False),
]


@pytest.mark.parametrize(("record", "suffices"), ANY_SUFFICES)
def test_the_blob_tells_whether_any_criterion_suffices(record, suffices):
    tree, _ = read(*record)

    blob = configurations.encode(tree)

    assert configurations.any_suffices(blob) is suffices
    decoded = configurations.decode(blob)
    paths = dict(configurations.operands(tree))
    assert list(configurations.operands(decoded)) == list(paths.items())
    if suffices:
        assert all(
            paths[configurations.find(blob, each)] == each for each in paths.values() if each in (0, 2)
        )
    else:
        assert decoded == tree


def test_any_of_the_cnas_own_criteria_does_not_suffice():
    (plain,), _ = read(PLAIN)

    assert not configurations.any_suffices(configurations.encode((msgspec.structs.replace(plain, cna=True),)))


def test_blobs_from_before_plain_ors_were_marked_are_read():
    tree, _ = read(PLAIN)
    before = msgspec.msgpack.encode(tree)

    assert configurations.decode(before) == tree
    assert not configurations.any_suffices(before)


def test_what_is_not_in_the_tree_is_not_found():
    tree, _ = read(PLAIN)

    with pytest.raises(ValueError, match="criterion 7 is not"):
        configurations.find(configurations.encode(tree), 7)


def test_paths_are_those_of_the_record():
    tree, _ = read({"nodes": [node(entry(A)), node(children=[node(entry(B), entry(C))])]})

    assert [configurations.spell(path) for path, _ in configurations.operands(tree)] == [
        "configurations[0].nodes[0].cpeMatch[0]",
        "configurations[0].nodes[1].children[0].cpeMatch[0]",
        "configurations[0].nodes[1].children[0].cpeMatch[1]",
    ]


# Evaluating


def evaluate(configuration, **states):
    """The value and the criteria that contribute; `states` tells of a, b, c and w what is known."""
    tree, criteria = read(configuration)
    letters = {A: "a", B: "b", C: "c", D: "d", WINDOWS: "w"}

    def truth(operand):
        number = operand.criterion if isinstance(operand, Platform) else operand
        return states.get(letters[criteria[number]], FALSE)

    found = configurations.evaluate(tree[0], truth)
    return found.value, {letters[criteria[each.criterion]]: each.value for each in found.contributions}


AND_WINDOWS = {"operator": "AND", "nodes": [node(entry(A), entry(B)), node(entry(WINDOWS, vulnerable=False))]}


@pytest.mark.parametrize(
    ("windows", "value", "contributions"),
    [(TRUE, TRUE, {"a": TRUE}), (UNKNOWN, UNKNOWN, {"a": UNKNOWN}), (FALSE, FALSE, {})],
)
def test_a_platform_decides_whether_what_runs_on_it_is_affected(windows, value, contributions):
    assert evaluate(AND_WINDOWS, a=TRUE, w=windows) == (value, contributions)


def test_nothing_is_affected_when_only_the_platform_holds():
    assert evaluate(AND_WINDOWS, w=TRUE) == (FALSE, {})


def test_each_branch_of_an_or_is_a_reason_of_its_own():
    """The second node makes the configuration true; what stands in the first still depends on its platform."""
    first = node(entry(A), operator="AND", children=[node(entry(WINDOWS, vulnerable=False))])

    assert evaluate({"operator": "OR", "nodes": [first, node(entry(B))]}, a=TRUE, b=TRUE, w=UNKNOWN) == (
        TRUE,
        {"a": UNKNOWN, "b": TRUE},
    )


def test_and_within_a_node_needs_all_of_its_criteria():
    both = {"nodes": [node(entry(A), entry(B), operator="AND")]}

    assert evaluate(both, a=TRUE) == (FALSE, {})
    assert evaluate(both, a=TRUE, b=TRUE) == (TRUE, {"a": TRUE, "b": TRUE})


def test_a_negated_node_turns_its_value_and_its_criteria_are_no_reasons():
    unless = {"operator": "AND", "nodes": [node(entry(A)), node(entry(B), negate=True)]}

    assert evaluate(unless, a=TRUE) == (TRUE, {"a": TRUE})
    assert evaluate(unless, a=TRUE, b=TRUE) == (FALSE, {})
    assert evaluate(unless, a=TRUE, b=UNKNOWN) == (UNKNOWN, {"a": UNKNOWN})


def test_what_is_negated_twice_is_a_reason_again():
    twice = {"negate": True, "nodes": [node(entry(A), negate=True)]}

    assert evaluate(twice, a=TRUE) == (TRUE, {"a": TRUE})


def test_either_of_an_unknown_and_its_negation_is_true():
    platform = entry(WINDOWS, vulnerable=False)
    always = node(platform, children=[node(platform, negate=True)])

    assert evaluate({"operator": "AND", "nodes": [node(entry(A)), always]}, a=TRUE, w=UNKNOWN) == (
        TRUE,
        {"a": TRUE},
    )


def test_what_is_empty_says_nothing():
    assert evaluate({"operator": "AND", "nodes": [node(entry(A)), node()]}, a=TRUE) == (TRUE, {"a": TRUE})
    assert evaluate({"operator": "AND", "nodes": [node(), node()]}) == (FALSE, {})
    assert evaluate({"negate": True, "nodes": [node()]}) == (FALSE, {})


# Against brute force

_states = st.fixed_dictionaries(
    {criteria: st.sampled_from([True, False, None]) for criteria in (A, B, C, D, WINDOWS)}
)
_AS_NUMBER = {True: TRUE, False: FALSE, None: UNKNOWN}


@settings(max_examples=3000, deadline=None)
@given(CONFIGURATIONS, _states)
def test_brute_force_agrees_on_generated_configurations(configuration, states):
    agree(configuration, lambda found: states[found["criteria"]])


def agree(configuration, known):
    """The evaluator and the brute force give one value, and the same reasons."""
    tree, _ = configurations.from_record([configuration])
    by_path = dict(
        zip((path for path, _ in configurations.operands(tree)), _in_order(configuration), strict=True)
    )
    by_operand = {operand: by_path[path] for path, operand in configurations.operands(tree)}

    found = configurations.evaluate(tree[0], lambda operand: _AS_NUMBER[known(by_operand[operand])])

    assert found.value == _AS_NUMBER[brute_force.value(configuration, known)]
    reasons = {each.path: each.value for each in found.contributions}
    for path, listed in by_path.items():
        if listed["vulnerable"] and known(listed) and not _negations(configuration, path) % 2:
            decided = _AS_NUMBER[brute_force.decides(configuration, known, listed)]
            assert reasons.get(path, FALSE) == decided, configurations.spell(path)
        else:
            assert path not in reasons, configurations.spell(path)


def _in_order(part):
    """The entries in the order in which `configurations.operands` walks."""
    for child in part.get("nodes", []):
        yield from _in_order(child)
    yield from part.get("cpeMatch", [])
    for child in part.get("children", []):
        yield from _in_order(child)


def _negations(configuration, path):
    """How many negations stand above the entry at a path."""
    part = configuration["nodes"][path[1]]
    negations = configuration["negate"] + part.get("negate", False)
    for index in path[2:-1]:
        part = part["children"][index]
        negations += part.get("negate", False)
    return negations
