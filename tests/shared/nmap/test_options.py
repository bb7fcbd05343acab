import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.nmap import options
from shared.nmap.options import OptionError, Options

FIXED = {
    "-n", "-sV", "-v", "--no-stylesheet", "--stats-every", "1s", "--privileged", "--unprivileged", "-sS", "-sT", "-sU", "-O",
    "-6", "-Pn", f"-PS{options.DISCOVERY_PORTS}", "--top-ports", "-p", "-T2", "-T3", "-T4", "--max-hostgroup", "32",
    "--host-timeout", "900s", "-oX", "-", "-iL",
}  # fmt: skip
"""Every argument that does not depend on what a user wrote."""
NUMBERS = re.compile(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*")


def rendered(document, *, ipv6=False, raw=False):
    return options.arguments(options.read(document), ipv6=ipv6, raw=raw, host_seconds=900)


def test_the_plain_case():
    assert rendered({"targets": ["127.0.0.1"]}) == [
        "-n", "-sV", "-v", "--no-stylesheet", "--stats-every", "1s", "--unprivileged", "-sT",
        f"-PS{options.DISCOVERY_PORTS}", "--top-ports", "100", "-T3", "--max-hostgroup", "32", "--host-timeout", "900s",
        "-oX", "-", "-iL", "-",
    ]  # fmt: skip


def test_what_needs_raw_sockets_asks_for_them():
    found = rendered({"targets": ["127.0.0.1"], "technique": "syn", "udp": True, "os": True}, raw=True)
    assert {"--privileged", "-sS", "-sU", "-O"} <= set(found)
    assert "--unprivileged" not in found


def test_an_ordinary_scan_uses_no_raw_sockets_even_where_it_might():
    assert "--unprivileged" in rendered({"targets": ["127.0.0.1"]}, raw=True)


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"target": ["127.0.0.1"]}, ""),
        ({"targets": "127.0.0.1"}, "targets"),
        ({"targets": [1]}, "targets.0"),
        ({"targets": ["127.0.0.1", "-oN"]}, "targets.1"),
        ({"targets": ["127.0.0.1"] * 1001}, "targets"),
        ({"ports": "all"}, "ports"),
        ({"ports": 22}, "ports"),
        ({"timing": "insane"}, "timing"),
        ({"technique": "-sS"}, "technique"),
        ({"udp": "yes"}, "udp"),
        ({"script": "vuln"}, ""),
    ],
)
def test_an_option_that_cannot_be_used_is_named(document, where):
    with pytest.raises(OptionError) as refused:
        options.read(document)
    assert refused.value.where == where
    assert refused.value.why


TEXT = st.text(max_size=20) | st.sampled_from(
    ["-oN", "--script=x", "top-10 -sC", "22,80", "top-20", "127.0.0.1", "normal", "syn"]
)
DOCUMENTS = st.dictionaries(
    st.sampled_from(["targets", "ports", "timing", "technique", "udp", "os", "assume_up", "-oN", "script"]),
    st.one_of(TEXT, st.lists(TEXT, max_size=3), st.booleans(), st.integers(), st.none()),
    max_size=7,
)


@given(DOCUMENTS, st.booleans(), st.booleans())
def test_whatever_is_asked_for_the_arguments_are_ours(document, ipv6, raw):
    """P20: of a user's texts nothing reaches nmap but ports, as numbers."""
    try:
        found = rendered(document, ipv6=ipv6, raw=raw)
    except OptionError:
        return
    previous = ""
    for argument in found:
        assert argument in FIXED or (previous in ("-p", "--top-ports") and NUMBERS.fullmatch(argument))
        previous = argument


def test_every_kind_of_scan_has_its_arguments():
    assert Options().needs_raw_sockets is False
    for timing in options.Timing:
        assert (
            len({argument for argument in rendered({"timing": timing.value}) if argument.startswith("-T")})
            == 1
        )
