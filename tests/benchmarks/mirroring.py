"""Importing feeds: the first time, the same files again, the same records in files that are not known."""

import multiprocessing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from shared import database
from shared.models.mirror import CriterionUse, FeedCheckpoint
from tests.benchmarks.harness import (
    Bench,
    Figure,
    Held,
    Spent,
    at_least,
    at_most,
    sessions_for,
    size_mb,
    spend,
)
from worker_service import interpreter
from worker_service.handlers.nvd.feeds import import_feed


def measure(bench: Bench) -> Iterator[Figure]:
    """The budgets of the import; leaves the mirror for whoever comes next."""
    url = bench.new_database("mirror")
    first = import_in_a_process(url, bench.feeds)
    records = first.result["read"]
    rate = records / first.seconds
    about = f"{records:,} CVEs, {uses(url):,} uses of criteria; {first}"
    yield at_least("first import", rate, "CVE/s", 4000 if bench.kind == "sqlite" else 2000, about)
    yield at_most("peak resident memory of the worker", first.peak_mib, "MiB", 512)
    size = size_mb(url)
    yield at_most("database", size, "MB", 500) if bench.kind == "sqlite" else Figure("database", size, "MB")
    again = import_in_a_process(url, bench.feeds)
    assert again.result["changed"] == again.result["read"] == 0
    yield at_least(
        "the same files again", first.seconds / again.seconds, "times faster", 5, f"{again.seconds:.2f} s"
    )
    forget_the_files(url)
    compared = import_in_a_process(url, bench.feeds)
    assert (compared.result["changed"], compared.result["unchanged"]) == (0, records)
    faster = first.seconds / compared.seconds
    yield at_least("the same records in unknown files", faster, "times faster", 5, str(compared))
    bench.mirror_url = url


def import_in_a_process(url: str, feeds: Sequence[Path]) -> Spent:
    """Import in a process of its own, as a worker does, so that its memory can be told."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_import, (url, [str(feed) for feed in feeds]))


def uses(url: str) -> int:
    """How many uses of criteria the mirror holds."""
    with database.reading(sessions_for(url)) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(CriterionUse)) or 0


def forget_the_files(url: str) -> None:
    """Make the next import compare record by record."""
    with database.transaction(sessions_for(url)) as session:
        session.execute(sa.delete(FeedCheckpoint))


def _import(url: str, feeds: Sequence[str]) -> Spent:
    interpreter.settle()
    sessions = sessions_for(url)

    def all_of_them() -> dict[str, int]:
        totals: dict[str, Any] = {}
        for feed in feeds:
            work: Any = Held(sessions)
            effect = import_feed(work, feed)
            with work.transaction() as session:
                for name, value in (effect(session) or {}).items():
                    totals[name] = totals.get(name, 0) + value if isinstance(value, int) else value
        return totals

    return spend(all_of_them)
