"""One criterion against one component: versions, ranges, updates, attributes."""

import pytest

from shared.matching.compare import Inventory, PreparedCriterion, Shared, compare_criteria
from shared.matching.component import Component
from shared.matching.criterion import Criterion
from shared.matching.identity import identify
from shared.matching.reason import Reason

ANY_VERSION = "cpe:2.3:a:x:y:*:*:*:*:*:*:*:*"


def component(version, update="*", rest="*:*:*:*:*:*", **more):
    return Component("y", cpes=(f"cpe:2.3:a:x:y:{version}:{update}:{rest}",), **more)


def compare(criterion, found):
    return PreparedCriterion(criterion, Shared()).compare(identify(found)[0])


MET, OUTSIDE, UNKNOWN, UNDECIDED = (
    (),
    Reason.VERSION_OUTSIDE,
    Reason.VERSION_UNKNOWN,
    Reason.VERSION_UNDECIDED,
)

# Criterion's version and update, component's version and update, outcome.
NAMED = [
    ("1.0.1f", "*", "1.0.1f", "*", MET),
    ("1.0.1f", "*", "1.0.1g", "*", OUTSIDE),
    ("1.0.1", "*", "1.0.1f", "*", OUTSIDE),  # a patch letter is no update
    ("7.2", "p2", "7.2p2", "*", MET),
    ("7.2p2", "*", "7.2", "p2", MET),
    ("7.2", "*", "7.2", "p2", MET),  # ANY covers every update (IR 7696, table 6-2, line 3)
    ("7.2", "*", "7.2p2", "*", MET),
    ("7.2", "-", "7.2", "p2", OUTSIDE),
    ("7.2", "-", "7.2", "*", MET),
    ("7.2", "p2", "7.2", "*", OUTSIDE),  # a component's ANY is read as no update
    ("7.2", "p2", "7.2", "p3", OUTSIDE),
    ("10.0.0", "*", "10", "*", MET),
    ("*", "*", "1.0", "*", MET),
    ("*", "*", "*", "*", MET),
    ("1.0", "*", "*", "*", UNKNOWN),
    ("-", "*", "*", "*", MET),  # NA is met only by what has no version
    ("-", "*", "-", "*", MET),
    ("-", "*", "1.0", "*", Reason.VERSION_NOT_NAMED),
    ("1.*", "*", "1.5", "*", MET),
    ("1.*", "*", "2.5", "*", OUTSIDE),
    ("5.5", "sp?", "5.5", "sp4", MET),
    ("5.5", "sp?", "5.5", "beta", OUTSIDE),
    ("deadbeef12", "*", "deadbeef12", "*", MET),  # equality needs no order
]


@pytest.mark.parametrize(("version", "update", "own", "own_update", "outcome"), NAMED)
def test_named_versions(version, update, own, own_update, outcome):
    criterion = Criterion(f"cpe:2.3:a:x:y:{version}:{update}:*:*:*:*:*:*")

    assert compare(criterion, component(own, own_update)) == outcome


# Bounds (start including, start excluding, end including, end excluding), component's version, outcome.
RANGES = [
    ((None, None, None, "1.0.1g"), "1.0.1f", MET),
    ((None, None, None, "1.0.1g"), "1.0.1g", OUTSIDE),
    ((None, None, "1.0.1g", None), "1.0.1g", MET),
    ((None, None, "1.0.1g", None), "1.0.2", OUTSIDE),
    (("1.0.1", None, None, None), "1.0.1", MET),
    (("1.0.1", None, None, None), "1.0.0z", OUTSIDE),
    ((None, "1.0.1", None, None), "1.0.1", OUTSIDE),
    ((None, "1.0.1", None, None), "1.0.1a", MET),
    (("2.0", None, None, "3.0"), "2.9.9", MET),
    (("2.0", None, None, "3.0"), "3.0-beta1", MET),  # a pre-release is before its release
    (("2.0", None, None, "3.0"), "2.0-rc1", OUTSIDE),
    ((None, None, "10.0.0", None), "10", MET),
    ((None, None, None, "2.0"), "latest", UNDECIDED),
    ((None, None, None, "2.0"), "*", UNKNOWN),
    ((None, None, None, "1\\:2.0"), "1.5", OUTSIDE),  # an escaped bound is read as text
]


@pytest.mark.parametrize(("bounds", "version", "outcome"), RANGES)
def test_ranges(bounds, version, outcome):
    assert compare(Criterion(ANY_VERSION, *bounds), component(version)) == outcome


