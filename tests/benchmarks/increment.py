"""The increment: over the yearly feeds, the feed `modified`. What really changed, counted twice, independently."""

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from shared import database
from shared.models.mirror import ChangeKind, MirrorChange, Snapshot, Vulnerability
from tests.benchmarks.harness import Bench, Figure, at_least, sessions_for
from tests.benchmarks.mirroring import import_in_a_process

MODIFIED = "nvdcve-2.0-modified.json.gz"


def measure(bench: Bench) -> Iterator[Figure]:
    """Import `modified` over the yearly feeds, and compare the change log with the files themselves."""
    path = bench.feeds[0].with_name(MODIFIED)
    url = bench.new_database("increment")
    import_in_a_process(url, bench.feeds)
    before = last_snapshot(url)
    spent = import_in_a_process(url, [path])
    logged = changes(url, before)
    expected = really_changed(bench.feeds, path)
    about = f"{len(expected)} by comparing the files; {spent.result['read']} read in {spent.seconds:.1f} s"
    yield at_least("change log = the files' difference", float(set(logged) == expected), "", 1, about)
    for kind in ChangeKind:
        yield Figure(kind, sum(each == kind for each in logged.values()), "CVEs")
    again = import_in_a_process(url, [path])
    yield Figure("the same increment again", again.result["changed"], "changes")


def last_snapshot(url: str) -> int:
    with database.reading(sessions_for(url)) as session:
        return session.scalar(sa.select(sa.func.max(Snapshot.number))) or 0


def changes(url: str, after: int) -> dict[str, ChangeKind]:
    """The change log since a snapshot, by CVE id."""
    with database.reading(sessions_for(url)) as session:
        query = sa.select(Vulnerability.cve_id, MirrorChange.kind).join(
            MirrorChange, MirrorChange.vulnerability_id == Vulnerability.id
        )
        return dict(session.execute(query.where(MirrorChange.snapshot > after)).tuples().all())


def really_changed(years: Sequence[Path], modified: Path) -> set[str]:
    """The ids of `modified` whose record is new, or is another one and not older than the one of its year."""
    new = records(modified)
    old: dict[str, Any] = {}
    for path in years:
        old |= {name: record for name, record in records(path).items() if name in new}
    return {
        name
        for name, record in new.items()
        if name not in old or (record != old[name] and record["lastModified"] >= old[name]["lastModified"])
    }


def records(path: Path) -> dict[str, Any]:
    """The records of a feed by CVE id, read without any of our own code."""
    with gzip.open(path) as file:
        return {each["cve"]["id"]: each["cve"] for each in json.load(file)["vulnerabilities"]}
