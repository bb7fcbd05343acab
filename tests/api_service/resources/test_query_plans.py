"""What the lists ask is answered through indexes, also where another table has a say: each of its rows is found by its key.

SQLite tells; PostgreSQL chooses by what a table holds, and small ones it reads whole.
"""

import pytest
import sqlalchemy as sa

from shared import database
from shared.lifecycle import finding as lifecycle
from shared.models.finding import Severity
from tests.builders import add_run, add_scan, enrich


@pytest.fixture
def engine(sqlite_engine):
    return sqlite_engine


@pytest.fixture
def filled(sample, sessions):
    """A mirror, one finding, one score."""
    enrich(sessions, kev=["CVE-2023-38545"], epss={"CVE-2014-0160": 0.9})
    seen = lifecycle.Observed(
        "name:openssl", "openssl", frozenset(), "CVE-2014-0160", "likely", Severity.HIGH, 7.5, True, []
    )
    with database.transaction(sessions) as session:
        scan = add_scan(session)
        frame = lifecycle.Recording(scan.asset_id, add_run(session, scan).id, 1, {})
        lifecycle.record(session, frame, [seen])


@pytest.fixture
def plan(engine, viewer, filled):
    """How SQLite answers what a request asks of the tables of the mirror and the findings."""

    def plan(path):
        asked = []

        def note(_connection, _cursor, statement, parameters, *_):
            asked.append((statement, parameters))

        sa.event.listen(engine, "before_cursor_execute", note)
        assert len(viewer.get(path).json) >= 1
        sa.event.remove(engine, "before_cursor_execute", note)
        with engine.connect() as connection:
            told = [
                row[3]
                for statement, parameters in asked
                if "FROM vulnerability" in statement or "FROM finding" in statement
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]
        return "\n".join(told)

    return plan


def test_exploited_vulnerabilities_are_found_through_both_their_indexes(plan):
    told = plan("/vulnerabilities?kev=true")
    assert "SEARCH vulnerability USING INDEX sqlite_autoindex_vulnerability_1 (cve_id=?)" in told
    assert "vulnerability USING INDEX ix_vulnerability_kev_added" in told


def test_likely_vulnerabilities_are_found_by_their_score(plan):
    told = plan("/vulnerabilities?epss_min=0.5")
    assert "SEARCH epss_score USING COVERING INDEX ix_epss_score_score (score>?)" in told or (
        "SEARCH epss_score USING INDEX ix_epss_score_score (score>?)" in told
    )
    assert "SEARCH vulnerability USING INTEGER PRIMARY KEY (rowid=?)" in told


def test_a_page_in_the_order_of_publication_is_read_in_that_order(plan):
    assert "SCAN vulnerability USING COVERING INDEX ix_vulnerability_published" in plan("/vulnerabilities")


def test_scores_are_looked_up_by_key(plan):
    for path in ("/vulnerabilities?sort=epss", "/vulnerabilities/findings?sort=epss"):
        told = plan(path)
        assert "SEARCH epss_score USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN" in told
        assert "SCAN epss_score" not in told


def test_findings_look_their_vulnerabilities_up_by_id(plan):
    told = plan("/vulnerabilities/findings?epss_min=0.5")
    assert "SEARCH epss_score USING" in told
    assert "SCAN vulnerability" not in told
    assert "SCAN epss_score" not in told
