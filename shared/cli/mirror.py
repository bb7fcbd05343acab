"""`vedette nvd`: fill the mirror and ask how it is."""

import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from sqlalchemy.exc import OperationalError, ProgrammingError

from shared import database, doorbell
from shared.cli import local, mirror_status
from shared.cli.client import Api
from shared.database import Sessions
from shared.models.task import ACTIVE, ENDED, Task, TaskState, in_states
from shared.settings import read_settings
from shared.tasks import IMPORT_NVD_FEED, MIRROR, Asking, ask

POLL_SECONDS = 0.25
LONELY_SECONDS = 15.0
"""After this long we say what an import waits for."""


def make_progress() -> Progress:
    """A progress display on standard error; on anything but a terminal it draws nothing."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


@click.group()
def nvd() -> None:
    """The mirror of the NVD."""


@nvd.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
def import_(files: tuple[Path, ...]) -> None:
    """Import NVD 2.0 feed FILES (.json or .json.gz), one after the other. What is known already is passed over.

    A worker does the work, so one must run and be able to read the files.
    """
    settings = read_settings()
    running = local.read(settings.data_dir)
    ring = doorbell.open_doorbell(running.redis_url if running else settings.redis_url)
    sessions = database.make_sessions(database.make_engine(settings.sqlalchemy_url), ring)
    tasks = [ask_for_import(sessions, path) for path in files]
    failed = [path for path, ended in zip(files, follow(sessions, files, tasks), strict=True) if not ended]
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(files)} files were not imported")


def ask_for_import(sessions: Sessions, path: Path) -> uuid.UUID:
    """Ask for one file; imports follow one another, and a file that is asked for twice is imported once."""
    absolute = str(path.absolute())
    try:
        with database.transaction(sessions) as session:
            how = Asking(dedupe_key=f"import:{absolute}"[:200])
            return ask(session, IMPORT_NVD_FEED, how, path=absolute)
    except (OperationalError, ProgrammingError) as error:
        raise click.ClickException(
            f"the database is not ready (`vedette db upgrade` makes it so): {error.orig}"
        ) from None


def follow(sessions: Sessions, files: Sequence[Path], tasks: Sequence[uuid.UUID]) -> list[bool]:
    """Show the progress of tasks until they have ended; whether each of them succeeded."""
    with make_progress() as progress:
        return [_follow_one(progress, sessions, file, task) for file, task in zip(files, tasks, strict=True)]


def _follow_one(progress: Progress, sessions: Sessions, file: Path, task_id: uuid.UUID) -> bool:
    bar = progress.add_task(file.name, total=None)
    asked, lonely = time.monotonic(), False
    while True:
        with database.reading(sessions) as session:
            task = session.scalars(sa.select(Task).where(Task.id == task_id)).one()
        progress.update(bar, completed=task.current or 0, total=task.total)
        if task.state in ENDED:
            break
        if not lonely and task.state == TaskState.PENDING and time.monotonic() - asked > LONELY_SECONDS:
            progress.console.print(waits_for(sessions), soft_wrap=True)
            lonely = True
        time.sleep(POLL_SECONDS)
    progress.console.print(f"{file.name}: {outcome(task)}", highlight=False, soft_wrap=True)
    return task.state == TaskState.SUCCESS


def waits_for(sessions: Sessions) -> str:
    """Why nobody does an import yet: one task at a time writes the mirror, if there is a worker at all."""
    writing = sa.select(Task.name).where(Task.lock_key == MIRROR, in_states(Task.state, ACTIVE))
    with database.reading(sessions) as session:
        name = session.scalar(writing)
    if name is None:
        return "no worker has taken this up yet; `vedette up` or `vedette worker` starts one"
    return f"{name} is under way, this follows when it has ended; `vedette nvd status` says how far it is"


def outcome(task: Task) -> str:
    """How an import ended, in one line."""
    if task.state != TaskState.SUCCESS:
        return f"{task.state.lower()}: {task.error}"
    result: dict[str, Any] = task.result or {}
    if result.get("already_imported"):
        return "imported before, unchanged"
    return ", ".join(f"{result[name]:,} {name}" for name in ("read", "changed", "unchanged", "quarantined"))


@nvd.command()
@click.option("--full", is_flag=True, help="Read everything again and compare, not only what changed.")
@click.option(
    "--days-back", type=click.IntRange(0, 3650), default=7, show_default=True, help="Read so many days again."
)
@click.option("--kev", is_flag=True, help="Only read CISA's catalogue of known exploited vulnerabilities.")
@click.option("--epss", is_flag=True, help="Only read FIRST's EPSS scores.")
def sync(full: bool, days_back: int, kev: bool, epss: bool) -> None:
    """Bring the mirror to what the NVD holds, and show how far it is.

    With --kev, --epss or both, read these instead; they are read daily by themselves.
    """
    api = Api.from_settings(read_settings())
    wanted = {"kev": kev, "epss": epss}
    for source in (name for name, named in wanted.items() if named):
        task = _follow_task(api, api.post(f"/nvd/sources/{source}/sync", {})["task_id"])
        result = task["result"]
        click.echo(f"{source}: {result['count']:,} entries, {result['skipped']:,} skipped", err=True)
    if not any(wanted.values()):
        task = _follow_task(api, api.post("/nvd/sync", {"full": full, "days_back": days_back})["task_id"])
        names = ("read", "changed", "unchanged", "quarantined")
        click.echo(", ".join(f"{task['result'][name]:,} {name}" for name in names), err=True)


def _follow_task(api: Api, task_id: str) -> dict[str, Any]:
    """Show how far a task is until it has succeeded; raises click's ClickException when it does not."""
    with make_progress() as progress:
        bar = progress.add_task("waiting", total=None)
        while (task := api.get(f"/tasks/{task_id}"))["state"] not in list(ENDED):
            done = task["progress"]
            progress.update(
                bar,
                description=done["stage"] or "waiting",
                completed=done["current"] or 0,
                total=done["total"],
            )
            time.sleep(POLL_SECONDS * 4)
    if task["state"] != TaskState.SUCCESS:
        raise click.ClickException(f"the sync ended as {task['state']}: {task['error']}")
    return dict(task)


@nvd.command()
def status() -> None:
    """How complete and how fresh the mirror is."""
    answer = Api.from_settings(read_settings()).get("/nvd/status")
    table = Table(show_header=False, box=None)
    for name, text in mirror_status.rows(answer):
        table.add_row(name, text)
    Console(highlight=False, markup=False).print(table)
