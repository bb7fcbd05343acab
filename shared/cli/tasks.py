"""`vedette tasks`: what waits, runs and failed, and what can be done about it."""

import datetime as dt
import sys
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from shared.cli.cells import cell
from shared.cli.client import Api
from shared.models.task import TaskState
from shared.settings import read_settings
from shared.tasks import QUEUES

COLUMNS = ("waiting", "delayed", "running", "dead", "ended_last_minute", "workers_busy")
"""What the table of queues shows beside their names."""


@click.group(invoke_without_command=True)
@click.option("--state", type=click.Choice([each.value for each in TaskState]), help="Only in this state.")
@click.option("--queue", type=click.Choice(QUEUES), help="Only of this queue.")
@click.option("--name", help="Only with this name.")
@click.option(
    "--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="The newest so many tasks."
)
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_context
def tasks(
    context: click.Context, state: str | None, queue: str | None, name: str | None, limit: int, format_: str
) -> None:
    """Show the queues and the newest tasks, dead letters with why they failed."""
    if context.invoked_subcommand is not None:
        return
    api = Api.from_settings(read_settings())
    wanted = {"state": state, "queue": queue, "name": name, "page_size": limit}
    found = api.get("/tasks", **{key: value for key, value in wanted.items() if value is not None})
    queues = [each for each in api.get("/queues") if queue in (None, each["queue"])]
    if format_ == "json":
        document = msgspec.json.encode({"queues": queues, "tasks": found})
        sys.stdout.buffer.write(msgspec.json.format(document) + b"\n")
    else:
        _print(queues, found)


@tasks.command()
@click.argument("task_id", type=click.UUID, metavar="ID")
def cancel(task_id: str) -> None:
    """Cancel the task ID: at once while it waits, at its next checkpoint while it runs."""
    task = Api.from_settings(read_settings()).post(f"/tasks/{task_id}/cancel")
    ended = task["state"] == TaskState.REVOKED
    click.echo(f"{task['name']} {'is cancelled' if ended else 'was asked to stop'}", err=True)


@tasks.command()
@click.argument("task_id", type=click.UUID, metavar="ID")
def requeue(task_id: str) -> None:
    """Give the dead letter ID a new life, with all its attempts."""
    api = Api.from_settings(read_settings())
    queue = api.get(f"/tasks/{task_id}")["queue"]
    task = api.post(f"/queues/{queue}/dead/{task_id}/requeue")
    click.echo(f"{task['name']} waits in {queue} again", err=True)


def _print(queues: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 200)
    table = Table("Queue", *(each.replace("_", " ").capitalize() for each in COLUMNS), "Oldest waits")
    for queue in queues:
        oldest = queue["oldest_pending_seconds"]
        cells = [str(queue[each]) for each in COLUMNS]
        table.add_row(queue["queue"], *cells, "" if oldest is None else f"{oldest:.1f} s")
    console.print(table)
    alive = queues[0]["workers_alive"] if queues else None
    console.print(f"worker processes alive: {'unknown, Redis is away' if alive is None else alive}")
    table = Table("Task", "Id", "Queue", "State", "Attempt", "Asked for", "Progress or error")
    for task in found:
        table.add_row(
            task["name"],
            task["id"],
            task["queue"],
            task["state"],
            str(task["attempt"]),
            f"{dt.datetime.fromisoformat(task['created_at']):%Y-%m-%d %H:%M:%S}",
            cell(task["error"] or ("" if task["ended_at"] else _progress(task["progress"]))),
        )
    console.print(table)
    if any(task["state"] == TaskState.FAILURE for task in found):
        console.print("FAILURE is a dead letter: `vedette tasks requeue ID` gives it a new life")
    elif dead := sum(queue["dead"] for queue in queues):
        console.print(f"{dead} dead letters: `vedette tasks --state FAILURE` shows them")


def _progress(progress: dict[str, Any]) -> str:
    if progress["stage"] is None:
        return ""
    share = "" if progress["percent"] is None else f" {progress['percent']} %"
    return f"{progress['stage']}{share}"
