"""What a run reached beside what is promised, and the page that tells it."""

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).with_name("RESULTS.md")


@dataclass(frozen=True)
class Figure:
    """One promise on one database: what it says, what was tried, what came of it."""

    promise: str
    """Its number, as in P4."""
    promised: str
    """The figure promised."""
    tried: str
    """The size of the run."""
    reached: str
    """The figure reached."""
    kept: bool
    note: str = ""


@dataclass(frozen=True)
class Result:
    """A figure, where and when it was reached."""

    figure: Figure
    database: str
    seed: int
    seconds: float

    def __str__(self) -> str:
        figure = self.figure
        verdict = "kept" if figure.kept else "BROKEN"
        note = f" ({figure.note})" if figure.note else ""
        return (
            f"{figure.promise} {self.database}: {verdict}. Promised: {figure.promised}. Tried: {figure.tried}. "
            f"Reached: {figure.reached}{note}. Seed {self.seed}, {self.seconds:.0f} s"
        )


def render(results: Sequence[Result]) -> str:
    """The page: when, on what, and a line for each figure."""
    written = (
        f"Written by `make faults` on {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, commit {_commit()}, "
        f"{len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, load {os.getloadavg()[1]:.1f}. "
        "A line is run again with `python -m tests.faults PROMISE --database DATABASE --seed SEED`; "
        "`--size full` runs what is promised where the table ran less."
    )
    lines = [
        "# What the faults did to the promises",
        "",
        written,
        "",
        "| promise | database | promised | tried | reached | | seed | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        figure = result.figure
        reached = f"{figure.reached} ({figure.note})" if figure.note else figure.reached
        verdict = "kept" if figure.kept else "**missed**"
        lines.append(
            f"| {figure.promise} | {result.database} | {figure.promised} | {figure.tried} | {reached} | {verdict} "
            f"| {result.seed} | {result.seconds:.0f} |"
        )
    return "\n".join(lines) + "\n"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    done = subprocess.run(command, cwd=PAGE.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
