import pytest

from shared.matching.certainty import Certainty
from shared.nmap import report
from shared.nmap.components import ALSO_KNOWN_AS, components, distribution, names
from shared.nmap.report import Host, OsMatch, Port, Service

LIKELY, POSSIBLE = Certainty.LIKELY, Certainty.POSSIBLE


def found(*services, os_matches=(), state="open"):
    ports = tuple(Port("tcp", number, state, service) for number, service in enumerate(services, 1))
    return components(Host("192.0.2.7", up=True, ports=ports, os_matches=tuple(os_matches)))


def service(product="", version="", extra="", *cpes):
    return Service("x", product, version, extra, cpes)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("cpe:/a:openbsd:openssh:7.2p2", "cpe:2.3:a:openbsd:openssh:7.2:p2:*:*:*:*:*:*"),
        ("cpe:/a:openbsd:openssh:9.6", "cpe:2.3:a:openbsd:openssh:9.6:*:*:*:*:*:*:*"),
        ("cpe:/a:ntp:ntp:4.2.8p10", "cpe:2.3:a:ntp:ntp:4.2.8:p10:*:*:*:*:*:*"),
        ("cpe:/a:proftpd:proftpd:1.3.5rc3", "cpe:2.3:a:proftpd:proftpd:1.3.5:rc3:*:*:*:*:*:*"),
        ("cpe:/a:openssl:openssl:1.0.1f", "cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*"),
        ("cpe:/a:apache:http_server:2.2.22", "cpe:2.3:a:apache:http_server:2.2.22:*:*:*:*:*:*:*"),
        ("cpe:/o:microsoft:windows_7::sp1", "cpe:2.3:o:microsoft:windows_7:*:sp1:*:*:*:*:*:*"),
        ("cpe:2.3:a:openbsd:openssh:7.2p2:*:*:*:*:*:*:*", "cpe:2.3:a:openbsd:openssh:7.2:p2:*:*:*:*:*:*"),
    ],
)
def test_a_name_is_written_as_the_nvd_writes_it(text, first):
    assert names(text)[0] == first


@pytest.mark.parametrize("text", ["", "openssh", "cpe:/", "cpe:/x:y", "cpe:/a:b:c:%zz", "cpe:/a:b c:d"])
def test_what_is_no_name_is_passed_over(text):
    assert names(text) == () or text == "cpe:/"
    found(service("nginx", "1.2", "", text))


def test_a_product_has_the_names_that_the_nvd_files_it_under():
    assert [name.split(":")[3] for name in names("cpe:/a:igor_sysoev:nginx:1.18.0")] == [
        "igor_sysoev",
        "f5",
        "nginx",
    ]
    for key, others in ALSO_KNOWN_AS.items():
        assert all(each.split(":")[0] == "a" and each != key for each in others)


@pytest.mark.parametrize(
    ("banner", "name"),
    [
        ("OpenSSH 7.2p2 Ubuntu 4ubuntu2.8", "Ubuntu"),
        ("OpenSSH 9.2p1 Debian 2+deb12u1", "Debian"),
        ("Exim smtpd 4.96-15+deb12u4", "Debian"),
        ("Samba 4.9.1-10.el8", "Red Hat"),
        ("PostgreSQL 13.11-1.el9_2", "Red Hat"),
        ("Apache httpd 2.4.6 ((CentOS) OpenSSL/1.0.2k-fips)", "Red Hat"),
        ("nginx 1.24.0 (Fedora)", "Fedora"),
        ("ProFTPD 1.3.5-1.fc38", "Fedora"),
        ("Postfix smtpd (SUSE)", "SUSE"),
        ("OpenSSH 7.4 (amzn2)", "Amazon Linux"),
        ("OpenSSH 7.9 (FreeBSD 20200214; protocol 2.0)", "FreeBSD"),
        ("OpenSSH 8.9p1 Raspbian 5+deb11u1", "Debian"),
        ("OpenSSH 9.6p1 (protocol 2.0)", ""),
        ("nginx 1.18.0", ""),
        ("Elastic 7.2 (model 19)", ""),
        ("Dell el9000 web", ""),
        ("Microsoft IIS httpd 10.0", ""),
    ],
)
def test_distributions_are_known_by_their_marks(banner, name):
    assert distribution(banner) == name


