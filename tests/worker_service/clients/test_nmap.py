"""nmap as a process, the real one, on the loopback."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.errors import Cancelled, Permanent
from shared.nmap import options
from tests.banners import talker
from tests.builders import wait_for
from worker_service.clients import nmap

SLOW = {"targets": ["127.0.0.1"], "ports": "1-65535", "timing": "polite"}
"""Hours of work."""
MANY = [f"127.1.{third}.{last}" for third in range(4) for last in range(256)]


@pytest.fixture(autouse=True)
def installed():
    if shutil.which("nmap") is None:
        pytest.skip("nmap is not installed")


def arguments(**document):
    return options.arguments(options.read(document), ipv6=False, raw=False, host_seconds=900)


def nmaps(parent: int | None = None) -> list[int]:
    """The processes that a process started as nmap, dead ones that were not reaped included."""
    listing = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,comm="], capture_output=True, check=True, text=True
    ).stdout
    rows = [line.split(maxsplit=2) for line in listing.splitlines()]
    parent = parent or os.getpid()
    return [
        int(pid)
        for pid, started_by, name in rows
        if int(started_by) == parent and name.startswith(("nmap", "python"))
    ]


@pytest.fixture
def untouched():
    """What this process had started before."""
    before = set(nmaps())
    yield before
    assert set(nmaps()) <= before


def test_a_scan_is_followed_to_its_end(untouched):
    told = []
    with talker("127.0.0.5", b"SSH-2.0-OpenSSH_9.6\r\n") as port:
        outcome = nmap.scan(arguments(ports=str(port)), ["127.0.0.5", "127.0.0.6"], 120, told.append)
    assert (outcome.reason, outcome.report.finished) == ("", True)
    ssh, nothing = outcome.report.hosts
    assert (ssh.ports[0].service.product, ssh.ports[0].service.version) == ("OpenSSH", "9.6")
    assert nothing.is_closed("tcp", port)
    assert told[0] == 0


def test_addresses_of_ipv6_are_scanned(untouched):
    with talker("::1", b"SSH-2.0-OpenSSH_9.6\r\n") as port:
        found = options.arguments(options.read({"ports": str(port)}), ipv6=True, raw=False, host_seconds=900)
        (host,) = nmap.scan(found, ["::1"], 120, lambda _hosts: None).report.hosts
    assert (host.address, host.ports[0].service.version) == ("::1", "9.6")


def test_what_a_checkpoint_raises_ends_nmap_at_once(untouched):
    cancelled_at = []

    def cancel(_hosts):
        if set(nmaps()) - untouched and time.monotonic() > begun + 0.5:
            cancelled_at.append(time.monotonic())
            raise Cancelled("enough")

    begun = time.monotonic()
    with pytest.raises(Cancelled):
        nmap.scan(arguments(**SLOW), MANY, 600, cancel)
    assert set(nmaps()) == untouched
    assert cancelled_at


def test_when_the_time_is_up_the_hosts_that_are_done_count(untouched):
    outcome = nmap.scan(arguments(ports="1", timing="polite"), MANY, 6, lambda _hosts: None)
    assert "nmap was stopped after 6 s (VEDETTE_SCAN_SECONDS)" in outcome.reason
    assert not outcome.report.finished
    assert len(outcome.report.hosts) < len(MANY)
    assert all(host.observed for host in outcome.report.hosts)


def test_what_nmap_complains_about_is_told(untouched):
    outcome = nmap.scan(["--no-such-option"], ["127.0.0.1"], 60, lambda _hosts: None)
    assert outcome.reason.startswith("nmap ended with code 255: ")
    assert "no-such-option" in outcome.reason


def test_without_nmap_a_scan_fails_with_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Permanent, match="apt-get install nmap"):
        nmap.scan([], ["127.0.0.1"], 60, lambda _hosts: None)


def test_the_environment_of_the_worker_is_not_handed_on(tmp_path, monkeypatch):
    """NMAPDIR would let whoever sets it replace nmap's own files."""
    for name in ("NMAPDIR", "NMAP_ARGS", "VEDETTE_ADMIN_TOKEN", "HOME", "LD_PRELOAD"):
        monkeypatch.setenv(name, str(tmp_path))
    program = tmp_path / "nmap"
    program.write_text(f"#!/bin/sh\n/usr/bin/env > {tmp_path}/environment; pwd > {tmp_path}/folder\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = nmap.scan(["-n"], ["127.0.0.1"], 60, lambda _hosts: None)
    assert outcome.reason == "nmap ended with code 3"
    told = dict(line.split("=", 1) for line in (tmp_path / "environment").read_text().splitlines())
    assert set(told) - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "LC_ALL"}
    assert str(tmp_path) not in told["PATH"]
    assert (tmp_path / "folder").read_text() == "/\n"


WORKER = """
import sys
from worker_service.clients import nmap
nmap.scan(sys.argv[1:], ["127.0.0.1"], 600, lambda hosts: print(hosts, flush=True))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_nmap_does_not_outlive_a_worker_that_was_killed():
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, *arguments(**SLOW)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    try:
        (child,) = wait_for(lambda: [pid for pid in nmaps(worker.pid) if is_nmap(pid)], what="nmap to start")
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
    wait_for(lambda: not alive(child), 10, "nmap to end")


def is_nmap(pid: int) -> bool:
    return Path(f"/proc/{pid}/comm").read_text().strip() == "nmap"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_leash_lets_nothing_start_whose_parent_is_gone():
    ended = subprocess.run(
        [sys.executable, "-I", "-S", str(nmap._LEASH), "1", "/bin/echo", "started"],
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert b"the parent has ended" in ended.stderr
