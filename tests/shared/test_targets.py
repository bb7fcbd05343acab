import ipaddress
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared import targets
from shared.targets import Block, Limits, Name, NotAllowedError, TargetError, TooManyError, parse_allowance

LOOPBACK = Limits(parse_allowance("127.0.0.0/8, ::1/128"), 4096)

HOSTILE = [
    # options, and what a shell would do with them
    "-oN/etc/passwd",
    "--script=vuln",
    "-iL/etc/shadow",
    "--",
    "-",
    "127.0.0.1 --script vuln",
    "127.0.0.1\n--script\nvuln",
    "127.0.0.1;id",
    "$(id)",
    "`id`",
    "127.0.0.1|id",
    "127.0.0.1&id",
    "127.0.0.1>x",
    "'127.0.0.1'",
    '"127.0.0.1"',
    "a b",
    "a\tb",
    "a\x00b",
    "../../etc/passwd",
    "file:///etc/passwd",
    "http://127.0.0.1/",
    "user@127.0.0.1",
    "@hosts",
    "-host.example.org",
    "host-.example.org",
    "host..example.org",
    ".example.org",
    "*.example.org",
    "127.0.0.*",
    "127.0.0.1,2",
    "127.0.0.[1-5]",
    # ranges beyond any sense, or backwards
    "127.0.0.0/33",
    "127.0.0.0/-1",
    "127.0.0.0/255.0.0.0",
    "127.0.0.0/0x8",
    "127.0.0.0/",
    "/24",
    "::/129",
    "127.0.0.9-1",
    "127.0.0.1-256",
    "127.0.0.1-",
    "127.0.0.1-::1",
    "127.0.0.1-0.0.0.0",
    # other ways to write an address, which a resolver may understand
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127.0.0.1.",
    "127.000.000.001",
    "[::1]",
    "[::1]:80",
    "127.0.0.1:80",
    # zone ids and letters that look like others
    "fe80::1%eth0",
    "::1%lo",
    "fe80::1%25eth0",
    "\uff11\uff12\uff17.0.0.1",
    "exämple.org",
    "127\u30020\u30020\u30021",
    "a" * 64 + ".org",
    "a." * 130 + "org",
    "",
    " ",
]
"""Nothing of this is a target."""

OUTSIDE = [
    "8.8.8.8",
    "0.0.0.0",
    "255.255.255.255",
    "10.0.0.1",
    "169.254.169.254",
    "192.0.2.0/24",
    "126.255.255.255-127.0.0.0",
    "127.255.255.255-128.0.0.0",
    "126.255.255.0/22",
    "::",
    "::2",
    "::/127",
    "::1-::2",
    "fe80::1",
    "ff02::1",
    "2001:db8::/120",
    "::ffff:8.8.8.8",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]
"""Well-formed, and not within the loopback."""

HUGE = [
    "0.0.0.0/0",
    "::/0",
    "127.0.0.0/8",
    "10.0.0.0/8",
    "::1-ffff::",
    "127.0.0.0-127.255.255.255",
    "2001:db8::/32",
]
"""More than any scan may have."""


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_no_target_is_refused_with_a_reason(text):
    with pytest.raises(TargetError, match=r"\w{3}"):
        targets.parse(text)


@pytest.mark.parametrize("text", OUTSIDE)
def test_an_address_outside_the_allowance_is_named_with_the_setting(text):
    with pytest.raises(NotAllowedError, match="VEDETTE_SCAN_ALLOWED_TARGETS") as refused:
        targets.expand([targets.parse(text)], no_look_up, LOOPBACK)
    assert str(refused.value.address) in str(refused.value)
    assert refused.value.address not in LOOPBACK.allowance
    with pytest.raises(NotAllowedError):
        targets.check(targets.parse(text), LOOPBACK)


@pytest.mark.parametrize("text", HUGE)
def test_too_many_addresses_are_refused_before_they_are_walked(text):
    everywhere = Limits(parse_allowance("0.0.0.0/0 ::/0"), 4096)
    for limits in (LOOPBACK, everywhere):
        with pytest.raises(TooManyError, match="VEDETTE_SCAN_MAX_ADDRESSES"):
            targets.expand([targets.parse(text)], no_look_up, limits)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.77/30", "127.0.0.76", "127.0.0.79"),
        ("127.0.0.1/32", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.10-20", "127.0.0.10", "127.0.0.20"),
        ("127.0.0.250-127.0.1.3", "127.0.0.250", "127.0.1.3"),
        ("::1", "::1", "::1"),
        ("0:0:0:0:0:0:0:1", "::1", "::1"),
        ("2001:DB8::1-2001:db8::f", "2001:db8::1", "2001:db8::f"),
    ],
)
def test_addresses_blocks_and_ranges(text, first, last):
    assert targets.parse(text) == Block(ipaddress.ip_address(first), ipaddress.ip_address(last))