def test_a_banner_is_likely_and_one_of_a_distribution_possible_with_the_reason():
    plain, packaged = found(
        service("OpenSSH", "9.6p1", "protocol 2.0", "cpe:/a:openbsd:openssh:9.6p1"),
        service("OpenSSH", "7.2p2 Ubuntu 4ubuntu2.8", "", "cpe:/a:openbsd:openssh:7.2p2"),
    )
    assert (plain.at_most, plain.version, plain.host, plain.port) == (LIKELY, "9.6p1", "192.0.2.7", "1/tcp")
    assert plain.because == "all that is known of it is the banner 'OpenSSH 9.6p1'"
    assert (packaged.at_most, packaged.version) == (POSSIBLE, "7.2p2")
    assert "names Ubuntu, which mends faults without changing the version" in packaged.because


def test_what_a_banner_names_beside_itself_is_a_component_too():
    found_here = found(
        service(
            "Apache httpd", "2.2.22", "(Unix) PHP/5.3.10 OpenSSL/1.0.1e", "cpe:/a:apache:http_server:2.2.22"
        ),
        service("SimpleHTTPServer", "0.6", "Python 3.11.7", "cpe:/a:python:simplehttpserver:0.6"),
    )
    assert {(each.name, each.version, each.cpes[0].split(":")[4]) for each in found_here} == {
        ("Apache httpd", "2.2.22", "http_server"),
        ("PHP", "5.3.10", "php"),
        ("OpenSSL", "1.0.1e", "openssl"),
        ("SimpleHTTPServer", "0.6", "simplehttpserver"),
        ("Python", "3.11.7", "python"),
    }


def test_remarks_that_change_with_the_time_are_not_part_of_the_reason():
    (one,), (other,) = (found(service("Memcached", "1.4", f"uptime {n} seconds")) for n in (1, 2))
    assert one == other


def test_a_service_of_which_nothing_is_known_is_no_component():
    assert found(service(), Service("http")) == []
    assert found(service("nginx", "1.2"), state="closed") == []


def test_an_operating_system_that_a_banner_names_is_told_once_without_a_version():
    linux = "cpe:/o:linux:linux_kernel:5"
    systems = [
        each
        for each in found(
            service("A", "1", "", linux),
            service("B", "1", "", linux),
            os_matches=[OsMatch("Linux 5.X", 100, (linux,))],
        )
        if each.cpes and each.cpes[0].startswith("cpe:2.3:o")
    ]
    (system,) = systems
    assert (system.cpes, system.version, system.at_most, system.port) == (
        ("cpe:2.3:o:linux:linux_kernel:*:*:*:*:*:*:*:*",),
        "",
        POSSIBLE,
        "1/tcp",
    )


@pytest.mark.parametrize(
    ("matches", "told"),
    [
        (
            [
                OsMatch(
                    "Linux 4.15 - 5.6", 100, ("cpe:/o:linux:linux_kernel:4", "cpe:/o:linux:linux_kernel:5")
                )
            ],
            ["Linux 4.15 - 5.6"],
        ),
        ([OsMatch("Linux", 94, ("cpe:/o:linux:linux_kernel",))], []),
        (
            [
                OsMatch(
                    "Windows 7 or Vista",
                    100,
                    ("cpe:/o:microsoft:windows_7", "cpe:/o:microsoft:windows_vista"),
                )
            ],
            [],
        ),
        (
            [OsMatch("a", 96, ("cpe:/o:linux:linux_kernel",)), OsMatch("b", 99, ("cpe:/o:freebsd:freebsd",))],
            ["b"],
        ),
        ([OsMatch("nothing", 100)], []),
        ([], []),
    ],
)
def test_a_guess_at_the_operating_system_counts_when_it_is_sure_of_one(matches, told):
    systems = found(os_matches=matches)
    assert [each.name for each in systems] == told
    assert all(each.at_most is POSSIBLE and "guess" in each.because for each in systems)


def test_real_reports_give_components(data_dir):
    told = {}
    for path in sorted((data_dir / "nmap").glob("*.xml")):
        with path.open("rb") as file:
            for host in report.read(file, 64_000_000).hosts:
                told |= {(each.name, each.version): each for each in components(host)}
    assert told["OpenSSH", "5.9p1"].at_most is POSSIBLE
    assert told["MySQL", "5.7.16"].cpes[1] == "cpe:2.3:a:oracle:mysql:5.7.16:*:*:*:*:*:*:*"
    assert told["Memcached", "1.4.25"].at_most is LIKELY
    assert told["Microsoft SQL Server 2000", "8.00.528.00"]
