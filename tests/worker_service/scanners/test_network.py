import io
import shutil

import pytest
import structlog

from shared import database, hosts
from shared.errors import Permanent, Transient
from shared.models.scan import ScannerKind
from shared.nmap import report
from shared.targets import TargetError
from tests.builders import add_scan
from tests.shared.nmap.samples import OPENSSH, host, port, whole
from worker_service.clients import nmap
from worker_service.scanners import network as scanner
from worker_service.tasks import Work


@pytest.fixture
def scan(sessions):
    def scan(**options):
        with database.transaction(sessions) as session:
            return add_scan(session, ScannerKind.NETWORK, options=options)

    return scan


@pytest.fixture
def never(monkeypatch):
    """nmap, which must not run."""

    def scan(*_):
        raise AssertionError("nmap was started")

    monkeypatch.setattr(nmap, "scan", scan)


@pytest.fixture
def resolver(monkeypatch):
    names = {}
    monkeypatch.setattr(scanner, "resolve", names.__getitem__)
    return names


@pytest.mark.parametrize(
    "target",
    [
        "10.0.0.1",
        "127.0.0.1-128.0.0.0",
        "::2",
        "::ffff:10.0.0.1",
        "0.0.0.0",
        "fe80::1",
        "rebinding.example.org",
    ],
)
def test_an_address_outside_the_allowance_is_refused_and_logged(work, scan, never, resolver, target):
    resolver["rebinding.example.org"] = ["127.0.0.1", "169.254.169.254"]
    wide = Work(
        work.task_id, work.epoch, work.sessions, work.settings.with_changes(scan_max_addresses=20_000_000)
    )
    given = "127.255.255.0-128.0.0.0" if target == "127.0.0.1-128.0.0.0" else target
    with (
        structlog.testing.capture_logs() as logs,
        pytest.raises(Permanent, match="VEDETTE_SCAN_ALLOWED_TARGETS") as refused,
    ):
        scanner.collect(wide, scan(targets=["127.0.0.1", given]))
    (entry,) = [each for each in logs if each["event"] == "scan_target_refused"]
    assert entry["address"] in refused.value.detail
    assert entry["setting"] == "VEDETTE_SCAN_ALLOWED_TARGETS"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"targets": ["127.0.0.0/8"]}, "VEDETTE_SCAN_MAX_ADDRESSES"),
        ({"targets": ["-oN/tmp/x"]}, "targets.0"),
        ({"targets": ["127.0.0.1"], "ports": "--script vuln"}, "ports"),
        ({"targets": ["127.0.0.1"], "script": "vuln"}, "unknown field"),
    ],
)
def test_options_that_got_past_the_api_are_refused_here(work, scan, never, options, why):
    with pytest.raises(Permanent, match=why):
        scanner.collect(work, scan(**options))


def test_without_targets_and_without_a_report_there_is_nothing_to_scan(work, scan, never):
    with pytest.raises(Permanent, match="name targets, or PUT a report"):
        scanner.collect(work, scan())


def test_without_targets_what_was_uploaded_is_matched(work, sessions, scan, never):
    the_scan = scan()
    told = report.read(io.BytesIO(whole(host("192.0.2.7", port(22, service=OPENSSH)))), 10**6)
    with database.transaction(sessions) as session:
        hosts.record(session, the_scan.asset_id, told)
    collected = scanner.collect(work, the_scan)
    assert [each.name for each in collected.components] == ["OpenSSH", "linux kernel"]
    with database.transaction(sessions) as session:
        assert collected.keep(session) is None


def test_without_nmap_it_fails_with_what_to_install(work, scan, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Permanent, match="apt-get install nmap"):
        scanner.collect(work, scan(targets=["127.0.0.1"]))


@pytest.mark.parametrize("option", [{"udp": True}, {"os": True}, {"technique": "syn"}])
def test_what_the_worker_may_not_do_fails_and_says_what_it_needs(work, scan, never, monkeypatch, option):
    monkeypatch.setattr(nmap, "may_use_raw_sockets", lambda: False)
    with pytest.raises(Permanent, match="CAP_NET_RAW"):
        scanner.collect(work, scan(targets=["127.0.0.1"], **option))


class Played:
    """nmap's answers, played back; what it was asked is kept."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.asked = []

    def __call__(self, arguments, addresses, seconds, checkpoint):
        self.asked.append((arguments, list(addresses), seconds))
        outcome = self.outcomes.pop(0)
        checkpoint(len(outcome.report.hosts))
        return outcome


def told(*hosts, reason=""):
    read = report.read(io.BytesIO(whole(*hosts)), 10**6)
    return nmap.Outcome(read, reason)


@pytest.fixture
def play(monkeypatch):
    if shutil.which("nmap") is None:
        pytest.skip("nmap is not installed")

    def play(*outcomes):
        played = Played(*outcomes)
        monkeypatch.setattr(nmap, "scan", played)
        return played

    return play


def test_both_kinds_of_addresses_are_scanned_and_only_checked_ones(work, scan, play, resolver):
    resolver["db.example.org"] = ["127.0.0.2", "::1"]
    played = play(told(host("127.0.0.2", port(22, service=OPENSSH))), told())
    scanner.collect(work, scan(targets=["db.example.org", "127.0.0.9"]))
    assert [addresses for _, addresses, _ in played.asked] == [["127.0.0.2", "127.0.0.9"], ["::1"]]
    assert ["-6" in arguments for arguments, *_ in played.asked] == [False, True]


def test_of_hosts_that_nobody_asked_for_nothing_is_believed(work, sessions, scan, play):
    play(told(host("127.0.0.2", port(22, service=OPENSSH)), host("192.0.2.66", port(22, service=OPENSSH))))
    collected = scanner.collect(work, scan(targets=["127.0.0.2"]))
    assert {each.host for each in collected.components} == {"127.0.0.2"}


def test_hosts_that_were_done_when_the_time_was_up_count_and_the_others_are_named(work, sessions, scan, play):
    play(told(host("127.0.0.2", port(22, service=OPENSSH)), reason="nmap was stopped after 5 s"))
    collected = scanner.collect(work, scan(targets=["127.0.0.2-4"]))
    assert {each.host for each in collected.components} == {"127.0.0.2"}
    with database.transaction(sessions) as session:
        kept = collected.keep(session)
    assert (kept["up"], kept["unfinished"], kept["reason"]) == (1, 2, "nmap was stopped after 5 s")
    assert kept["names"]["unfinished"] == ["127.0.0.3", "127.0.0.4"]


def test_nmap_that_fails_before_any_host_is_done_is_tried_again(work, scan, play):
    play(told(reason="nmap ended with code 1: out of sockets"))
    with pytest.raises(Transient, match="out of sockets"):
        scanner.collect(work, scan(targets=["127.0.0.2"]))


def test_a_name_that_does_not_exist_is_no_target():
    with pytest.raises(TargetError, match="cannot be resolved"):
        scanner.resolve("nonsense.invalid")


def test_names_are_resolved_to_all_their_addresses():
    assert "127.0.0.1" in scanner.resolve("localhost")
