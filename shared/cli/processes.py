"""Children of `vedette up`: started, watched, started again when they die, and stopped in order."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

STOP_SECONDS = 25.0
"""How long a child may take to stop; a worker hands its tasks back in that time."""
FIRST_BACKOFF, MAX_BACKOFF = 0.5, 30.0
CALM_SECONDS = 60.0
"""A child that lived this long starts with the first backoff again."""


def _die_with_parent() -> None:
    """In the child: end when `vedette up` is killed without a chance to stop us (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


@dataclass
class Child:
    """One process, with its log in a file."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    backoff: float = FIRST_BACKOFF
    due: float = field(default=0.0)

    def start(self) -> None:
        """Start it, in a session of its own so that Ctrl-C reaches only us."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  # no thread of ours runs yet
            )
        self.started = time.monotonic()
        self.due = 0.0

    def watch(self) -> None:
        """Start it again, with backoff, when it has died, and say so."""
        if self.process is None or self.process.poll() is None:
            return
        now = time.monotonic()
        if not self.due:
            if now - self.started > CALM_SECONDS:
                self.backoff = FIRST_BACKOFF
            self.due = now + self.backoff
            click.echo(
                f"{self.name} ended with code {self.process.returncode}; again in {self.backoff:.1f} s (log: {self.log})",
                err=True,
            )
            self.backoff = min(MAX_BACKOFF, self.backoff * 2)
        elif now >= self.due:
            self.start()

    def terminate(self) -> None:
        """Ask it to stop."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def join(self, deadline: float) -> None:
        """Wait until it has stopped; past the deadline (monotonic) kill it with all that it started."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            click.echo(f"{self.name} does not stop; killing it", err=True)
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def stop_all(children: Sequence[Child]) -> None:
    """Stop children in the reverse order of their start: all but the first at once, since they may need that one."""
    for group in (children[1:], children[:1]):
        deadline = time.monotonic() + STOP_SECONDS
        for child in group:
            child.terminate()
        for child in group:
            child.join(deadline)


def tail(path: Path, lines: int = 15) -> str:
    """The end of a log, to show why something did not start."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
