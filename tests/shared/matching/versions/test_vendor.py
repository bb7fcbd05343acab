r"""The vendors' order: the rules of its docstring, and that it is an order."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.matching import versions
from shared.matching.versions import VENDOR, vendor

# From first to last, each strictly before the next; the sources are products' own histories.
SEQUENCES = [
    # OpenSSL: patch letters, then zh after z; release strategy up to 1.0.2.
    ["0.9.8", "0.9.8a", "0.9.8z", "0.9.8zh", "1.0.0-beta1", "1.0.0", "1.0.1", "1.0.1f", "1.0.1g", "1.0.2"],
    # OpenSSH: p levels after the release that they port.
    ["7.1", "7.1p1", "7.2", "7.2p1", "7.2p2", "7.3"],
    # Log4j 2.
    ["2.0-alpha1", "2.0-beta1", "2.0-beta9", "2.0-rc1", "2.0-rc2", "2.0", "2.0.1", "2.3", "2.12.2", "2.15.0"],
    # Linux.
    ["2.4.0-test1", "2.4.0", "2.6.32", "3.0-rc1", "3.0", "4.9", "4.10"],
    # Cisco IOS: trains after the release, numbers in brackets.
    ["12.2\\(2\\)", "12.2\\(2\\)xa", "12.2\\(2\\)xa1", "12.2\\(14\\)", "12.2\\(14\\)sx2"],
    # Huawei: service packs and patches.
    ["v100r006c05", "v100r006c05spc500", "v100r006c10", "v200r001c00"],
    # Python-like short pre-releases.
    ["1.0a1", "1.0a5", "1.0b2", "1.0rc1", "1.0"],
    # Apache HTTP Server: dev before release.
    ["2.3.0-dev", "2.3.0", "2.3.1"],
    # ImageMagick: a revision behind a hyphen.
    ["7.0.5", "7.0.5-1", "7.0.5-9", "7.0.5-10", "7.0.6-0"],
    # Dates, however written.
    ["2015-06-19", "20150620", "2015.07.01", "2016-01-01"],
    # FreeBSD: patch levels of a release.
    ["4.6.1", "4.6.1-release-p4", "4.6.1-release-p7", "4.6.2"],
    # Debian's tilde.
    ["1.0~beta", "1.0", "1.0.1"],
    # Drupal modules.
    ["6.x-1.0", "6.x-1.7", "6.x-1.20", "7.x-1.0"],
    # Microsoft: service packs.
    ["5.5", "5.5-sp1", "5.5-sp4", "6.0"],
    # Firmware that begins with a word, within its own family.
    ["fw910.9", "fw910.10", "fw920.0"],
]


@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda sequence: sequence[0])
def test_sequences_of_real_products(sequence):
    for index, earlier in enumerate(sequence):
        for later in sequence[index + 1 :]:
            assert VENDOR.compare(earlier, later) == -1, f"{earlier} < {later}"
            assert VENDOR.compare(later, earlier) == 1, f"{later} > {earlier}"


SAME = [
    ("10.0.0", "10"),
    ("10.0.0", "10.0"),
    ("v1.2", "1.2"),
    ("V1.2", "1.2"),
    ("version 1.2", "1.2"),
    ("1.02", "1.2"),
    ("7.2p2", vendor.join("7.2", "p2")),
    ("7.2p2", "7.2_patch2"),
    ("2.0-beta9", vendor.join("2.0", "beta9")),
    ("1.0.0:rc1".replace(":", "-"), "1.0rc1"),
    ("4.0.0.Final", "4.0.0"),
    ("4.0.0-GA", "4.0"),
    ("20150619", "2015-06-19"),
    ("12.2(14)SX2", "12.2\\(14\\)sx2"),
    ("(2)", "\\(2\\)"),
    ("1.0_rc1", "1.0-rc1"),
    ("1.0b2", "1.0-beta2"),
    ("1.0.0-RC.1", "1.0rc1"),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_one_version_written_differently(left, right):
    assert vendor.normal(left) == vendor.normal(right)
    assert VENDOR.compare(left, right) == 0


DIFFERENT = [("1.0", "1.1"), ("1.0a", "1.0"), ("1.0.1", "1.0"), ("7.2", "7.2p2"), ("1.10", "1.1")]


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_different_versions_have_different_normal_forms(left, right):
    assert vendor.normal(left) != vendor.normal(right)


UNDECIDED = [
    ("latest", "1.0"),
    ("5000749f5afe3b956fc916e407309de840997f4a", "1.0"),
    ("fw12", "r3"),
    ("beta", "1.0"),
    ("^1.2", "1.0"),
    ("~1.2", "1.0"),
    (">=1.0 <2.0", "1.0"),
    ("[1.0,2.0]", "1.0"),
    ("(1.0,2.0]", "1.0"),
    ("1.0 || 2.0", "1.0"),
    ("", "1.0"),
    ("9" * 300, "1.0"),
]


@pytest.mark.parametrize(("left", "right"), UNDECIDED)
def test_what_has_no_common_order_is_undecided(left, right):
    assert VENDOR.compare(left, right) is None
    assert VENDOR.compare(right, left) is None


@pytest.mark.parametrize(
    ("version", "bases"),
    [
        ("7.2p2", ("7.2",)),
        ("2.0-beta9", ("2",)),
        ("1.0.1f", ()),
        ("1.0", ()),
        ("5.5-sp4", ("5.5",)),
        ("p2", ()),
    ],
)
def test_bases_are_the_versions_that_an_update_belongs_to(version, bases):
    assert vendor.bases(version) == bases


_pieces = st.sampled_from(
    [
        "0",
        "1",
        "2",
        "10",
        "02",
        "a",
        "b",
        "p",
        "p2",
        "rc1",
        "beta",
        "dev",
        "final",
        "sp",
        "x",
        "v",
        "20150619",
        "~",
    ]
)
_separators = st.sampled_from(["", ".", "-", "_", "\\(", "\\)", " "])
versions_like_real = st.lists(st.tuples(_pieces, _separators), min_size=1, max_size=6).map(
    lambda parts: "".join(piece + separator for piece, separator in parts)
)
anything = st.one_of(versions_like_real, st.text(max_size=12))


def _keys(*texts):
    keys = [vendor.key(text) for text in texts]
    return keys if None not in keys and len({key.family for key in keys}) == 1 else None


@given(anything, anything)
def test_the_order_is_antisymmetric_and_total_within_a_family(left, right):
    there, back = VENDOR.compare(left, right), VENDOR.compare(right, left)

    assert back == (None if there is None else -there)
    assert (there is not None) == (_keys(left, right) is not None)


@given(versions_like_real, versions_like_real, versions_like_real)
def test_the_order_is_transitive(one, two, three):
    if _keys(one, two, three) is None:
        return
    first, second, third = sorted((one, two, three), key=vendor.key)

    assert VENDOR.compare(first, second) in {-1, 0}
    assert VENDOR.compare(second, third) in {-1, 0}
    assert VENDOR.compare(first, third) in {-1, 0}


@given(anything, anything)
@example("1.0b2", "1.0.b.2")
def test_equal_exactly_when_the_normal_forms_are(left, right):
    order = VENDOR.compare(left, right)

    if order is not None:
        assert (order == 0) == (vendor.normal(left) == vendor.normal(right))


@given(anything)
@example("1.0b-5")
@example("-v1")
@example("~v1")
@example("0.0-beta")
@example("v.final2")
@example("020150619")
def test_the_normal_form_is_its_own(text):
    form = vendor.normal(text)

    assert vendor.normal(form) == form
    assert VENDOR.compare(text, form) in {0, None}


@given(
    st.lists(st.integers(0, 99), min_size=1, max_size=5), st.lists(st.integers(0, 99), min_size=1, max_size=5)
)
def test_dotted_numbers_compare_as_padded_tuples(left, right):
    length = max(len(left), len(right))
    padded = [numbers + [0] * (length - len(numbers)) for numbers in (left, right)]
    texts = [".".join(map(str, numbers)) for numbers in (left, right)]
    expected = (padded[0] > padded[1]) - (padded[0] < padded[1])

    assert VENDOR.compare(*texts) == expected
    assert (vendor.normal(texts[0]) == vendor.normal(texts[1])) == (expected == 0)


@given(st.sampled_from(versions.SCHEMES), anything, anything)
def test_every_scheme_answers_or_leaves_it_undecided(scheme, left, right):
    order, used = versions.compare(scheme, left, right)

    assert order in {-1, 0, 1, None}
    assert used in {scheme, VENDOR}


@given(
    st.lists(st.sampled_from(["0", "00", "1", "01", "10", "20150619", "2015", "0619", "9" * 20]), min_size=1)
)
def test_the_quick_way_to_a_normal_form_gives_what_the_long_one_gives(numbers):
    text = ".".join(numbers)

    assert vendor.normal(text) == vendor.normal(f" {text}")  # only what has no blank is looked at quickly
