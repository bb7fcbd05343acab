"""People who use the API while faults strike, and the oracle that says what their answers oblige us to."""

import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
import sqlalchemy as sa

from shared import database
from shared.models.asset import Asset
from shared.models.scan import OPEN_RUN, Run, Scan
from tests.faults.bench import Bench, Client

PROBLEM = "application/problem+json"


@contextmanager
def load(clients: Sequence[Client], people: int = 3, pause: float = 0.1) -> Iterator[None]:
    """`people` who create, start and read until the block ends, each with one of the clients in turn."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=_use, args=(clients[number % len(clients)], stop, pause), daemon=True)
        for number in range(people)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(120)


def _use(client: Client, stop: threading.Event, pause: float) -> None:
    """An asset, its components, a scan, a start, some reading; whoever is refused begins again."""
    while not stop.is_set():
        _round(client, stop, pause)


def _round(client: Client, stop: threading.Event, pause: float) -> None:
    def step(method: str, path: str, document: Any = None) -> Any:
        stop.wait(pause)
        answer = client.call(method, path, document)
        return answer.json() if isinstance(answer, requests.Response) and answer.ok else None

    asset = step("POST", "/assets", {"name": f"load {uuid.uuid4().hex}", "kind": "application"})
    if asset is None:
        return
    step(
        "PUT", f"/assets/{asset['id']}/inventory", {"components": [{"name": "openssl", "version": "1.0.1f"}]}
    )
    scan = step(
        "POST", "/vulnerabilities/scans", {"name": "load", "asset_id": asset["id"], "scanner": "inventory"}
    )
    if scan is None:
        return
    step("POST", f"/vulnerabilities/scans/{scan['id']}/start")
    step("GET", f"/vulnerabilities/scans/{scan['id']}/status")
    step("GET", "/vulnerabilities/findings?page_size=5")


@dataclass
class Verdict:
    """What became of what was asked."""

    acknowledged: int = 0
    """Writes that were answered with 201 or 202."""
    lost: list[str] = field(default_factory=list)
    """Those of them that are not in the database."""
    unended: int = 0
    """Runs that are under way still."""
    refused: int = 0
    """Answers 503 as they should be: a problem document with Retry-After."""
    wrong: list[str] = field(default_factory=list)
    """Every other answer that is no success, as text."""
    silent: int = 0
    """Requests without an answer."""

    @property
    def kept(self) -> bool:
        return bool(self.acknowledged) and not (self.lost or self.unended or self.wrong)


def judge(bench: Bench) -> Verdict:
    """Replay the journal: every write that was acknowledged must be there, and every run must have ended."""
    verdict = Verdict(silent=len(bench.journal.of("no answer")))
    with database.reading(bench.sessions) as session:
        assets, scans, runs = (
            {str(each) for each in session.scalars(sa.select(model.id))} for model in (Asset, Scan, Run)
        )
        open_runs = sa.select(sa.func.count()).select_from(Run).where(Run.status.in_(OPEN_RUN))
        verdict.unended = session.scalar(open_runs) or 0
    for answer in bench.journal.of("answer"):
        status, path = answer["status"], answer["path"]
        if status >= 400:
            if status == 503 and answer["retry"] and answer["type"] == PROBLEM:
                verdict.refused += 1
            else:
                verdict.wrong.append(f"{answer['method']} {path}: {status} {answer['body'][:160]}")
        elif answer["method"] == "POST":
            verdict.acknowledged += 1
            if path.endswith("/start"):
                key, there = answer["body"]["run_id"], runs
            else:
                key, there = answer["body"]["id"], assets if path == "/assets" else scans
            if key not in there:
                verdict.lost.append(f"{path} {key}")
    return verdict


def seconds_of(bench: Bench, since: float, until: float, method: str | None = None) -> list[float]:
    """How long the answers took that came between two moments (`time.time()`)."""
    return [
        each["seconds"]
        for each in bench.journal.of("answer")
        if since <= each["at"] <= until and (method is None or each["method"] == method)
    ]


def pause(bench: Bench, low: float, high: float) -> None:
    """A moment whose length the seed decides."""
    time.sleep(bench.dice.uniform(low, high))
