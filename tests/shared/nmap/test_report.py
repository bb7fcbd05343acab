import gzip
import io

import pytest

from shared.nmap import report
from shared.nmap.ports import Ports
from shared.nmap.report import ReportError, ReportTooLarge
from tests.shared.nmap.samples import HEAD, NGINX, OPENSSH, extraports, host, port, whole

LIMIT = 64_000_000


def read(document, limit=LIMIT):
    return report.read(io.BytesIO(document), limit)


def test_a_report_is_read():
    found = read(
        whole(
            host(
                "127.0.0.2", port(22, service=OPENSSH), port(80, "closed"), extra=extraports("closed", "443")
            ),
            host("127.0.0.3", state="down"),
        )
    )
    assert (found.version, found.finished, found.scanned) == (
        "7.93",
        True,
        {"tcp": Ports(((22, 22), (80, 80), (443, 443)))},
    )
    up, down = found.hosts
    assert (up.address, up.up, up.observed, down.address, down.up) == (
        "127.0.0.2",
        True,
        True,
        "127.0.0.3",
        False,
    )
    ssh, _ = up.ports
    assert (ssh.label, ssh.state, ssh.service.product, ssh.service.version) == (
        "22/tcp",
        "open",
        "OpenSSH",
        "7.2p2 Ubuntu 4ubuntu2.8",
    )
    assert ssh.service.cpes == ("cpe:/a:openbsd:openssh:7.2p2", "cpe:/o:linux:linux_kernel")
    assert [up.is_closed("tcp", number) for number in (22, 80, 443)] == [False, True, True]


def test_hints_at_hosts_are_no_hosts():
    hint = '<hosthint><status state="up"/><address addr="127.0.0.9" addrtype="ipv4"/></hosthint>'
    assert [each.address for each in read(whole(hint, host("127.0.0.2"))).hosts] == ["127.0.0.2"]


def test_a_host_that_nmap_gave_up_on_was_not_observed():
    (found,) = read(whole(host("127.0.0.2", attributes='timedout="true"'))).hosts
    assert (found.up, found.timed_out, found.observed) == (True, True, False)


@pytest.mark.parametrize(
    ("extra", "closed"),
    [
        (extraports("closed"), True),
        (extraports("filtered"), False),
        (extraports("closed") + extraports("filtered"), False),
        (extraports("closed", "443") + extraports("filtered", "80"), True),
        (extraports("closed", "80") + extraports("filtered", "443"), False),
        ("", False),
    ],
)
def test_what_is_not_listed_is_closed_only_when_that_is_told(extra, closed):
    (found,) = read(whole(host("127.0.0.2", extra=extra))).hosts
    assert found.is_closed("tcp", 443) is closed


def test_hosts_are_told_as_they_end():
    told = []
    reader = report.Reader(lambda each: told.append(each.address))
    document = whole(host("127.0.0.2"), host("127.0.0.3"))
    half = document.index(b"127.0.0.3")
    reader.feed(document[:half])
    assert told == ["127.0.0.2"]
    for index in range(half, len(document)):
        reader.feed(document[index : index + 1])
    assert told == ["127.0.0.2", "127.0.0.3"]
    assert reader.close().finished


def test_a_packed_report_is_read():
    document = gzip.compress(whole(host("127.0.0.2", port(80, service=NGINX))))
    assert read(document).hosts[0].ports[0].service.product == "nginx"


def test_texts_are_cleaned_and_short():
    service = f'<service name="x" product="a&#10;b&#x202e;c" version="{"9" * 9000}"/>'
    (found,) = read(whole(host("127.0.0.2", port(80, service=service)))).hosts
    assert found.ports[0].service.product == "a b\ufffdc"
    assert len(found.ports[0].service.version) == report.MAX_TEXT


