"""Real processes of Vedette, each with its children in a process group of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.builders import PATIENCE, wait_for

WORKER = "tests.flow.worker"
SCHEDULER = "worker_service.scheduler"

Launch = Callable[[str, dict[str, str], Path, Path], Any]
"""Starts `python -m module` with an environment, in a folder, with a log, in a session of its own; gives what is like a
subprocess.Popen."""


def launch(module: str, environment: dict[str, str], folder: Path, log: Path) -> Any:
    """A fresh interpreter."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", module],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


@dataclass
class Process:
    """`python -m module` with settings of its own; its output goes to a log that a failing test shows."""

    module: str
    environment: dict[str, str]
    folder: Path
    launch: Launch = launch
    popen: Any = field(default=None, init=False)

    @property
    def log(self) -> Path:
        return self.folder / f"{self.module}.log"

    def start(self) -> "Process":
        # What it leaves when it is killed goes with the folder.
        environment = {**os.environ, "TMPDIR": str(self.folder), **self.environment}
        self.popen = self.launch(self.module, environment, self.folder, self.log)
        return self

    @property
    def alive(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def children(self) -> list[int]:
        """Its child processes (Dramatiq's working ones)."""
        text = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.popen.pid)], capture_output=True, check=False
        )
        return [int(pid) for pid in text.stdout.split()]

    def group(self) -> list[int]:
        """Everything alive in its group."""
        text = subprocess.run(
            ["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, check=True
        ).stdout.decode()
        rows = [line.split() for line in text.splitlines()]
        return [int(pid) for pid, group, state in rows if int(group) == self.popen.pid and state[0] != "Z"]

    def terminate(self, seconds: float = 30.0) -> int:
        self.popen.terminate()
        return self.popen.wait(seconds)

    def kill(self) -> None:
        """SIGKILL for the whole group, at one go."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(10)


@contextmanager
def running(
    module: str, environment: dict[str, str], folder: Path, launch: Launch = launch
) -> Iterator[Process]:
    """A process for as long as the block lasts; nothing of it stays."""
    process = Process(module, environment, folder, launch).start()
    try:
        yield process
    except BaseException:
        print(f"--- {process.log.name}\n{process.log.read_text(errors='replace')[-6000:]}")
        raise
    finally:
        process.kill()


def logged(process: Process, event: str) -> bool:
    return event in process.log.read_text(errors="replace")


def wait_logged(process: Process, event: str, seconds: float = PATIENCE) -> None:
    wait_for(lambda: logged(process, event), seconds, f"{event} in {process.log.name}")
