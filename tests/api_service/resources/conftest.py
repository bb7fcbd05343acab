"""A small mirror to ask about."""

import importlib.resources
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shared.sample
from shared import database
from shared.database import Sessions
from shared.settings import Settings
from shared.tasks import IMPORT_NVD_FEED, ask
from worker_service.handlers.nvd.feeds import import_feed
from worker_service.tasks import Frame


@pytest.fixture
def load_feed(sessions: Sessions, settings: Settings, tmp_path: Path) -> Callable[..., None]:
    """Mirrors records, `{"cve": {...}}` each, as the worker does."""

    def load(*elements: dict[str, Any]) -> None:
        feed = {
            "format": "NVD_CVE",
            "version": "2.0",
            "timestamp": "2026-06-18T00:00:00.000",
            "totalResults": len(elements),
            "vulnerabilities": list(elements),
        }
        path = tmp_path / "feed.json"
        path.write_text(json.dumps(feed))
        with database.transaction(sessions) as session:
            task_id = ask(session, IMPORT_NVD_FEED, path=str(path))
        Frame(sessions, settings).run(str(task_id), import_feed)

    return load


@pytest.fixture
def sample(load_feed: Callable[..., None]) -> None:
    """The sample that the project ships, mirrored."""
    text = importlib.resources.files(shared.sample).joinpath("feed.json").read_text()
    load_feed(*json.loads(text)["vulnerabilities"])
