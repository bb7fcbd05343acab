"""Kill workers while tasks run, and compare what happened with what was promised.

    python -m tests.faults [--database sqlite] [--tasks 100] [--every 2.0] [--seed 7]

Tasks are asked for while a random worker is killed every few seconds and started again; some askers are killed between
their commit and the ring, some roll back. The lease and the sweep are those of the shipped settings. A seed replays the
same tasks, victims and pauses; how the machine interleaves them is its own affair. The journal stays in --journal.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from shared import database, doorbell
from shared.database import Sessions
from shared.models.task import ENDED, Task, TaskState
from shared.tasks import Asking, ask
from tests.faults.servers import DATABASES, percentile, servers
from tests.flow import doors
from tests.flow.processes import SCHEDULER, WORKER, Process, running

WORKERS = 3
PATIENCE = 240.0
"""Seconds after the last kill until what has not ended counts as lost."""


@dataclass
class Journal:
    """Everything that was done, in order."""

    path: Path
    entries: list[dict[str, Any]] = field(default_factory=list)

    def note(self, event: str, **facts: Any) -> None:
        self.entries.append({"at": time.time(), "event": event, **facts})
        with self.path.open("a") as file:
            file.write(json.dumps(self.entries[-1], default=str) + "\n")

    def of(self, event: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["event"] == event]


def ask_and_die(url: str, seconds: float) -> uuid.UUID:
    """Ask in a child process that is killed after its commit and before the ring; the task that it asked for."""
    read_end, write_end = os.pipe()
    if (child := os.fork()) == 0:

        def die(rings: Any) -> bool:
            os.write(write_end, rings[0].task_id.bytes)
            os.kill(os.getpid(), signal.SIGKILL)
            return True

        doors.ask_for(database.make_sessions(database.make_engine(url), die), seconds=seconds)
        os._exit(1)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        task_id = uuid.UUID(bytes=pipe.read(16))
    os.waitpid(child, 0)
    return task_id


def ask_and_roll_back(sessions: Sessions) -> uuid.UUID:
    with sessions() as session:
        task = ask(session, doors.NAME, Asking(), mode="sleep", seconds=0.0)
        session.rollback()
        return task.id


def torment(options: argparse.Namespace, kind: str, journal: Journal) -> bool:
    """Ask, kill, and wait until everything has ended or patience has; whether every promise was kept."""
    dice = random.Random(options.seed)
    with ExitStack() as stack:
        engine, environment, folder = stack.enter_context(servers(kind))
        sessions = database.make_sessions(engine, doorbell.open_doorbell(environment["REDIS_URL"]))
        environment |= {"VEDETTE_WORKER_PROCESSES": "1", "VEDETTE_WORKER_THREADS": "4"}
        stack.enter_context(running(SCHEDULER, environment, folder))
        workers: list[Process] = []
        for number in range(WORKERS):
            (folder / str(number)).mkdir()
            workers.append(stack.enter_context(running(WORKER, environment, folder / str(number))))
        due = time.monotonic() + options.every
        for number in range(options.tasks):
            seconds = dice.uniform(0.2, 3.0)
            if number % 10 == 3:
                journal.note("asked and died", task=ask_and_die(environment["DATABASE_URL"], seconds))
            elif number % 10 == 7:
                journal.note("asked and rolled back", task=ask_and_roll_back(sessions))
            else:
                journal.note("asked", task=doors.ask_for(sessions, seconds=seconds).id)
            time.sleep(dice.uniform(0.1, 0.5))
            if time.monotonic() >= due:
                victim = dice.choice(workers)
                pids = victim.group()
                journal.note("killed", pids=pids)
                victim.kill()
                victim.start()
                due = time.monotonic() + options.every * dice.uniform(0.5, 1.5)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and _open(sessions):
            time.sleep(0.5)
        return judge(sessions, kind, journal)


def _open(sessions: Sessions) -> int:
    with database.reading(sessions) as session:
        query = sa.select(sa.func.count()).select_from(Task).where(Task.state.not_in(ENDED))
        return session.scalar(query) or 0


def judge(sessions: Sessions, kind: str, journal: Journal) -> bool:
    """Compare the journal with the database; prints the figures and says whether every promise was kept."""
    with database.reading(sessions) as session:
        tasks = {task.id: task for task in session.scalars(sa.select(Task))}
        done = session.execute(sa.select(doors.DONE)).all()
        started = session.execute(sa.select(doors.STARTED).order_by(doors.STARTED.c.at)).all()
    unrung = [entry["task"] for entry in journal.of("asked and died")]
    accepted = [entry["task"] for entry in journal.of("asked")] + unrung
    ghosts = [entry["task"] for entry in journal.of("asked and rolled back")]
    ended = [each for each in accepted if each in tasks and tasks[each].state in ENDED]
    succeeded = [each for each in ended if tasks[each].state == TaskState.SUCCESS]
    effects = [row.task_id for row in done]
    doubled = len(effects) - len(set(effects))
    wrong = set(effects) ^ set(succeeded)
    haunted = [each for each in ghosts if each in tasks or each in effects]
    waits = []
    for kill in journal.of("killed"):
        for row in started:
            if row.pid in kill["pids"] and row.at < kill["at"]:
                after = [next_.at for next_ in started if next_.task_id == row.task_id and next_.at > row.at]
                if after and after[0] > kill["at"]:
                    waits.append(after[0] - kill["at"])
    print(f"{kind}: {len(accepted)} tasks, {len(journal.of('killed'))} kills, {len(waits)} tasks hit")
    print(
        f"  P1 ended {len(ended)} of {len(accepted)} "
        f"({len(ended) - len(succeeded)} given up after 3 lost workers), effects doubled {doubled}, wrong {len(wrong)}"
    )
    print(
        f"  P2 kill to next start: p50 {percentile(waits, 0.5):.1f} s, p95 {percentile(waits, 0.95):.1f} s, "
        f"max {percentile(waits, 1.0):.1f} s"
    )
    lost = sum(each not in ended for each in unrung)
    print(
        f"  P3 killed between commit and ring {len(unrung)}, lost {lost}; rolled back {len(ghosts)}, ghosts {len(haunted)}"
    )
    return len(ended) == len(accepted) and not (doubled or wrong or haunted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", choices=[*DATABASES, "both"], default="both")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two kills")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--journal", type=Path, default=Path("var/faults"))
    options = parser.parse_args()
    replay = f"python -m tests.faults --tasks {options.tasks} --every {options.every} --seed {options.seed}"
    print(f"seed {options.seed}; again: {replay}")
    options.journal.mkdir(parents=True, exist_ok=True)
    kept = True
    for kind in DATABASES if options.database == "both" else [options.database]:
        journal = Journal(options.journal / f"{kind}-{options.seed}.jsonl")
        journal.path.unlink(missing_ok=True)
        kept = torment(options, kind, journal) and kept
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