@pytest.mark.parametrize(
    "text", ["localhost", "db-1.example.org", "_sip.example.org", "xn--exmple-cua.org", "EXAMPLE.org."]
)
def test_names(text):
    assert targets.parse(text) == Name(text.lower().rstrip("."))


def test_targets_that_overlap_are_scanned_once_under_all_their_names():
    told = {"a.example.org": ["127.0.0.2", "::1"], "b.example.org": ["127.0.0.2"]}
    wanted = [targets.parse(text) for text in ("127.0.0.1-2", "a.example.org", "b.example.org", "127.0.0.2")]
    found = targets.expand(wanted, told.__getitem__, LOOPBACK)
    assert {str(address): names for address, names in found.items()} == {
        "127.0.0.1": [],
        "127.0.0.2": ["a.example.org", "b.example.org"],
        "::1": ["a.example.org"],
    }


@pytest.mark.parametrize(
    "answer", [["8.8.8.8"], ["127.0.0.1", "10.0.0.1"], ["::1", "::ffff:10.0.0.1"], ["fe80::2"]]
)
def test_a_name_with_any_address_outside_is_refused(answer):
    with pytest.raises(NotAllowedError, match=r"rebinding\.example\.org"):
        targets.expand([Name("rebinding.example.org")], lambda _name: answer, LOOPBACK)


@pytest.mark.parametrize("answer", [[], ["fe80::1%eth0"], ["nonsense"], ["-oN"]])
def test_a_name_without_a_usable_address_is_refused(answer):
    with pytest.raises(TargetError, match=r"odd\.example\.org"):
        targets.expand([Name("odd.example.org")], lambda _name: answer, LOOPBACK)


def test_a_name_is_looked_up_once():
    asked = []

    def changing(name):
        asked.append(name)
        return ["127.0.0.1"] if len(asked) == 1 else ["8.8.8.8"]

    assert list(map(str, targets.expand([Name("a")], changing, LOOPBACK))) == ["127.0.0.1"]
    assert asked == ["a"]


def test_many_small_targets_are_too_many_together():
    few = Limits(LOOPBACK.allowance, 10)
    with pytest.raises(TooManyError):
        targets.expand([targets.parse("127.0.0.0/29"), targets.parse("127.0.1.0/29")], no_look_up, few)


def test_an_ipv4_mapped_address_is_the_ipv4_address():
    assert list(targets.expand([targets.parse("::ffff:127.0.0.1")], no_look_up, LOOPBACK)) == [
        ipaddress.ip_address("127.0.0.1")
    ]


@pytest.mark.parametrize("text", ["10.0.0.1/8", "all", "127.0.0.0/8;10.0.0.0/8", "10.0.0.0-10.0.0.9"])
def test_an_allowance_that_is_none_is_named(text):
    with pytest.raises(ValueError, match="neither an address nor a CIDR block"):
        parse_allowance(text)


def test_nothing_is_allowed_by_an_empty_allowance():
    with pytest.raises(NotAllowedError):
        targets.expand([targets.parse("127.0.0.1")], no_look_up, Limits(parse_allowance(""), 10))


WORDS = st.sampled_from(
    [
        "127.0.0.1",
        "::1",
        "8.8.8.8",
        "10.0.0.0/8",
        "-",
        "--",
        "/24",
        "%",
        ".",
        ":",
        "0x7f",
        "ffff",
        "1",
        "localhost",
    ]
)
TEXTS = st.one_of(
    st.text(string.printable, max_size=40),
    st.lists(WORDS, max_size=6).map("".join),
    st.ip_addresses().map(str),
    st.builds(lambda address, bits: f"{address}/{bits}", st.ip_addresses(), st.integers(0, 128)),
    st.builds(lambda first, last: f"{first}-{last}", st.ip_addresses(), st.ip_addresses()),
)


@given(st.lists(TEXTS, max_size=5), st.lists(st.ip_addresses(), max_size=3))
@example(["localhost"], [ipaddress.ip_address("::ffff:8.8.8.8")])
def test_whatever_is_asked_for_only_allowed_addresses_come_out(texts, answers):
    """P20: no text of a user becomes anything but addresses within the allowance."""
    try:
        wanted = [targets.parse(text) for text in texts]
        found = targets.expand(wanted, lambda _name: [str(each) for each in answers], LOOPBACK)
    except TargetError:
        return
    assert len(found) <= LOOPBACK.addresses
    for address in found:
        assert address in ipaddress.ip_network("127.0.0.0/8") or str(address) == "::1"
        assert not str(address).startswith("-")


def no_look_up(name):
    raise AssertionError(f"{name} was looked up")