BOMB = (
    '<!DOCTYPE nmaprun [<!ENTITY a "lol">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]><nmaprun>&j;</nmaprun>"
)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", "ends too early"),
        (b"not XML", "malformed"),
        (b'{"bomFormat": "CycloneDX"}', "malformed"),
        (b"<html></html>", "outermost element is <html>"),
        (b"<!DOCTYPE html><html></html>", "document type is html"),
        (b'<bom xmlns="http://cyclonedx.org/schema/bom/1.6"/>', "outermost element is <bom>"),
        (BOMB.encode(), "document type declaration other than"),
        (b'<!DOCTYPE nmaprun SYSTEM "file:///etc/passwd"><nmaprun/>', "document type declaration other than"),
        (
            b'<!DOCTYPE nmaprun [<!ENTITY x SYSTEM "file:///etc/passwd">]><nmaprun>&x;</nmaprun>',
            "document type declaration",
        ),
        (b"<!DOCTYPE nmaprun [<!ENTITY % x 'y'> %x;]><nmaprun/>", "document type declaration"),
        (b"<!DOCTYPE nmaprun><nmaprun>&x;</nmaprun>", "malformed: undefined entity"),
        (whole(host("127.0.0.2"))[:-200], "ends too early"),
        (HEAD.encode() + b"</nmaprun>", "no <finished>"),
        (whole(foot='<runstats><finished exit="error"/></runstats></nmaprun>'), "no <finished>"),
        (whole(host("no address")), "is no address"),
        (whole(host("127.0.0.2", port("many"))), "is no port"),
        (whole(scaninfo='<scaninfo protocol="tcp" services="1-99999"/>'), "not within 1 to 65535"),
        (HEAD.encode() + b"<a>" * 100, "nests them too deep"),
        (
            HEAD.encode() + b"".join(b"<n%d/>" % number for number in range(1100)),
            "too many kinds of elements",
        ),
        (gzip.compress(whole())[:-20], "gzip stream ends too early"),
        (gzip.compress(whole()) + b"more", "follows the gzip stream"),
        (b"\x1f\x8b nonsense", "cannot be unpacked"),
        (HEAD.encode("utf-16").replace(b"UTF-8", b"UTF-8") + b"\xff", "malformed"),
        (b'<?xml version="1.0" encoding="klingon"?><nmaprun/>', "cannot be read|malformed"),
    ],
)
def test_what_is_no_finished_report_is_refused_with_place_and_reason(document, why):
    with pytest.raises(ReportError, match=why) as refused:
        read(document)
    assert refused.value.where


def test_a_bomb_is_refused_before_it_goes_off():
    zeros = gzip.compress(HEAD.encode() + b" " * 40_000_000)
    assert len(zeros) * 100 < 40_000_000
    with pytest.raises(ReportTooLarge, match="100 times its size"):
        read(zeros)
    with pytest.raises(ReportTooLarge, match="unpacks to more"):
        read(zeros, 1_000_000)
    with pytest.raises(ReportTooLarge, match="larger than"):
        read(HEAD.encode() + b" " * 2_000_000, 1_000_000)


def test_one_endless_tag_is_refused():
    with pytest.raises(ReportError, match="longer than 1 MB"):
        read(HEAD.encode() + b'<host x="' + b"a" * 5_000_000)


def test_more_hosts_or_ports_than_any_network_has_are_refused(monkeypatch):
    monkeypatch.setattr(report, "MAX_HOSTS", 2)
    monkeypatch.setattr(report, "MAX_PORTS", 3)
    with pytest.raises(ReportError, match="more than 2 hosts"):
        read(whole(*(host(f"127.0.0.{number}") for number in range(1, 4))))
    with pytest.raises(ReportError, match="more than 3 ports"):
        read(whole(host("127.0.0.1", *(port(number) for number in range(1, 5)))))


@pytest.mark.parametrize(("name", "up"), [("dionaea_scan", 1), ("fullscan", 2), ("full_sudo6", 4)])
def test_real_reports_are_read(data_dir, name, up):
    with (data_dir / "nmap" / f"{name}.xml").open("rb") as file:
        found = report.read(file, LIMIT)
    assert sum(each.observed for each in found.hosts) == up
    assert found.scanned["tcp"]
    assert any(each.ports for each in found.hosts)


def test_every_cut_of_a_report_is_refused_or_unfinished():
    document = whole(host("127.0.0.2", port(22, service=OPENSSH)))
    for end in range(0, len(document) - len(b"</nmaprun>\n"), 7):
        with pytest.raises(ReportError):
            read(document[:end])
