"""P15: a full disk is clean: a problem document, no corruption, and everything works again when there is room."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from shared.models.base import Base
from tests.faults import load
from tests.faults.bench import Bench, Client
from tests.faults.figures import Figure

MEGABYTES = {"sqlite": 16, "postgresql": 160}
"""The size of the file system; PostgreSQL wants some for itself."""
BALLAST = "ballast"
ROOM = 512 * 1024
"""What is left when the ballast is in, in bytes: enough for some writes."""


@contextmanager
def small_disk(kind: str) -> Iterator[Path]:
    """A file system of a few MB. Raises PermissionError where nobody may mount one."""
    folder = Path(tempfile.mkdtemp(prefix="vedette-disk-"))
    options = ["-t", "tmpfs", "-o", f"size={MEGABYTES[kind]}m,mode=755", "vedette-faults"]
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        folder.rmdir()
        raise PermissionError(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)
        with suppress(OSError):
            folder.rmdir()


def full_and_freed(bench: Bench, size: int) -> Iterator[Figure]:
    """`size` times: fill the disk of the database under load, look, free it, and work again."""
    assert bench.home is not None, "the database of this bench lies on a small disk"
    _, client = bench.api()
    bench.scheduler()
    worker = bench.worker()
    refused, worked, sick = 0, 0, ""
    with bench.supervised(worker):
        for _ in range(size):
            before = _refusals(bench)
            _fill(bench.home)
            bench.journal.note("disk full")
            with load.load([client], people=2, pause=0.02):
                refused += bench.until(lambda n=before: _refusals(bench) > n, 60.0)
                time.sleep(1.0)
            (bench.home / BALLAST).unlink()
            bench.journal.note("disk freed")
            _revive(bench)
            worked += bench.until(lambda: _works(bench, client), 60.0)
            sick = sick or _sickness(bench)
    ended = bench.drain()
    verdict = load.judge(bench)
    problems = [each for each in bench.journal.of("answer") if each["status"] >= 500]
    plain = [each for each in problems if each["type"] != load.PROBLEM]
    yield Figure(
        "P15",
        "problem+json, no corruption, recovers when freed",
        f"{size} times full, database on {MEGABYTES[bench.kind]} MB, {verdict.acknowledged} writes acknowledged",
        f"{len(problems)} writes refused, {len(plain)} without a problem document, {len(verdict.lost)} lost, "
        f"{verdict.unended} runs stuck; works again {worked} of {size} times; integrity {sick or 'ok'}",
        ended and verdict.kept and not plain and not sick and refused == worked == size,
        "; ".join(verdict.wrong[:2]),
    )


def _fill(home: Path) -> None:
    """Put a file into the rest of the disk, but for a little."""
    free = os.statvfs(home).f_bavail * os.statvfs(home).f_frsize
    with (home / BALLAST).open("wb") as file:
        for _ in range(max(0, free - ROOM) // 65536):
            file.write(b"\0" * 65536)


def _refusals(bench: Bench) -> int:
    return len([each for each in bench.journal.of("answer") if each["status"] >= 500])


def _works(bench: Bench, client: Client) -> bool:
    answer = client.call("POST", "/assets", {"name": f"after {time.time()}", "kind": "application"})
    return answer is not None and answer.status_code == 201


def _revive(bench: Bench) -> None:
    """A PostgreSQL that could not write its log ends itself; whoever runs it starts it again."""
    if bench.postgres is not None and not bench.postgres.running():
        bench.journal.note("database started")
        bench.postgres.start()


def _sickness(bench: Bench) -> str:
    """What is wrong with the database; empty when nothing is."""
    check: dict[str, Callable[[sa.Connection], str]] = {"sqlite": _integrity, "postgresql": _every_row}
    with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        return check[bench.kind](connection)


def _integrity(connection: sa.Connection) -> str:
    answer = str(connection.exec_driver_sql("PRAGMA integrity_check").scalar())
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return "" if answer == "ok" and not broken else f"{answer} {broken[:2]}"


def _every_row(connection: sa.Connection) -> str:
    """Read everything, whose pages have checksums, and make every index anew."""
    try:
        for table in Base.metadata.sorted_tables:
            connection.execute(sa.select(table)).all()
        connection.execute(sa.text("REINDEX SCHEMA public"))
    except DBAPIError as error:
        return str(error.orig)
    return ""
