"""A worker is lost at every page boundary of a bootstrap: the mirror ends the same, and each loss costs at most one page."""

from collections import Counter

import pytest

from shared import database
from shared.database import Sessions
from shared.lifecycle import task as lifecycle
from shared.models.task import ENDED, Task, TaskState
from shared.settings import Settings
from tests.upstream import faults
from tests.upstream.mirror import Mirror, pointed_at
from tests.upstream.records import make_records
from tests.upstream.server import START, Request, Upstream

PAGES = 40
PAGE = 50


@pytest.fixture
def mirror(sessions: Sessions, settings: Settings, upstream: Upstream) -> Mirror:
    upstream.records = {record["id"]: record for record in make_records(3, PAGES * PAGE, START)}
    settings = pointed_at(settings, upstream).with_changes(nvd_feed_url="off")
    return Mirror(sessions, settings, upstream)


def test_a_worker_lost_at_every_page_boundary(mirror: Mirror):
    """Lost: its lease is over in the middle of its work, and whatever it still does counts for nothing."""
    due, lost = set(range(PAGES)), 0
    task_id = mirror.ask()

    def lose(request: Request) -> None:
        nonlocal lost
        page = request.start // PAGE
        if request.params.get("resultsPerPage") == "1" or page not in due:
            return
        due.discard(page)
        with database.transaction(mirror.sessions) as session:
            lifecycle.expire(session, session.get_one(Task, task_id))
        lost += 1

    mirror.upstream.before = lose
    while True:
        task = mirror.attempt(task_id)
        if task.state == TaskState.SUCCESS and not due:
            break
        if task.state in ENDED:  # given up after three lost workers; somebody asks again
            task_id = mirror.ask()
    assert lost == PAGES
    assert mirror.differences() == []
    asked = Counter(r.start for r in mirror.upstream.requests if "lastModStartDate" not in r.params)
    asked.pop(0)  # the probes begin there too
    # Each page but the first was asked for in vain once, when its worker was lost; its predecessor may be fetched again.
    assert sum(asked.values()) - 2 * (PAGES - 1) <= lost


@pytest.mark.parametrize("after", range(1, 9))
def test_a_sync_that_is_cancelled_goes_on_later(mirror: Mirror, after: int):
    mirror.upstream.records = dict(list(mirror.upstream.records.items())[: 6 * PAGE])
    task_id = mirror.ask()

    def cancel(_request: Request) -> None:
        if len(mirror.upstream.requests) == after:
            with database.transaction(mirror.sessions) as session:
                lifecycle.request_cancel(session, task_id)

    mirror.upstream.before = cancel
    mirror.attempt(task_id)
    mirror.upstream.before = lambda _request: None
    mirror.sync()
    assert mirror.differences() == []


def test_a_cancel_ends_a_long_wait(mirror: Mirror):
    task_id = mirror.ask()

    def cancel(_request: Request) -> None:
        with database.transaction(mirror.sessions) as session:
            task = session.get_one(Task, task_id)
            if task.cancel_requested_at is None:
                lifecycle.request_cancel(session, task_id)

    mirror.upstream.before = cancel
    mirror.upstream.api_down = faults.too_many("300")
    task = mirror.attempt(task_id)
    assert task.state == "REVOKED"
    assert mirror.last_sync.state == "cancelled"
