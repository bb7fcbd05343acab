"""`vedette demo`: the whole thing once, on a small sample, in a data directory of its own."""

import socket
from importlib import resources
from pathlib import Path

import click

from shared import database, doorbell
from shared.cli import scan
from shared.cli.client import Api
from shared.cli.mirror import ask_for_import, follow
from shared.cli.up import Running, announce, running, stop_on_signals
from shared.settings import Settings, read_settings

FEED = "feed.json"
SBOM = "sbom.cdx.json"


@click.command()
@click.option("--exit", "exit_", is_flag=True, help="End after the scan instead of staying up.")
def demo(exit_: bool) -> None:
    """Start everything on a sample mirror, scan a sample SBOM, print the findings, and stay up until Ctrl-C."""
    settings = read_settings()
    settings = settings.with_changes(
        data_dir=settings.data_dir / "demo",
        database_url="",
        port=_free_unless_set(settings),
        nvd_api_url="off",  # the sample stays a sample
        nvd_feed_url="off",
        kev_url="off",
        epss_url="off",
    )
    stop = stop_on_signals()
    with running(settings, stop) as vedette:
        sample = Path(str(resources.files("shared.sample")))
        _import(vedette, sample / FEED)
        api = Api(vedette.api_url, vedette.token)
        scan.print_findings(scan.scan_document(api, sample / SBOM, "harbour-shop"))
        if exit_:
            return
        announce(vedette)
        vedette.watch(stop)
        click.echo("stopping ...", err=True)


def _import(vedette: Running, feed: Path) -> None:
    ring = doorbell.open_doorbell(vedette.settings.redis_url)
    sessions = database.make_sessions(database.make_engine(vedette.settings.sqlalchemy_url), ring)
    if not all(follow(sessions, [feed], [ask_for_import(sessions, feed)])):
        raise click.ClickException("the sample feed was not imported")


def _free_unless_set(settings: Settings) -> int:
    """The usual port, or any free one when something else listens there and nobody asked for it by name."""
    if "port" in settings.model_fields_set:
        return settings.port
    with socket.socket() as probe:
        return 0 if probe.connect_ex((settings.host, settings.port)) == 0 else settings.port
