"""Where nothing is sent, and what the operator may allow."""

import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.destinations import SETTING, Destinations, check_mail_address, mail_address
from shared.errors import Forbidden, Invalid

PUBLIC = Destinations()
REFUSED_URLS = {
    # scheme, user, shape
    "ftp://example.org/": "https",
    "file:///etc/passwd": "https",
    "gopher://example.org/": "https",
    "javascript:alert(1)": "https",
    "//example.org/hook": "https",
    "example.org/hook": "https",
    "": "https",
    "https://": "host",
    "https:///hook": "host",
    "https://user@example.org/": "password",
    "https://user:secret@example.org/": "password",
    "https://example.org@127.0.0.1/": "password",
    "https://127.0.0.1\\@example.org/": "character",
    "https://example.org/a b": "character",
    "https://example.org/\r\nHost: x": "character",
    "https://exa\tmple.org/": "character",
    "https://[::1/": "read",
    "https://example..org/": "name",
    "https://-example.org/": "name",
    "https://exa$mple.org/": "name",
    "https://./": "host",
    "https://" + "a" * 64 + ".org/": "name",
    "https://example.org/" + "a" * 2048: "longer",
    # ports
    "https://example.org:22/": "Port 22",
    "http://example.org:6379/": "Port 6379",
    "http://example.org:0/": "port",
    "http://example.org:70000/": "port",
    "http://example.org:x/": "port",
    # internal addresses as they are
    "http://127.0.0.1/": "loopback",
    "http://127.255.255.254/": "loopback",
    "http://10.0.0.1/": "private",
    "http://172.16.0.1/": "private",
    "http://172.31.255.255/": "private",
    "http://192.168.1.1/": "private",
    "http://169.254.169.254/latest/meta-data/": "link-local",
    "http://100.64.0.1/": "shared",
    "http://0.0.0.0/": "unspecified",
    "http://224.0.0.1/": "multicast",
    "http://255.255.255.255/": "reserved",
    "http://240.0.0.1/": "reserved",
    "http://198.18.0.1/": "benchmarks",
    "http://192.0.2.1/": "documentation",
    "http://192.0.0.192/": "reserved",
    # and in other notations
    "http://2130706433/": "four decimal",
    "http://0x7f000001/": "four decimal",
    "http://0x7f.0.0.1/": "four decimal",
    "http://0177.0.0.1/": "four decimal",
    "http://017700000001/": "four decimal",
    "http://127.1/": "four decimal",
    "http://127.0.1/": "four decimal",
    "http://1.2.3.4.5/": "four decimal",
    "http://256.0.0.1/": "four decimal",
    "http://0/": "four decimal",
    "http://0x/": "four decimal",
    "http://127.0.0.1./": "loopback",
    "http://\uff11\uff12\uff17.0.0.1/": "loopback",  # full-width digits
    "http://127\u30020\u30020\u30021/": "loopback",  # ideographic dots
    "http://\u2460\u2461\u2466.0.0.1/": "loopback",  # digits in circles
    "http://localhost/": "loopback",
    "http://LOCALHOST/": "loopback",
    "http://localhost./": "loopback",
    "http://a.localhost/": "loopback",
    "http://loc\u00adalhost/": "character",  # a soft hyphen, which UTS 46 would drop
    "http://\u24db\u24de\u24d2alhost/": "loopback",  # letters in circles
    "http://%6c%6fcalhost/": "name",
    # IPv6
    "http://[::1]/": "loopback",
    "http://[0:0:0:0:0:0:0:1]/": "loopback",
    "http://[::]/": "unspecified",
    "http://[::ffff:127.0.0.1]/": "another form",
    "http://[::ffff:7f00:1]/": "another form",
    "http://[::ffff:8.8.8.8]/": "another form",
    "http://[::127.0.0.1]/": "another form",
    "http://[::ffff:0:127.0.0.1]/": "another form",
    "http://[64:ff9b::7f00:1]/": "another form",
    "http://[64:ff9b:1::1]/": "another form",
    "http://[2002:7f00:1::]/": "6to4",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/": "Teredo",
    "http://[fe80::1]/": "link-local",
    "http://[fe80::1%25eth0]/": "zone",
    "http://[::1%lo]/": "zone",
    "http://[fc00::1]/": "private",
    "http://[fd00:ec2::254]/": "private",
    "http://[fec0::1]/": "private",
    "http://[ff02::1]/": "multicast",
    "http://[2001:db8::1]/": "documentation",
    "http://[3fff::1]/": "documentation",
    "http://[100::1]/": "reserved",
    "http://[4000::1]/": "reserved",
    "http://[v1.x]/": "read|IPv6",
}
"""URLs, and a word of why each is refused."""

ACCEPTED_URLS = [
    "https://example.org",
    "https://example.org/hook?x=1#y",
    "HTTPS://EXAMPLE.ORG/Hook",
    "http://example.org:8080/",
    "https://example.org:8443/",
    "https://example.org.:443/",
    "https://b\u00fccher.example/",
    "https://xn--bcher-kva.example/",
    "https://a_b.example.org/",
    "https://1.1.1.1/",
    "https://[2606:4700:4700::1111]/",
    "https://intranet/",  # its addresses are checked when it is resolved
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_a_url_that_leads_where_nothing_is_sent(url):
    with pytest.raises(Invalid, match=REFUSED_URLS[url]) as caught:
        PUBLIC.check_url(url)
    assert caught.value.errors == {"target": [caught.value.detail]}


@pytest.mark.parametrize("url", ACCEPTED_URLS)
def test_a_url_that_may_be_used(url):
    PUBLIC.check_url(url)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00::1"]
)
def test_a_public_address_on_a_usual_port(address):
    for port in (80, 443, 8080, 8443):
        PUBLIC.check_address(address, port)
    with pytest.raises(Forbidden, match=f"port 25 of {address}.*{SETTING}"):
        PUBLIC.check_address(address, 25)


