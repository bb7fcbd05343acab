"""The `vedette` command. Results go to standard output, progress and messages to standard error."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from shared.errors import VedetteError

EXIT_ERROR = 1
"""Whatever went wrong, usage errors included; the codes above it say what a scan found."""

COMMANDS = {
    "api": "services",
    "db": "schema",
    "demo": "demo",
    "nvd": "mirror",
    "scan": "scan",
    "scheduler": "services",
    "tasks": "tasks",
    "token": "accounts",
    "up": "up",
    "user": "accounts",
    "worker": "services",
}
"""Every command and the module of this package that holds it under its name."""


class OnDemand(click.Group):
    """A group that imports a command when it is called: most need neither the database nor the web."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """The names, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, None when there is none."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"shared.cli.{COMMANDS[cmd_name]}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101  # so says the table
        return command


@click.group(cls=OnDemand, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vedette")
def cli() -> None:
    """Vedette: scan what you run against your own mirror of the NVD, and hear when something changes."""


def main() -> None:
    """Run the command; every failure is one clear message and exit code 1. What it writes is its user's alone."""
    os.umask(0o077)
    try:
        with _explained():
            code = cli.main(standalone_mode=False)
    except click.exceptions.Exit as exit_:
        code = exit_.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        code = EXIT_ERROR
    except click.ClickException as error:
        error.show()
        code = EXIT_ERROR
    except VedetteError as error:
        click.echo(f"Error: {error.detail}", err=True)
        code = EXIT_ERROR
    sys.exit(code if isinstance(code, int) else 0)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what the machine or the database refuses into a message; a fault of ours keeps its traceback."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{where}{error.strerror or error}") from None
    except Exception as error:
        database = sys.modules.get("sqlalchemy.exc")  # not imported, it has not raised
        if database is None or not isinstance(error, (database.OperationalError, database.ProgrammingError)):
            raise
        raise click.ClickException(
            f"the database is away or not ready (`vedette db upgrade` makes it so): {error.orig}"
        ) from None
