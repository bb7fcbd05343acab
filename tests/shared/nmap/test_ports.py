import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.nmap import ports
from shared.nmap.ports import Ports, PortsError

RANGES = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 40)).map(lambda pair: (pair[0], sum(pair))))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("22", "22"),
        ("80,22", "22,80"),
        ("1-3,4,6", "1-4,6"),
        ("1-65535", "1-65535"),
        ("5-9,7-20", "5-20"),
        ("22, 80", "22,80"),
    ],
)
def test_lists_and_ranges(text, written):
    assert str(ports.parse(text)) == written


@pytest.mark.parametrize(("text", "count"), [("top-1", 1), ("top-100", 100), ("top-1000", 1000)])
def test_the_most_common(text, count):
    assert ports.parse(text) == count


@pytest.mark.parametrize(
    "text",
    ["", "0", "65536", "99999999999", "22;80", "22 80", "80-22", "-", "-p-", "T:22", "http*", "top-0", "top-1001", "top-",
     "top-100 --script vuln", "22,", ",", "1-2-3", "٢٢", "22\n", "0x16", "[1-80]", "1," * 2000 + "1"],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(PortsError):
        ports.parse(text)


@given(RANGES)
def test_a_set_holds_what_its_ranges_hold_and_is_read_as_it_is_written(ranges):
    found = Ports.of(ranges)
    assert {number for number in range(1, 400) if number in found} == {
        number for first, last in ranges for number in range(first, last + 1)
    }
    if ranges:
        assert ports.parse(str(found)) == found


@given(RANGES, RANGES)
def test_a_union_holds_both(left, right):
    assert Ports.of(left) | Ports.of(right) == Ports.of([*left, *right])