@pytest.mark.parametrize("address", ["fe80::1%eth0", "1.1.1.1%lo", "localhost", "", "1.1.1"])
def test_what_is_no_plain_address_is_refused(address):
    with pytest.raises(Forbidden, match=SETTING):
        Destinations.parse("0.0.0.0/0:*,::/0").check_address(address, 443)


def addresses():
    """More of what lies near the edges of the special ranges than chance would give."""
    edges = [
        int(edge) + step
        for text in ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
                     "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4")
        for edge in (ipaddress.ip_network(text)[0], ipaddress.ip_network(text)[-1])
        for step in (-1, 0, 1)
    ]  # fmt: skip
    v4 = st.sampled_from(edges).map(ipaddress.IPv4Address) | st.ip_addresses(v=4)
    return v4 | st.ip_addresses(v=6)


@given(addresses())
def test_nothing_passes_that_the_standard_library_knows_not_to_be_public(address):
    if PUBLIC.admits(str(address), 443):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:{}", "::{}", "64:ff9b::{}", "::ffff:0:{}"]))
def test_no_wrapped_address_passes(address, form):
    assert not PUBLIC.admits(form.format(address), 443)


@given(addresses(), st.integers(1, 65535))
def test_a_url_with_an_address_is_judged_as_the_address(address, port):
    host = f"[{address}]" if address.version == 6 else str(address)
    try:
        PUBLIC.check_url(f"http://{host}:{port}/")
        passed = True
    except Invalid:
        passed = False
    assert passed == PUBLIC.admits(str(address), port)


@pytest.mark.parametrize(
    ("setting", "address", "port", "passes"),
    [
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.0.0.0/8", "10.1.2.3", 9000, False),
        ("10.0.0.0/8", "192.168.0.1", 443, False),
        ("10.1.2.3:9000", "10.1.2.3", 9000, True),
        ("10.1.2.3:9000", "10.1.2.3", 443, False),
        ("10.1.2.3:9000", "10.1.2.4", 9000, False),
        ("10.0.0.0/8, 10.1.2.3:9000", "10.1.2.3", 443, True),
        ("127.0.0.0/8:*", "127.0.0.1", 40001, True),
        ("[fd00::/8]:9000", "fd00::1", 9000, True),
        ("fd00::/8", "fd00::1", 443, True),
        ("[fd00::1]", "fd00::1", 80, True),
        ("::1", "::1", 80, True),
        ("127.0.0.0/8", "::ffff:127.0.0.1", 443, False),
        ("1.1.1.1:9000", "1.1.1.1", 9000, True),
        ("1.1.1.1:9000", "1.1.1.1", 443, True),
        ("64:ff9b::/96", "64:ff9b::1.1.1.1", 443, True),  # an IPv6 network that translates
        ("64:ff9b::/96", "64:ff9b::10.0.0.1", 443, False),
        ("64:ff9b::/96,10.0.0.0/8", "64:ff9b::10.0.0.1", 443, True),
    ],
)
def test_the_operator_allows_networks_and_ports(setting, address, port, passes):
    assert Destinations.parse(setting).admits(address, port) == passes


def test_a_port_that_the_operator_lists_may_stand_in_a_url():
    allowed = Destinations.parse("10.1.2.3:9000")
    allowed.check_url("http://inside.example.org:9000/")
    allowed.check_url("http://10.1.2.3:9000/")
    for url in ("http://inside.example.org:9001/", "http://10.1.2.4:9000/", "http://10.1.2.3/"):
        with pytest.raises(Invalid):
            allowed.check_url(url)
    Destinations.parse("::1").check_url("http://localhost/")


@pytest.mark.parametrize(
    "setting",
    [
        "10.0.0.0/33",
        "10.0.0.1/8",
        "example.org",
        "10.0.0.0/8:0",
        "10.0.0.0/8:99999",
        "10.0.0.0/8:x",
        "[fd00::/8",
        "*",
    ],
)
def test_a_setting_that_cannot_be_used_is_named(setting):
    with pytest.raises(Invalid) as caught:
        Destinations.parse(f"172.16.0.0/12,{setting}")
    assert caught.value.detail.startswith("entry 2 is no network")


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        ("ada@example.org", "ada@example.org"),
        ("ada+cve@mail.example.org", "ada+cve@mail.example.org"),
        ("ada@b\u00fccher.example", "ada@xn--bcher-kva.example"),
        ("o'neil@example.org", "o'neil@example.org"),
        ("root@localhost", "root@localhost"),
    ],
)
def test_a_plain_mail_address(address, sent):
    assert mail_address(address) == sent


@pytest.mark.parametrize(
    "address",
    [
        "", "ada", "@example.org", "ada@", "ada@@example.org", "a@b@c", "ada@example.org, eve@example.org",
        "Ada <ada@example.org>", "ada@example.org\r\nBcc: eve@example.org", "ada@exa mple.org", '"a b"@example.org',
        "ada@[127.0.0.1]", "ada(eve)@example.org", ".ada@example.org", "ada..b@example.org", "\u00e4da@example.org",
        "ada@-example.org", "a" * 250 + "@example.org", "ada@example.org\x00", "ada@example.org;eve@example.org",
    ],
)  # fmt: skip
def test_anything_else_is_no_mail_address(address):
    with pytest.raises(Invalid) as caught:
        check_mail_address(address)
    assert "target" in caught.value.errors


@given(st.text() | st.text().map(lambda host: f"https://{host}/"))
def test_no_text_breaks_the_rules(text):
    for rule in (PUBLIC.check_url, check_mail_address):
        with contextlib.suppress(Invalid):
            rule(text)
