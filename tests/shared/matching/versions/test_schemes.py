"""Each ecosystem's order on the examples of its own documentation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.matching import versions
from shared.matching.versions import SCHEMES, apk, deb, rpm

BY_NAME = {scheme.name: scheme for scheme in SCHEMES}

SEQUENCES = {
    # PEP 440, "Summary of permitted suffixes and relative ordering".
    "pep440": [
        [
            "1.0.dev456",
            "1.0a1",
            "1.0a2.dev456",
            "1.0a2",
            "1.0b1.dev456",
            "1.0b2",
            "1.0rc1",
            "1.0",
            "1.0+abc.5",
        ],
        ["1.0", "1.0.post456.dev34", "1.0.post456", "1.1.dev1", "1!0.1"],
    ],
    # Semantic Versioning 2.0.0, section 11.
    "semver": [
        ["1.0.0", "2.0.0", "2.1.0", "2.1.1"],
        [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
        ],
    ],
    # Maven's POM reference, "Version Order Specification".
    "maven": [
        ["1-alpha", "1-beta", "1-milestone", "1-rc", "1-snapshot", "1", "1-sp", "1-xyz", "1-1", "1.1"],
        ["1.0-alpha-1", "1.0-beta-1", "1.0", "1.0.1", "1.10"],
    ],
    # Gem::Version, "Suppose".
    "gem": [["1.0.a", "1.0.a.2", "1.0.b1", "1.0", "1.0.1", "1.1.a", "1.1"]],
    # Debian Policy 5.6.12, and its example of the tilde.
    "deb": [
        ["1.0~beta1~svn1245", "1.0~beta1", "1.0", "1.0-1", "1.0-1.1", "1.0.1-1", "1:0.1-1"],
        ["1.0~~", "1.0~~a", "1.0~", "1.0", "1.0a"],
    ],
    # rpm, tests/rpmvercmp.at.
    "rpm": [
        ["1.0~rc1", "1.0", "1.0a", "1.0.1", "2.0"],
        ["1.0-1", "1.0-2", "1:0.9-1"],
        ["5.5p1", "5.5p2", "5.5p10"],
    ],
    # apk-tools, test/version.data.
    "apk": [["1.0_alpha", "1.0_beta", "1.0_pre1", "1.0_rc1", "1.0", "1.0_p1", "1.0.1"], ["1.0-r0", "1.0-r1"]],
    # NuGet, "Package versioning".
    "nuget": [["1.0.1-alpha", "1.0.1-beta", "1.0.1-rc", "1.0.1", "1.0.1.1", "1.0.2"]],
    # Go Modules Reference, "Versions" and "Pseudo-versions".
    "go": [
        [
            "v0.0.0-20190308221718-c2843e01d9a2",
            "v0.0.0-20210405180319-a5a99cb37ef4",
            "v0.0.1",
            "v1.0.0-pre",
            "v1.0.0",
        ],
        ["go1.19", "go1.20", "go1.20.3"],
        ["v0.0.0-20180101000000-aaaaaaaaaaaa", "2018-07-12", "v0.0.0-20210405180319-a5a99cb37ef4", "v0.1.0"],
    ],
    # Composer, "Versions and constraints": stabilities.
    "composer": [["1.0.0-dev", "1.0.0-alpha1", "1.0.0-beta2", "1.0.0-RC1", "1.0.0", "1.0.0-patch1", "1.0.1"]],
    "vendor": [["1.0-beta", "1.0", "1.0p1", "1.0.1"]],
}


def test_every_scheme_has_a_sequence():
    assert set(SEQUENCES) == set(BY_NAME)


@pytest.mark.parametrize(
    ("name", "sequence"), [(name, each) for name, found in SEQUENCES.items() for each in found]
)
def test_documented_order(name, sequence):
    for index, earlier in enumerate(sequence):
        for later in sequence[index + 1 :]:
            assert BY_NAME[name].compare(earlier, later) == -1, f"{name}: {earlier} < {later}"
            assert BY_NAME[name].compare(later, earlier) == 1, f"{name}: {later} > {earlier}"


EQUAL = [
    ("pep440", "1.0", "1.0.0"),
    ("pep440", "1.0c1", "1.0rc1"),
    ("semver", "1.0.0+build5", "1.0.0+build6"),
    ("semver", "1.0", "1.0.0"),
    ("semver", "v1.2.3", "1.2.3"),
    ("maven", "1", "1.0"),
    ("maven", "1.ga", "1"),
    ("maven", "1.final", "1.0"),
    ("maven", "4.3.19.RELEASE", "4.3.19"),
    ("maven", "1cr", "1rc"),
    ("gem", "1.0", "1"),
    ("gem", "1.15.4-x86_64-linux", "1.15.4"),
    ("deb", "0:1.0-1", "1.0-1"),
    ("rpm", "0:1.0-1", "1.0-1"),
    ("nuget", "1.0.0-RC1", "1.0.0-rc1"),
    ("nuget", "1.0", "1.0.0.0"),
    ("go", "v2.0.0+incompatible", "v2.0.0"),
    ("composer", "v1.0", "1.0.0"),
]


@pytest.mark.parametrize(("name", "left", "right"), EQUAL)
def test_documented_equality(name, left, right):
    assert BY_NAME[name].compare(left, right) == 0


NONE_OF_IT = [
    ("pep440", "2004d"),
    ("semver", "not a version"),
    ("maven", "unspecified"),
    ("gem", "1.2.3~foo"),
    ("deb", "-"),
    ("rpm", "a b"),
    ("apk", "1.0-beta"),
    ("go", "latest"),
    ("composer", "dev-master"),
    ("vendor", "latest"),
]


@pytest.mark.parametrize(("name", "text"), NONE_OF_IT)
def test_what_is_no_version_of_the_scheme_has_no_key(name, text):
    assert BY_NAME[name].key(text) is None
    assert BY_NAME[name].compare(text, "1.0") is None


def test_a_bound_that_is_no_version_of_the_scheme_falls_back_to_the_vendors_order():
    order, used = versions.compare(BY_NAME["pep440"], "1.0.1", "1.0.1d")

    assert (order, used.name) == (-1, "vendor")


@pytest.mark.parametrize(
    ("upstream", "version", "expected"),
    [
        (deb.upstream, "1:7.2p2-5+deb9u1", "7.2p2"),
        (deb.upstream, "2.9.4+dfsg1-2.2+deb9u2", "2.9.4"),
        (deb.upstream, "1:1.2.11.dfsg-2+deb11u2", "1.2.11"),
        (deb.upstream, "1.2.3+really1.1.0-1", "1.1.0"),
        (deb.upstream, "5.10", "5.10"),
        (rpm.upstream, "1:1.0.2n-4.ph2", "1.0.2n"),
        (rpm.upstream, "1.0^git1-1", "1.0"),
        (apk.upstream, "1.1.1k-r0", "1.1.1k"),
    ],
)
def test_upstream_version_of_a_distribution(upstream, version, expected):
    assert upstream(version) == expected


_numbers = st.lists(st.integers(0, 30), min_size=1, max_size=4).map(lambda found: ".".join(map(str, found)))
_labels = st.sampled_from(
    ["", "-rc1", "-beta", "-alpha.1", "a1", "rc1", ".dev1", "_p1", "-r1", "~rc1", "+b1", "-1"]
)
_versions = st.tuples(_numbers, _labels).map("".join)


@given(st.sampled_from(SCHEMES), _versions, _versions, _versions)
def test_every_scheme_is_an_order(scheme, one, two, three):
    if any(scheme.key(text) is None for text in (one, two, three)):
        return
    compare = scheme.compare

    assert compare(one, one) == 0
    assert compare(one, two) == -compare(two, one)
    if compare(one, two) <= 0 and compare(two, three) <= 0:
        assert compare(one, three) <= 0
