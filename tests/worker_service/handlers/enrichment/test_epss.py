"""FIRST's scores as they are held."""

import sqlalchemy as sa

from shared import database
from shared.models.enrichment import EpssScore, Source
from shared.models.mirror import vulnerability_id
from tests.upstream.published import EPSS, scores
from worker_service.handlers.enrichment import epss


def rows(sessions):
    with database.reading(sessions) as session:
        columns = sa.select(EpssScore.vulnerability_id, EpssScore.score, EpssScore.percentile)
        return {row[0]: tuple(row[1:]) for row in session.execute(columns)}


def test_scores_are_held_by_the_key_of_their_vulnerability(sessions, publisher, installation):
    publisher.files[EPSS] = scores("CVE-2014-0160,0.94461,0.9999", "CVE-2026-12345,0.00042,0.0512")
    installation.sync(Source.EPSS)
    assert rows(sessions) == {
        vulnerability_id("CVE-2014-0160"): (0.94461, 0.9999),
        vulnerability_id("CVE-2026-12345"): (0.00042, 0.0512),
    }


def test_odd_lines_and_repeated_ones_are_counted(sessions, publisher, installation):
    publisher.files[EPSS] = scores("CVE-2014-0160,0.9,0.9", "CVE-2014-0160,0.1,0.1", "CVE-2014-0161,high,1")
    assert installation.sync(Source.EPSS).result["skipped"] == 2
    assert installation.look(Source.EPSS).skipped == {
        "listed twice": 1,
        "a score or percentile that is no number": 1,
    }
    assert rows(sessions) == {vulnerability_id("CVE-2014-0160"): (0.9, 0.9)}


def test_many_come_in_batches(sessions, publisher, installation, monkeypatch):
    monkeypatch.setattr(epss, "BATCH", 7)
    publisher.files[EPSS] = scores(*(f"CVE-2026-{number},0.5,0.5" for number in range(1000, 1030)))
    assert installation.sync(Source.EPSS).result["count"] == len(rows(sessions)) == 30
