"""A network scan from its run to its findings, with a real nmap, on services that the tests start on the loopback."""

import json
import shutil
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from shared import database
from shared.models.asset import Component
from shared.models.finding import Finding, FindingStatus
from shared.models.scan import Run, RunStatus, Scan, ScannerKind
from shared.models.task import TaskState
from shared.tasks import IMPORT_NVD_FEED, ask
from tests.banners import talker, web_server
from tests.builders import add_run, add_scan, read
from worker_service.handlers import scans
from worker_service.handlers.nvd.feeds import import_feed

SSH = b"SSH-2.0-OpenSSH_7.2p2 Ubuntu-4ubuntu2.8\r\n"
MAIL = b"220 mail.example.org ESMTP Exim 4.90 Mon, 23 Nov 2026 00:00:00 +0000\r\n"


@pytest.fixture(autouse=True)
def nmap():
    if shutil.which("nmap") is None:
        pytest.skip("nmap is not installed")


def record(cve_id, criteria, **bounds):
    match = {
        "vulnerable": True,
        "criteria": criteria,
        "matchCriteriaId": "0B6F9C1E-8F5B-4B57-9D0C-3A3D5A1C7E42",
        **bounds,
    }
    return {
        "cve": {
            "id": cve_id,
            "sourceIdentifier": "cve@mitre.org",
            "published": "2020-01-01T00:00:00.000",
            "lastModified": "2020-01-02T00:00:00.000",
            "vulnStatus": "Analyzed",
            "descriptions": [{"lang": "en", "value": "A fault."}],
            "configurations": [{"nodes": [{"operator": "OR", "negate": False, "cpeMatch": [match]}]}],
        }
    }


@pytest.fixture
def mirror(sessions, frame, tmp_path):
    """A mirror with faults of what the services claim to be."""
    any_version = "cpe:2.3:a:{}:*:*:*:*:*:*:*:*"
    records = [
        record("CVE-2016-10012", any_version.format("openbsd:openssh"), versionEndExcluding="7.4"),
        record("CVE-2016-6210", "cpe:2.3:a:openbsd:openssh:7.2:p2:*:*:*:*:*:*"),
        record(
            "CVE-2019-10149",
            any_version.format("exim:exim"),
            versionStartIncluding="4.87",
            versionEndIncluding="4.91",
        ),
        record("CVE-2099-0001", any_version.format("python:python"), versionStartIncluding="3.11"),
    ]
    feed = {"format": "NVD_CVE", "version": "2.0", "totalResults": len(records), "vulnerabilities": records}
    path = tmp_path / "feed.json"
    path.write_text(json.dumps({**feed, "timestamp": "2026-06-18T00:00:00.000"}))
    with database.transaction(sessions) as session:
        task_id = ask(session, IMPORT_NVD_FEED, path=str(path))
    frame.run(str(task_id), import_feed)
    assert read(sessions, task_id).state == TaskState.SUCCESS


@pytest.fixture
def scan(sessions):
    def scan(**options):
        with database.transaction(sessions) as session:
            return add_scan(session, ScannerKind.NETWORK, options=options)

    return scan


@pytest.fixture
def execute(frame, sessions):
    """Runs a scan once more and gives its run."""

    def execute(scan):
        with database.transaction(sessions) as session:
            run = add_run(session, session.get_one(Scan, scan.id))
        frame.run(str(run.task_id), scans.execute)
        with database.reading(sessions) as session:
            return session.get_one(Run, run.id)

    return execute


@pytest.fixture
def findings(sessions):
    def findings():
        with database.reading(sessions) as session:
            rows = session.scalars(sa.select(Finding).order_by(Finding.host, Finding.cve_id)).all()
            return {(row.host, row.port, row.cve_id): row for row in rows}

    return findings


def test_what_answers_is_found_matched_and_recorded_and_closed_when_it_is_gone(
    sessions, redis_url, mirror, scan, execute, findings
):
    redis = urlsplit(redis_url).port
    with ExitStack() as stack:
        ssh = stack.enter_context(talker("127.0.0.2", SSH))
        web = stack.enter_context(web_server("127.0.0.3"))
        with talker("127.0.0.2", MAIL) as mail:
            the_scan = scan(targets=["127.0.0.1-4"], ports=f"{ssh},{web},{mail},{redis}")
            first = execute(the_scan)
        assert (first.status, first.error) == (RunStatus.COMPLETED, None)
        network = first.network
        assert (network["up"], network["down"], network["unfinished"], network["closed"]) == (4, 0, 0, 0)
        assert network["names"]["opened"] == sorted(
            [
                f"127.0.0.1 {redis}/tcp",
                f"127.0.0.2 {ssh}/tcp",
                f"127.0.0.2 {mail}/tcp",
                f"127.0.0.3 {web}/tcp",
            ],
            key=lambda text: (text.split()[0], int(text.split()[1].split("/")[0])),
        )
        found = findings()
        assert {(*key, row.certainty, row.status) for key, row in found.items()} == {
            ("127.0.0.2", f"{ssh}/tcp", "CVE-2016-10012", "possible", "open"),
            ("127.0.0.2", f"{ssh}/tcp", "CVE-2016-6210", "possible", "open"),
            ("127.0.0.2", f"{mail}/tcp", "CVE-2019-10149", "likely", "open"),
            ("127.0.0.3", f"{web}/tcp", "CVE-2099-0001", "likely", "open"),
        }
        with database.reading(sessions) as session:  # of which nmap tells neither version nor CPE name
            told = session.scalars(sa.select(Component).where(Component.host == "127.0.0.1")).one()
        assert (told.name, told.port, told.version) == ("Redis key-value store", f"{redis}/tcp", None)
        backported = found["127.0.0.2", f"{ssh}/tcp", "CVE-2016-10012"]
        assert (
            "names Ubuntu, which mends faults without changing the version"
            in backported.evidence[0]["because"]
        )

        second = execute(the_scan)
        assert (second.network["opened"], second.network["names"]["closed"]) == (0, [f"127.0.0.2 {mail}/tcp"])
        assert (second.counts["new"], second.counts["fixed"]) == (0, 1)
    mended = findings()["127.0.0.2", f"{mail}/tcp", "CVE-2019-10149"]
    assert mended.status == FindingStatus.FIXED
    assert mended.id == found["127.0.0.2", f"{mail}/tcp", "CVE-2019-10149"].id