def test_the_update_of_a_range_belongs_to_its_upper_bound():
    criterion = Criterion("cpe:2.3:a:x:y:*:p2:*:*:*:*:*:*", version_end_including="1.9.17")

    assert compare(criterion, component("1.9.17", "p2")) == MET
    assert compare(criterion, component("1.9.16")) == MET
    assert compare(criterion, component("1.9.17", "p3")) == OUTSIDE


def test_a_range_beside_a_version_needs_both():
    criterion = Criterion("cpe:2.3:a:x:y:1.5:*:*:*:*:*:*:*", version_end_excluding="1.2")

    assert compare(criterion, component("1.5")) == OUTSIDE


# The criterion's last six attributes, the component's, outcome.
OTHERS = [
    ("*:*:*:*:*:*", "pro:en:server:linux:x64:z", ()),
    ("*:*:*:linux:*:*", "*:*:*:linux:*:*", ()),
    ("*:*:*:linux:*:*", "*:*:*:windows:*:*", Reason.ATTRIBUTE_DIFFERS),
    ("*:*:*:linux:*:*", "*:*:*:-:*:*", Reason.ATTRIBUTE_DIFFERS),
    ("*:*:*:linux:*:*", "*:*:*:*:*:*", ("target_sw",)),
    ("pro:*:server:*:*:*", "*:*:*:*:*:*", ("edition", "sw_edition")),
    ("*:*:-:*:*:*", "*:*:*:*:*:*", ()),  # NA asks for nothing that the component fails to say
    ("*:*:-:*:*:*", "*:*:server:*:*:*", Reason.ATTRIBUTE_DIFFERS),
    ("*:*:ser*:*:*:*", "*:*:server:*:*:*", ()),
    ("*:*:*:*:x64:*", "*:*:*:*:x*:*", ("target_hw",)),  # a wildcard in the target is undefined
]


@pytest.mark.parametrize(("rest", "own", "outcome"), OTHERS)
def test_other_attributes(rest, own, outcome):
    assert compare(Criterion(f"cpe:2.3:a:x:y:1:*:{rest}"), component("1", rest=own)) == outcome


def test_the_ecosystems_own_order_decides_when_the_package_url_tells_it():
    criterion = Criterion(ANY_VERSION, version_end_excluding="1.0")
    cpes = ("cpe:2.3:a:x:y:1.0.post1:*:*:*:*:*:*:*",)

    assert (
        compare(
            criterion,
            Component("y", "1.0.dev1", "pkg:pypi/y@1.0.dev1", ("cpe:2.3:a:x:y:1.0.dev1:*:*:*:*:*:*:*",)),
        )
        == MET
    )
    assert compare(criterion, Component("y", "1.0.post1", "pkg:pypi/y@1.0.post1", cpes)) == OUTSIDE


def test_other_spellings_of_a_version_are_the_same_version():
    criterion = Criterion("cpe:2.3:a:x:y:1.0:rc1:*:*:*:*:*:*")

    assert (
        compare(
            criterion, Component("y", "1.0c1", "pkg:pypi/y@1.0c1", ("cpe:2.3:a:x:y:1.0c1:*:*:*:*:*:*:*",))
        )
        == MET
    )


def test_criteria_are_sorted_into_met_undecided_and_not_named():
    inventory = Inventory([component("1.0"), component("latest"), Component("other")])
    criteria = {
        1: Criterion(ANY_VERSION, version_end_including="1.0"),
        2: Criterion(ANY_VERSION, version_end_excluding="1.0"),
        3: Criterion("cpe:2.3:a:x:y:-:*:*:*:*:*:*:*"),
        4: Criterion("cpe:2.3:a:*:y:1.0:*:*:*:*:*:*:*"),
        5: Criterion("nonsense"),
    }

    hits = compare_criteria(inventory, criteria)

    assert {number: [hit.component for hit in met] for number, met in hits.met.items()} == {1: [0], 4: [0]}
    assert hits.undecided[1] == [(1, Reason.VERSION_UNDECIDED)]
    assert hits.undecided[2] == [(1, Reason.VERSION_UNDECIDED)]
    assert hits.undecided[4] == [(1, Reason.VERSION_UNDECIDED)]
    assert set(hits.undecided) == {1, 2, 4, 5}
    assert hits.unnamed == {3}
