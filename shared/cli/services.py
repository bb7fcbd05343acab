"""One service each, as the containers run them."""

import importlib.util
import os
import sys

import click

from shared.settings import read_settings


def _become(module: str, extra: str, *arguments: str) -> None:
    """Replace this process by `python -m module`, so that signals reach the service itself."""
    if importlib.util.find_spec(module.partition(".")[0]) is None or not _installed(extra):
        raise click.ClickException(
            f"this installation lacks the service: pip install '.[{extra}]' in the checkout"
        )
    read_settings()  # what cannot be used is told here, not in a traceback of the service
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606  # a fixed argument list


def _installed(extra: str) -> bool:
    needed = {"api": "gunicorn", "worker": "periodiq"}[extra]
    return importlib.util.find_spec(needed) is not None


@click.command()
def api() -> None:
    """Run the HTTP service."""
    _become("api_service", "api")


@click.command()
@click.argument("queues", nargs=-1, metavar="[QUEUE]...")
def worker(queues: tuple[str, ...]) -> None:
    """Run a worker, for all queues or the ones named: default, scans, notifications."""
    _become("worker_service", "worker", *queues)


@click.command()
def scheduler() -> None:
    """Run a scheduler: the timetable and the sweeper. Any number may run."""
    _become("worker_service.scheduler", "worker")
