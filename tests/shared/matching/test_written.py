"""Ranges that CNAs write into one text, as they are found in CVE records."""

import pytest

from shared.matching import versions, written

START, AFTER = "version_start_including", "version_start_excluding"
END, BEFORE = "version_end_including", "version_end_excluding"

TWO = ">= 1.0, < 1.2, >= 2.0, < 2.1"

TEXTS = [
    ("1.0", [{"version": "1.0"}]),
    ("v1.0", [{"version": "v1.0"}]),
    ("2.0 SP1", [{"version": "2.0 SP1"}]),
    ("Server 2.0", [{"version": "Server 2.0"}]),
    ("Ver.1.0", [{"version": "1.0"}]),
    ("1.0, 1.2", [{"version": "1.0"}, {"version": "1.2"}]),
    ("", [{}]),
    ("*", [{}]),
    ("All versions", [{}]),
    ("n/a", [{}]),
    ("5.x", [{START: "5", BEFORE: "6"}]),
    ("1.2.*", [{START: "1.2", BEFORE: "1.3"}]),
    ("1.x, 2.x", [{START: "1", BEFORE: "2"}, {START: "2", BEFORE: "3"}]),
    # GitHub
    (">= 1.0, < 1.2.3", [{START: "1.0", BEFORE: "1.2.3"}]),
    (">=1.0 <1.2.3", [{START: "1.0", BEFORE: "1.2.3"}]),
    ("> 1.0, <= 1.2.3", [{AFTER: "1.0", END: "1.2.3"}]),
    ("= 1.2.3", [{"version": "1.2.3"}]),
    ("< v1.2.3", [{BEFORE: "1.2.3"}]),
    (">= 1.0, < 1.2 || >= 2.0, < 2.1", [{START: "1.0", BEFORE: "1.2"}, {START: "2.0", BEFORE: "2.1"}]),
    # JPCERT/CC and others
    ("prior to 2.0", [{BEFORE: "2.0"}]),
    ("versions prior to 2.0", [{BEFORE: "2.0"}]),
    ("before 2.0", [{BEFORE: "2.0"}]),
    ("2.0 and earlier", [{END: "2.0"}]),
    ("Ver.2.0 and earlier versions", [{END: "2.0"}]),
    ("firmware version 2.0 or earlier", [{END: "2.0"}]),
    ("through 2.0", [{END: "2.0"}]),
    ("up to and including 2.0", [{END: "2.0"}]),
    ("2.0 and later", [{START: "2.0"}]),
    ("1.0 to 2.0", [{START: "1.0", END: "2.0"}]),
    ("v1.0 - v2.0", [{START: "1.0", END: "2.0"}]),
    ("from 1.0 before 2.0", [{START: "1.0", BEFORE: "2.0"}]),
]


@pytest.mark.parametrize(("text", "ranges"), TEXTS)
def test_what_a_text_means(text, ranges):
    assert written.ranges(text) == ranges


@pytest.mark.parametrize(
    "text",
    [
        "2.0 (all editions)",
        "see the advisory",
        "1.0 | 2.0",
        ">= 1.0 < x",
        "1.0, and some of 2.0",
        "<1.0>",
        TWO,
    ],
)
@pytest.mark.parametrize("scheme", versions.SCHEMES, ids=lambda scheme: scheme.name)
def test_what_cannot_be_read_is_undecided_in_every_order(text, scheme):
    (bounds,) = written.ranges(text)

    assert list(bounds) == [END]
    assert versions.compare(scheme, "1.0", bounds[END])[0] is None


@pytest.mark.parametrize(
    ("text", "end"), [("5.*", "6"), ("5.2.x", "5.3"), ("5.9*", "5.10"), ("5", None), ("*", None)]
)
def test_where_a_branch_ends(text, end):
    assert written.below(text) == end
