"""Rows that tests stand on, made with what matters to the test and defaults for the rest."""

import datetime as dt
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database
from shared.database import Sessions
from shared.encryption import Cipher
from shared.lifecycle import run as run_lifecycle
from shared.lifecycle import task as lifecycle
from shared.models.asset import Asset, AssetKind, InventorySource
from shared.models.channel import Channel, ChannelKind, ChannelState, Digest
from shared.models.coverage import MirrorCoverage, ProvenRange
from shared.models.enrichment import EnrichmentSource, EpssScore, KnownExploited, Source
from shared.models.mirror import Sync, SyncKind, vulnerability_id
from shared.models.notification import Priority
from shared.models.scan import Run, Scan, ScannerKind
from shared.models.task import Task
from shared.models.user import Role, User
from shared.settings import Settings
from shared.tasks import CLEANUP_OLD_NOTIFICATIONS, Asking, ask

SECRET = "whsec_" + "c2VjcmV0LW9mLXR3ZW50eS1mb3VyLWJ5dGVz"
"""What the tests' webhooks sign with."""
LEASE = dt.timedelta(seconds=15)
T = TypeVar("T")


def add_user(session: Session) -> User:
    user = User(
        email=f"{uuid.uuid4().hex}@example.org",
        name="Ada",
        role=Role.ANALYST,
        created_at=database.now(session),
    )
    session.add(user)
    session.flush()
    return user


def add_scan(session: Session, scanner: ScannerKind = ScannerKind.INVENTORY, **values: Any) -> Scan:
    now = database.now(session)
    asset = Asset(
        name=f"shop {uuid.uuid4().hex}", kind=AssetKind.APPLICATION, tags=[], created_at=now, updated_at=now
    )
    session.add(asset)
    session.flush()
    times = {"created_at": now, "updated_at": now}
    scan = Scan(
        **{"name": "weekly", "asset_id": asset.id, "scanner": scanner, "options": {}, **times, **values}
    )
    session.add(scan)
    session.flush()
    return scan


def add_run(session: Session, scan: Scan | None = None, requested_by: uuid.UUID | None = None) -> Run:
    return run_lifecycle.start(session, scan or add_scan(session), requested_by)


def add_channel(
    session: Session, user_id: uuid.UUID, target: str, settings: Settings, **values: Any
) -> Channel:
    """A webhook to `target` unless `values` say otherwise, its secret `SECRET`."""
    now = database.now(session)
    cipher = Cipher.of(settings)
    defaults = {
        "kind": ChannelKind.WEBHOOK,
        "name": "pager",
        "shown_target": "…",
        "destination": urlsplit(target).netloc or "smtp",
        "secret": cipher.encrypt(SECRET),
        "min_priority": Priority.LOW,
        "digest": Digest.IMMEDIATE,
        "state": ChannelState.ACTIVE,
        "state_since": now,
        "created_at": now,
        "updated_at": now,
    }
    channel = Channel(user_id=user_id, target=cipher.encrypt(target), **{**defaults, **values})
    session.add(channel)
    session.flush()
    return channel


def components(*names: str, version: str | None = "1.0") -> list[dict[str, Any]]:
    return [
        {"name": name, "version": version, "vendor": None, "type": None, "purl": None, "cpes": []}
        for name in names
    ]


def prove(sessions: Sessions, watermark: dt.datetime, total: int = 0) -> None:
    """Say that the mirror is complete until `watermark`."""
    with database.transaction(sessions) as session:
        session.merge(MirrorCoverage(id=1, watermark=watermark))
        sync = Sync(kind=SyncKind.FULL, source="test", started_at=watermark)
        session.add(sync)
        session.flush()
        span = {"since": None, "until": watermark, "proven_at": database.now(session)}
        session.add(ProvenRange(**span, total=total, source="test", sync_id=sync.id))


def enrich(sessions: Sessions, kev: Sequence[str] = (), epss: Mapping[str, float] | None = None) -> None:
    """What CISA's catalogue and FIRST's scores say, as if they had just been read."""
    with database.transaction(sessions) as session:
        now = database.now(session)
        for cve_id in kev:
            entry = {"name": "Heartbleed", "action": "Update.", "cwes": [], "ransomware": True}
            session.add(KnownExploited(cve_id=cve_id, added=dt.date(2022, 5, 4), **entry))
        for cve_id, score in (epss or {}).items():
            session.add(
                EpssScore(vulnerability_id=vulnerability_id(cve_id), score=score, percentile=score / 2)
            )
        for source in Source:
            held = {"count": len(kev) if source is Source.KEV else len(epss or {}), "version": "1"}
            times = {"released_at": now, "last_attempt_at": now, "last_success_at": now}
            session.add(EnrichmentSource(name=source, url="", **held, **times))


INVENTORY = InventorySource.INVENTORY


def ask_for(sessions: Sessions, **how: Any) -> Task:
    """A task that does nothing of interest."""
    with database.transaction(sessions) as session:
        return session.get_one(Task, ask(session, CLEANUP_OLD_NOTIFICATIONS, Asking(**how), days_old=30))


def claim(sessions: Sessions, task_id: uuid.UUID, lease: dt.timedelta = LEASE) -> Task | None:
    with database.transaction(sessions) as session:
        return lifecycle.claim(session, task_id, "worker-1", lease)


def claimed(sessions: Sessions, **how: Any) -> Task:
    task = claim(sessions, ask_for(sessions, **how).id)
    assert task is not None
    return task


def read(sessions: Sessions, task_id: uuid.UUID) -> Task:
    with database.reading(sessions) as session:
        return session.get_one(Task, task_id)


def change(sessions: Sessions, task_id: uuid.UUID, **values: Any) -> None:
    """Write into a task's row what no transition would, such as a time that has passed."""
    with database.transaction(sessions) as session:
        session.execute(sa.update(Task).where(Task.id == task_id).values(**values))


def ago(sessions: Sessions, **delta: float) -> dt.datetime:
    with database.reading(sessions) as session:
        return database.now(session) - dt.timedelta(**delta)


PATIENCE = 50.0
"""Seconds that a test waits for another process: long, since a busy machine is slow and a failure is rare."""


def at_once(actions: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """Run functions in threads that start together; what each gave or raised."""
    gate = threading.Barrier(len(actions))

    def go(action: Callable[[], T]) -> T | Exception:
        gate.wait(10)
        try:
            return action()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(go, actions))


def wait_for(condition: Callable[[], T], seconds: float = PATIENCE, what: str = "") -> T:
    """Poll until `condition` gives something true; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition}"
        time.sleep(0.02)
    return result
