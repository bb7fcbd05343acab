"""Processes that start at once: forked from one that has read the libraries already.

A run of faults starts hundreds of processes, and most of a start is reading libraries. What runs in each is what the product
runs, from `python -m MODULE` on, with an environment, a folder, a log and a process group of its own; only the interpreter
is warm. Nothing of ours that looks at its process or its environment when it is read is read beforehand.
"""

import gc
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LIBRARIES = [
    "alembic.command",
    "argon2",
    "cronsim",
    "dramatiq.cli",
    "dramatiq.brokers.redis",
    "flask",
    "flask_smorest",
    "gunicorn.app.base",
    "gunicorn.workers.gthread",
    "marshmallow",
    "msgspec",
    "packageurl",
    "packaging.version",
    "periodiq",
    "prometheus_client",
    "psycopg",
    "pydantic_settings",
    "redis",
    "requests",
    "rich.progress",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.orm",
    "structlog",
    "univers.version_range",
    "univers.versions",
    "zstandard",
    "shared.settings",
    "shared.database",
    "shared.models",
    "shared.mirror",
    "shared.matching.match",
    "shared.lifecycle.finding",
]


class Born:
    """A process of the nursery, as `subprocess.Popen` shows one."""

    def __init__(self, nursery: "Nursery", pid: int) -> None:
        self.nursery = nursery
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        self.returncode = self.nursery.ended.get(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, when it has ended. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(0.01)
        return code

    def terminate(self) -> None:
        """SIGTERM, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


class Nursery:
    """Where the processes come from."""

    def __init__(self, channel: socket.socket) -> None:
        self.ended: dict[int, int] = {}
        self._lines = channel.makefile("rw")
        self._born: list[int] = []
        self._arrived = threading.Condition()
        self._one = threading.Lock()
        threading.Thread(target=self._listen, name="nursery", daemon=True).start()

    def start(self, module: str, environment: dict[str, str], folder: Path, log: Path) -> Born:
        """`python -m module` in `folder`, its output added to `log`."""
        job = {"module": module, "environment": environment, "folder": str(folder), "log": str(log)}
        with self._one, self._arrived:
            self._lines.write(json.dumps(job) + "\n")
            self._lines.flush()
            assert self._arrived.wait_for(lambda: self._born, 60), "the nursery does not answer"
            return Born(self, self._born.pop())

    def _listen(self) -> None:
        for line in self._lines:
            with self._arrived:
                pid, code = json.loads(line)
                if code is None:
                    self._born.append(pid)
                    self._arrived.notify()
                else:
                    self.ended[pid] = code


@contextmanager
def nursery() -> Iterator[Nursery]:
    """A nursery of our own; it ends with the block."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [
            sys.executable,
            "-m",
            __spec__.name if __spec__ else "tests.faults.warm",
            str(theirs.fileno()),
        ]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        try:
            yield Nursery(ours)
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            process.wait(10)


def _breed(channel: socket.socket) -> dict[str, Any] | None:
    """Fork for every job that comes, and tell of every end. Returns in the child, with its job, and at the end, with None."""
    buffer = b""
    while True:
        readable, _, _ = select.select([channel], [], [], 0.02)
        if readable:
            received = channel.recv(1 << 20)
            if not received:
                return None
            buffer += received
        while b"\n" in buffer:
            line, buffer = buffer.split(b"\n", 1)
            if (pid := os.fork()) == 0:
                channel.close()
                job: dict[str, Any] = json.loads(line)
                return job
            channel.sendall(json.dumps([pid, None]).encode() + b"\n")
        _tell_of_the_dead(channel)


def _tell_of_the_dead(channel: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        channel.sendall(json.dumps([pid, os.waitstatus_to_exitcode(status)]).encode() + b"\n")


def _become(job: dict[str, Any]) -> None:
    """Be the process that was asked for."""
    os.setsid()
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    descriptor = os.open(job["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for target in (1, 2):
        os.dup2(descriptor, target)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random.seed()
    os.execv = _run_instead  # type: ignore[assignment]
    _run(job["module"], [])


def _run_instead(_path: str, command: list[str]) -> None:
    """What replaces this process by `python -m MODULE` runs that module in it."""
    assert command[1] == "-m"
    _run(command[2], command[3:])


def _run(module: str, arguments: list[str]) -> None:
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asked for it
    for name in LIBRARIES:
        __import__(name)
    gc.freeze()
    task = _breed(socket.socket(fileno=int(sys.argv[1])))
    if task is not None:
        _become(task)
