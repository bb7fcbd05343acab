"""What a run reached beside what is promised, and the page that tells it."""

import os
import platform
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_NUMBER = re.compile(r"P([0-9]+)([a-z]?)")
"""A letter tells two figures of one promise apart."""
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


HEAD = """# What the faults did to the promises

Written by `make faults`. A row is run again with `python -m tests.faults PROMISE --database DATABASE --seed SEED --write`, which
replaces it; `--size full` runs what is promised where the row tells of less. Times are UTC, load is that of the machine.

| promise | database | promised | tried | reached | | seed | seconds | when | commit | machine |
|---|---|---|---|---|---|---|---|---|---|---|
"""


def record(results: Sequence[Result], page: Path = PAGE) -> None:
    """Put a row for each result into the page, in the place of the one that told of the same promise and database."""
    rows = {
        _key(line): line for line in (page.read_text().splitlines() if page.exists() else []) if _key(line)
    }
    rows |= {(result.figure.promise, result.database): _row(result) for result in results}
    page.write_text(HEAD + "".join(f"{rows[key]}\n" for key in sorted(rows, key=_order)))


def _key(line: str) -> tuple[str, str] | None:
    """What a row of the page tells of; None for other lines."""
    cells = [cell.strip() for cell in line.split("|")]
    return (cells[1], cells[2]) if line.startswith("| P") and _NUMBER.fullmatch(cells[1]) else None


def _order(key: tuple[str, str]) -> tuple[int, str, str]:
    number = _NUMBER.fullmatch(key[0])
    assert number, key
    return int(number[1]), number[2], key[1]


def _row(result: Result) -> str:
    figure = result.figure
    reached = f"{figure.reached} ({figure.note})" if figure.note else figure.reached
    cells = [
        figure.promise,
        result.database,
        figure.promised,
        figure.tried,
        reached,
        "kept" if figure.kept else "**missed**",
        str(result.seed),
        f"{result.seconds:.0f}",
        time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        _commit(),
        f"{len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, load {os.getloadavg()[1]:.1f}",
    ]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _commit() -> str:
    """What was put to the test; with a plus when more than this page differs from the commit."""
    commit, changes = (
        _git("rev-parse", "--short", "HEAD"),
        _git("status", "--porcelain", "--", ":/", f":!{PAGE.name}"),
    )
    return f"{commit}+" if changes else commit or "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=PAGE.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()
