"""Network scans on the real parts: cancelled in the middle, their worker killed, and one that runs by its schedule."""

import datetime as dt
import random
import shutil

import pytest
import sqlalchemy as sa

from shared import database
from shared.models.asset import Host
from shared.models.scan import Run, RunStatus, ScannerKind
from tests.banners import talker
from tests.builders import add_scan, wait_for
from tests.faults.network import Torment

CANCELS = 3


@pytest.fixture(autouse=True)
def nmap():
    if shutil.which("nmap") is None:
        pytest.skip("nmap is not installed")


def test_a_cancel_leaves_no_nmap_behind(sessions, worker, scheduler):
    """`python -m tests.faults.network` does it 50 times, and tells how long it took."""
    scheduler()
    torment = Torment(sessions, worker, random.Random(7))
    the_worker = worker()
    for _ in range(CANCELS):
        torment.cancel(the_worker)
    assert torment.findings() == 0


def test_a_killed_worker_takes_its_nmap_with_it(sessions, worker, scheduler):
    scheduler()
    torment = Torment(sessions, worker, random.Random(7))
    torment.kill()


def test_a_weekly_scan_runs_when_it_is_due_and_is_due_again_in_a_week(sessions, worker, scheduler):
    with talker("127.0.0.2", b"SSH-2.0-OpenSSH_9.6\r\n") as port:
        with database.transaction(sessions) as session:
            scan = add_scan(
                session,
                ScannerKind.NETWORK,
                options={"targets": ["127.0.0.2"], "ports": str(port)},
                cron="0 3 * * 0",
                timezone="Europe/Berlin",
                next_run_at=database.now(session) - dt.timedelta(minutes=1),
            )
        worker()
        scheduler()

        def ended():
            with database.reading(sessions) as fresh:
                run = fresh.scalar(sa.select(Run).where(Run.scan_id == scan.id))
                return run if run is not None and run.ended_at is not None else None

        run = wait_for(ended, what="the scheduled run")
    assert (run.status, run.trigger, run.network["up"]) == (RunStatus.COMPLETED, "schedule", 1)
    with database.reading(sessions) as session:
        assert session.scalar(sa.select(Host.address)) == "127.0.0.2"
        fresh = session.get_one(type(scan), scan.id)
        assert fresh.next_run_at - database.now(session) > dt.timedelta(hours=1)
