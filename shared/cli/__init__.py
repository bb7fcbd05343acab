"""The `vedette` command. Results go to standard output, progress and messages to standard error."""

import sys

import click
from pydantic import ValidationError

from shared.cli import accounts, demo, mirror, scan, services, up
from shared.errors import VedetteError

EXIT_ERROR = 1
"""Whatever went wrong, usage errors included; the codes above it say what a scan found."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vedette")
def cli() -> None:
    """Vedette: scan what you run against your own mirror of the NVD, and hear when something changes."""


for command in (*services.COMMANDS, up.up, demo.demo, accounts.user, accounts.token, mirror.nvd, scan.scan):
    cli.add_command(command)


def main() -> None:
    """Run the command; every failure is one clear message and exit code 1."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Exit as exit_:
        code = exit_.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        code = EXIT_ERROR
    except click.ClickException as error:
        error.show()
        code = EXIT_ERROR
    except ValidationError as error:
        for each in error.errors():
            click.echo(f"setting {'.'.join(map(str, each['loc'])) or 'environment'}: {each['msg']}", err=True)
        code = EXIT_ERROR
    except VedetteError as error:
        click.echo(f"Error: {error.detail}", err=True)
        code = EXIT_ERROR
    sys.exit(code if isinstance(code, int) else 0)
