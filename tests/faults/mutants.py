"""Whether the faults would notice: break the product on purpose, in a copy, and see a promise go red.

    python -m tests.faults.mutants [NAME ...] [--database postgresql]

Each mutant takes one protection away. It is caught when the promise named with it is not kept, on the mutant alone.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.faults.servers import DATABASES

ROOT = Path(__file__).parents[2]
PACKAGES = ("api_service", "worker_service", "shared", "tests")


@dataclass(frozen=True)
class Mutant:
    """A protection, where it stands, what stands there without it, and the promise that falls."""

    name: str
    path: str
    text: str
    instead: str
    promise: str
    size: str = "short"


LIFECYCLE = "shared/lifecycle/task.py"
SWEEPER = "worker_service/sweeper.py"
MUTANTS = (
    Mutant(
        "no-fencing",
        LIFECYCLE,
        "if row is None or row.epoch != epoch or row.state not in ACTIVE:",
        "if row is None:",
        "P4",
    ),
    Mutant(
        "leases-are-not-looked-at",
        SWEEPER,
        "Task.lease_until < database.now(session))",
        "Task.lease_until.is_not(None))",
        "P16",
    ),
    Mutant(
        "leases-are-not-renewed",
        LIFECYCLE,
        ".values(lease_until=database.Clock(sa.literal(lease.total_seconds(), sa.Float())))",
        ".values(lease_until=Task.lease_until)",
        "P16",
        "10",  # the tenth task outlasts a lease
    ),
    Mutant(
        "missed-slots-fire-in-a-burst",
        SWEEPER,
        'schedules.next_time(scan.cron or "", scan.timezone, now)',
        'schedules.next_time(scan.cron or "", scan.timezone, scan.next_run_at)',
        "P12",
    ),
    Mutant(
        "a-slot-stays-due",
        SWEEPER,
        'scan.next_run_at = schedules.next_time(scan.cron or "", scan.timezone, now)',
        'schedules.next_time(scan.cron or "", scan.timezone, now)',
        "P12",
    ),
    Mutant(
        "nobody-rings-again",
        SWEEPER,
        "    if lost <= 0:\n        return 0\n",
        "    return 0\n",
        "P3",
    ),
    Mutant(
        "rings-before-the-commit",
        "shared/database.py",
        "            yield session\n        ring, rings",
        "            yield session\n"
        '            if session.info["ring"] and session.info["rings"]:\n'
        '                session.info["ring"](session.info["rings"])\n'
        "        ring, rings",
        "P3",
    ),
    Mutant(
        "a-mail-is-sent-again-whatever-became-of-it",
        "shared/lifecycle/dispatch.py",
        '    if _close_lost(session, delivery, "its worker ended"):',
        '    if _close_lost(session, delivery, "its worker ended") is None:',
        "P5b",
        "100",
    ),
    Mutant(
        "the-next-attempt-has-another-id",
        "shared/models/notification.py",
        'return f"msg_{(self.carrier_id or self.id).hex}"',
        'return f"msg_{(self.carrier_id or self.id).hex}{self.attempts}"',
        "P5",
        "100",
    ),
    Mutant("poison-lives-for-ever", LIFECYCLE, "if task.crashes > SUSPECT_CRASHES or ", "if ", "P13", "2"),
    Mutant(
        "suspects-among-others",
        "worker_service/tasks.py",
        "if task.crashes >= lifecycle.SUSPECT_CRASHES:",
        "if False:",
        "P13",
        "2",
    ),
    Mutant("a-hand-back-counts", LIFECYCLE, "        task.attempt -= 1\n", "", "P22", "4"),
)


def main() -> None:
    """Try every mutant; exit code 1 when one was not caught."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.mutants", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(each.name for each in MUTANTS))
    parser.add_argument("--database", choices=DATABASES, default="postgresql")
    options = parser.parse_args()
    caught = [
        _try(each, options.database) for each in MUTANTS if not options.names or each.name in options.names
    ]
    sys.exit(0 if caught and all(caught) else 1)


def _try(mutant: Mutant, database: str) -> bool:
    with tempfile.TemporaryDirectory(prefix="vedette-mutant-") as name:
        folder = Path(name)
        for package in PACKAGES:
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        path = folder / mutant.path
        text = path.read_text()
        assert text.count(mutant.text) == 1, (
            f"{mutant.name}: {mutant.path} has changed; say anew what to take away"
        )
        path.write_text(text.replace(mutant.text, mutant.instead))
        command = [sys.executable, "-m", "tests.faults", mutant.promise]
        command += ["--database", database, "--size", mutant.size, "--seed", "7"]
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith(f"{mutant.promise} ")]
    red = done.returncode == 1 and bool(lines)
    print(
        f"{mutant.name}: {'caught' if red else 'NOT CAUGHT'} by {mutant.promise}. {'; '.join(lines)}",
        flush=True,
    )
    return red


if __name__ == "__main__":
    main()
