"""Matching an asset: certainty, platforms, one match for a component and vulnerability."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.matching import configurations
from shared.matching.certainty import Certainty
from shared.matching.compare import Inventory, compare_criteria
from shared.matching.component import Component
from shared.matching.configurations import TRUE, from_record
from shared.matching.identity import lookup_keys
from shared.matching.match import Candidate, match, match_candidates, truths
from tests.shared.matching import generated

OPENSSL = "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*"
WINDOWS, LINUX = (
    "cpe:2.3:o:microsoft:windows:-:*:*:*:*:*:*:*",
    "cpe:2.3:o:linux:linux_kernel:5.10:*:*:*:*:*:*:*",
)
ROUTER = "cpe:2.3:h:acme:router:-:*:*:*:*:*:*:*"
CONFIRMED, CONDITIONAL = Certainty.CONFIRMED, Certainty.CONDITIONAL
LIKELY, POSSIBLE = Certainty.LIKELY, Certainty.POSSIBLE


def named(*names):
    return [Component(name.split(":")[4], cpes=(name,)) for name in names]


def openssl(version="1.0.1f"):
    return named(f"cpe:2.3:a:openssl:openssl:{version}:*:*:*:*:*:*:*")[0]


def entry(criteria, vulnerable=True, **bounds):
    return {"criteria": criteria, "vulnerable": vulnerable, **bounds}


def node(*entries, operator="OR", negate=False):
    return {"operator": operator, "negate": negate, "cpeMatch": list(entries)}


HEARTBLEED = [{"nodes": [node(entry(OPENSSL, versionStartIncluding="1.0.1", versionEndExcluding="1.0.1g"))]}]


def on(platform, criteria=OPENSSL, **bounds):
    return [
        {
            "operator": "AND",
            "nodes": [node(entry(criteria, **bounds)), node(entry(platform, vulnerable=False))],
        }
    ]


def run(components, *records):
    """Matches as the mirror gets them: only criteria that the lookup keys find, trees as blobs, ids of 63 bits."""
    keys = lookup_keys(components)
    products = {product for product, version in keys if version == "*"}
    fetched, candidates = {}, []
    for number, record in enumerate(records):
        tree, criteria = from_record(record)
        ids = [2**62 + 1000 * number + index for index in range(len(criteria))]
        for identifier, criterion in zip(ids, criteria, strict=True):
            product, version = criterion.index_key
            if (product, version) in keys or product in products:
                fetched[identifier] = criterion
        candidates.append(Candidate(number, configurations.encode(configurations.renumber(tree, ids))))
    return list(match(components, fetched, candidates))


def certainties(components, record):
    return {found.component: found.certainty for found in run(components, record)}


def test_heartbleed():
    """CVE-2014-0160, the range from 1.0.1 to before 1.0.1g."""
    assert certainties([openssl("1.0.1f")], HEARTBLEED) == {0: CONFIRMED}
    assert certainties([openssl("1.0.1g")], HEARTBLEED) == {}
    assert certainties([openssl("1.0.0")], HEARTBLEED) == {}


# Inventory beside OpenSSL, platform operand, what it makes of the match.
PLATFORMS = [
    ([], WINDOWS, CONDITIONAL),
    ([WINDOWS], WINDOWS, CONFIRMED),
    (["cpe:2.3:o:microsoft:windows:*:*:*:*:*:*:*:*"], WINDOWS, CONFIRMED),
    ([LINUX], WINDOWS, None),  # it states its operating system, and that is another
    ([ROUTER], WINDOWS, CONDITIONAL),  # hardware says nothing about the operating system
    ([LINUX], ROUTER, CONDITIONAL),
    ([ROUTER], ROUTER, CONFIRMED),
    ([ROUTER], "cpe:2.3:h:other:router:-:*:*:*:*:*:*:*", None),
    ([LINUX], "cpe:2.3:o:linux:linux_kernel:*:*:*:*:*:*:*:*", CONFIRMED),
    ([LINUX], "cpe:2.3:o:linux:linux_kernel:5.10:*:*:*:*:*:*:*", CONFIRMED),
    ([LINUX], "cpe:2.3:o:linux:linux_kernel:4.4:*:*:*:*:*:*:*", None),
    ([LINUX], "cpe:2.3:o:linux:linux_kernel:-:*:*:*:*:*:*:*", CONDITIONAL),  # the operand names no version
    (["cpe:2.3:o:linux:linux_kernel:*:*:*:*:*:*:*:*"], LINUX, CONDITIONAL),  # the inventory knows no version
    ([], "cpe:2.3:a:php:php:7.0:*:*:*:*:*:*:*", CONDITIONAL),
    (["cpe:2.3:a:php:php:7.0:*:*:*:*:*:*:*"], "cpe:2.3:a:php:php:7.0:*:*:*:*:*:*:*", CONFIRMED),
    (["cpe:2.3:a:php:php:5.6:*:*:*:*:*:*:*"], "cpe:2.3:a:php:php:7.0:*:*:*:*:*:*:*", None),
    (["cpe:2.3:a:other:app:1:*:*:*:*:*:*:*"], "cpe:2.3:a:php:php:7.0:*:*:*:*:*:*:*", CONDITIONAL),
]


@pytest.mark.parametrize(("others", "platform", "expected"), PLATFORMS)
def test_platforms(others, platform, expected):
    found = certainties([openssl(), *named(*others)], on(platform))

    assert found == ({} if expected is None else {0: expected})


def test_a_condition_names_the_platform():
    (found,) = run([openssl()], on(WINDOWS))

    assert [each.product_key for each in found.unknown] == ["o:microsoft:windows"]


def test_platforms_themselves_are_never_matches():
    assert certainties(named(WINDOWS), on(WINDOWS)) == {}


def test_both_components_of_an_and_of_vulnerable_criteria_match():
    record = [
        {"operator": "AND", "nodes": [node(entry(OPENSSL)), node(entry("cpe:2.3:a:php:php:*:*:*:*:*:*:*:*"))]}
    ]

    assert certainties([openssl(), *named("cpe:2.3:a:php:php:7.0:*:*:*:*:*:*:*")], record) == {
        0: CONFIRMED,
        1: CONFIRMED,
    }
    assert certainties([openssl()], record) == {}


def test_negation_alone_never_matches():
    record = [{"nodes": [node(entry("cpe:2.3:a:php:php:*:*:*:*:*:*:*:*"), negate=True)]}]

    assert certainties([openssl()], record) == {}


def test_an_unless():
    record = [
        {
            "operator": "AND",
            "nodes": [node(entry(OPENSSL)), node(entry("cpe:2.3:a:php:php:7.0:*:*:*:*:*:*:*"), negate=True)],
        }
    ]

    assert certainties([openssl()], record) == {0: CONFIRMED}
    assert certainties([openssl(), *named("cpe:2.3:a:php:php:7.0:*:*:*:*:*:*:*")], record) == {}


def test_a_component_that_cannot_be_compared_is_no_match():
    assert certainties([openssl("deadbeef1234")], HEARTBLEED) == {}
    assert certainties([openssl("*")], HEARTBLEED) == {}


def test_several_names_give_one_match_with_the_best():
    component = Component(
        "openssl",
        "1.0.1f",
        "pkg:generic/openssl@1.0.1f",
        ("cpe:2.3:a:guess:openssl:1.0.1f:*:*:*:*:*:*:*", "cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*"),
    )
    record = [{"nodes": [node(entry("cpe:2.3:a:guess:openssl:*:*:*:*:*:linux:*:*"), entry(OPENSSL))]}]

    (found,) = run([component], record)

    assert found.certainty is LIKELY
    assert found.hit.identity.name.vendor == "openssl"
    assert configurations.spell(found.path) == "configurations[0].nodes[0].cpeMatch[1]"


def test_a_true_configuration_beats_an_unknown_one():
    (found,) = run([openssl()], [*on(WINDOWS), *HEARTBLEED])

    assert found.certainty is CONFIRMED
    assert found.path[0] == 1


def test_every_component_and_every_vulnerability_gets_its_own_match():
    found = run([openssl(), openssl("1.0.1e"), openssl("1.0.1g")], HEARTBLEED, on(WINDOWS))

    assert {(each.component, each.vulnerability_id) for each in found} == {
        (0, 0),
        (1, 0),
        (0, 1),
        (1, 1),
        (2, 1),
    }


def test_an_attribute_that_the_component_does_not_state_is_a_condition():
    criterion = "cpe:2.3:a:openssl:openssl:*:*:*:*:*:windows:*:*"

    (found,) = run([openssl()], [{"nodes": [node(entry(criterion))]}])

    assert found.certainty is CONDITIONAL
    assert found.hit.not_stated == ("target_sw",)


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        (openssl(), CONFIRMED),
        (Component("a", "1", "pkg:maven/org.openssl/openssl@1.0.1f"), LIKELY),
        (Component("a", "1", "pkg:deb/debian/openssl@1.0.1f-1"), POSSIBLE),
        (Component("OpenSSL", "1.0.1f"), POSSIBLE),
    ],
    ids=["cpe", "purl", "system package", "name"],
)
def test_certainty_by_where_the_name_comes_from(component, expected):
    assert certainties([component], HEARTBLEED) == {0: expected}


def test_nothing_matches_nothing():
    assert run([], HEARTBLEED) == []
    assert run([openssl()], None, [], [{"nodes": []}]) == []


def test_the_binary_of_a_system_package_is_fixed_with_it():
    """A tool that looks at files finds the distribution's own binary again, as a program of its author's."""
    binary = Component("python", "3.9.2", cpes=("cpe:2.3:a:python:python:3.9.2:*:*:*:*:*:*:*",))
    other = Component("python", "3.9.1", cpes=("cpe:2.3:a:python:python:3.9.1:*:*:*:*:*:*:*",))
    package = Component("python3.9", "3.9.2-1", "pkg:deb/debian/python3.9@3.9.2-1")
    entry = {
        "criteria": "cpe:2.3:a:python:python:*:*:*:*:*:*:*:*",
        "vulnerable": True,
        "versionEndExcluding": "3.9.17",
    }
    tree, criteria = from_record([{"nodes": [{"operator": "OR", "cpeMatch": [entry]}]}])

    found = match([binary, other, package], dict(enumerate(criteria)), [Candidate(1, tree)])

    assert {each.component: each.certainty for each in found} == {
        0: Certainty.POSSIBLE,
        1: Certainty.CONFIRMED,
        2: Certainty.POSSIBLE,
    }


@settings(max_examples=1000, deadline=None)
@given(
    st.lists(generated.CONFIGURATIONS, max_size=3),
    st.sets(st.sampled_from([generated.A, generated.B, generated.C, generated.WINDOWS, LINUX])),
)
def test_the_short_ways_conclude_what_the_evaluation_does(record, present):
    """From a tree, from its blob, and from its blob with what is met in it."""
    inventory = Inventory(named(*sorted(present)))
    tree, criteria = from_record(record)
    hits = compare_criteria(inventory, dict(enumerate(criteria)))
    values = {}
    for configuration in tree:
        for reason in configurations.evaluate(configuration, truths(inventory, hits)).contributions:
            for hit in hits.met[reason.criterion]:
                values.setdefault(hit.component, set()).add(reason.value)
    expected = {index: CONFIRMED if TRUE in found else CONDITIONAL for index, found in values.items()}

    places = dict(configurations.operands(tree))
    used = sorted({each for each in places.values() if isinstance(each, int) and each in hits.met})
    blob = configurations.encode(tree)
    for candidate in (Candidate(1, tree), Candidate(1, blob), Candidate(1, blob, used)):
        matches = list(match_candidates(inventory, hits, [candidate]))
        assert {each.component: each.certainty for each in matches} == expected
        assert all(places[each.path] == each.criterion_id for each in matches)
