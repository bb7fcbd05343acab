"""Reading the mirror: lookup, match and explanation over rows, on both databases."""

import json

import psycopg
import pytest
import sqlalchemy as sa

from shared import database, mirror
from shared.errors import Cancelled, NotFound
from shared.matching.certainty import Certainty
from shared.matching.component import Component
from shared.matching.reason import Reason
from shared.models.finding import Severity
from shared.models.mirror import vulnerability_id
from tests.cves import any_of, cve, fill, platform, vulnerable

OPENSSL = "cpe:2.3:a:openssl:openssl:{}:*:*:*:*:*:*:*"
LINUX = "cpe:2.3:o:linux:linux_kernel:{}:*:*:*:*:*:*:*"
WINDOWS = "cpe:2.3:o:microsoft:windows:{}:*:*:*:*:*:*:*"


def component(*cpes, **fields):
    return Component(cpes=tuple(cpes), **fields)


def match(sessions, *components, **options):
    with database.reading(sessions) as session:
        return mirror.match(session, components, **options)


def pairs(result):
    return [(each.component, result.details[each.vulnerability_id].cve_id) for each in result.matches]


RANGE = any_of(vulnerable(OPENSSL.format("*"), versionStartIncluding="1.0.1", versionEndExcluding="1.0.1g"))


def test_an_empty_mirror_matches_nothing(sessions):
    result = match(sessions, component(OPENSSL.format("1.0.1f")))
    assert (result.matches, result.snapshot, result.criteria, result.candidates) == ([], 0, 0, 0)


@pytest.mark.parametrize(
    ("version", "affected"), [("1.0.0", False), ("1.0.1", True), ("1.0.1f", True), ("1.0.1g", False)]
)
def test_a_range(sessions, version, affected):
    fill(sessions, cve("CVE-2014-0160", RANGE))
    assert pairs(match(sessions, component(OPENSSL.format(version)))) == [(0, "CVE-2014-0160")] * affected


def test_an_exact_version_is_found_by_equality_and_others_are_not_even_fetched(sessions):
    versions = [f"1.0.{number}" for number in range(40)]
    fill(
        sessions,
        *(cve(f"CVE-2015-{1000 + n}", any_of(vulnerable(OPENSSL.format(v)))) for n, v in enumerate(versions)),
    )
    result = match(sessions, component(OPENSSL.format("1.0.7")))
    assert pairs(result) == [(0, "CVE-2015-1007")]
    assert (result.criteria, result.candidates) == (1, 1)


def test_other_products_cost_nothing(sessions):
    others = (
        cve(f"CVE-2016-{1000 + n}", any_of(vulnerable(f"cpe:2.3:a:v:p{n}:*:*:*:*:*:*:*:*")))
        for n in range(50)
    )
    fill(sessions, cve("CVE-2014-0160", RANGE), *others)
    result = match(sessions, component(OPENSSL.format("1.0.1")))
    assert (result.criteria, result.candidates, len(result.matches)) == (1, 1, 1)


def test_what_a_match_tells(sessions):
    fields = {"cisaExploitAdd": "2022-05-04", "cisaActionDue": "2022-05-25"}
    fill(sessions, cve("CVE-2014-0160", RANGE, score=7.5, **fields))
    result = match(sessions, component(OPENSSL.format("1.0.1f"), name="openssl", version="1.0.1f"))
    (found,) = result.matches
    assert (found.component, found.vulnerability_id) == (0, vulnerability_id("CVE-2014-0160"))
    assert found.certainty is Certainty.CONFIRMED
    assert result.details[found.vulnerability_id] == mirror.Details(
        found.vulnerability_id, "CVE-2014-0160", Severity.HIGH, 7.5, kev=True
    )
    assert result.snapshot == 1
    assert found.evidence["path"] == "configurations[0].nodes[0].cpeMatch[0]"
    assert found.evidence["criterion"]["versionEndExcluding"] == "1.0.1g"
    assert json.loads(json.dumps(found.evidence)) == found.evidence


def test_matches_come_by_component_then_by_cve(sessions):
    fill(sessions, cve("CVE-2020-20000", RANGE), cve("CVE-2014-0160", RANGE), cve("CVE-2020-9999", RANGE))
    affected = component(OPENSSL.format("1.0.1f"))
    result = match(sessions, affected, component(LINUX.format("5.4")), affected)
    expected = ["CVE-2014-0160", "CVE-2020-9999", "CVE-2020-20000"]
    assert pairs(result) == [(index, name) for index in (0, 2) for name in expected]


def test_configurations_are_evaluated_over_the_whole_set_of_components(sessions):
    record = cve("CVE-2021-0001", RANGE, any_of(platform(WINDOWS.format("-"))), operator="AND")
    fill(sessions, record)
    openssl = component(OPENSSL.format("1.0.1f"))
    alone = match(sessions, openssl)
    assert [each.certainty for each in alone.matches] == [Certainty.CONDITIONAL]
    assert [each.certainty for each in match(sessions, openssl, component(WINDOWS.format("-"))).matches] == [
        Certainty.CONFIRMED
    ]
    assert match(sessions, openssl, component(LINUX.format("5.4"))).matches == []


def test_hosts_are_matched_apart_from_each_other_and_from_the_asset(sessions):
    record = cve("CVE-2021-0001", RANGE, any_of(platform(WINDOWS.format("-"))), operator="AND")
    fill(sessions, record)
    openssl = OPENSSL.format("1.0.1f")
    told = []
    result = match(
        sessions,
        component(WINDOWS.format("-"), host="192.0.2.1"),
        component(openssl, host="192.0.2.2"),
        component(openssl, host="192.0.2.1"),
        component(LINUX.format("5.4")),
        component(openssl, host="192.0.2.3"),
        component(LINUX.format("5.4"), host="192.0.2.3"),
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert {each.component: each.certainty for each in result.matches} == {
        1: Certainty.CONDITIONAL,
        2: Certainty.CONFIRMED,
    }
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_platform_alone_makes_no_candidate(sessions):
    record = cve("CVE-2021-0001", RANGE, any_of(platform(LINUX.format("-"))), operator="AND")
    fill(sessions, record)
    result = match(sessions, component(LINUX.format("-")))
    assert (result.matches, result.candidates) == ([], 0)
    assert result.criteria == 1


def test_a_rejected_record_matches_nothing_and_says_so(sessions):
    fill(sessions, cve("CVE-2014-0160", RANGE))
    fill(sessions, cve("CVE-2014-0160", RANGE, vulnStatus="Rejected", lastModified="2026-02-01T00:00:00.000"))
    affected = component(OPENSSL.format("1.0.1f"))
    assert match(sessions, affected).matches == []
    with database.reading(sessions) as session:
        assert mirror.explain(session, [affected], 0, "CVE-2014-0160").reason is Reason.REJECTED


def test_the_cna_s_own_data_is_used_where_the_nvd_says_nothing(sessions):
    data = {
        "vendor": "openssl",
        "product": "openssl",
        "versions": [
            {"version": "1.0.1", "lessThan": "1.0.1g", "status": "affected", "versionType": "custom"}
        ],
    }
    fill(
        sessions,
        cve("CVE-2026-0001", affected=[{"source": "x", "affectedData": [data]}], vulnStatus="Received"),
    )
    result = match(sessions, component(OPENSSL.format("1.0.1f")), component(OPENSSL.format("1.0.1g")))
    assert [(each.component, each.certainty) for each in result.matches] == [(0, Certainty.POSSIBLE)]


def test_a_package_url_finds_its_criteria(sessions):
    fill(sessions, cve("CVE-2021-44228", any_of(vulnerable("cpe:2.3:a:apache:log4j:2.14.0:*:*:*:*:*:*:*"))))
    found = match(sessions, Component(purl="pkg:maven/org.apache.logging.log4j/log4j-core@2.14.0"))
    assert [each.certainty for each in found.matches] == [Certainty.LIKELY]


@pytest.mark.parametrize("version", ["%00", "%0A", "1.0.1%00", "%EF%BF%BD", "%F0%9F%94%93"])
def test_a_version_that_cannot_be_printed_is_no_trouble(sessions, version):
    """A package URL may hide any character behind a percent sign; PostgreSQL takes no NUL."""
    fill(sessions, cve("CVE-2014-0160", RANGE))
    assert match(sessions, Component("openssl", purl=f"pkg:generic/openssl@{version}")).candidates <= 1


def test_more_keys_and_candidates_than_fit_one_statement(sessions, monkeypatch):
    monkeypatch.setattr(database, "LIST_LENGTH", 7)
    fill(
        sessions,
        *(
            cve(f"CVE-2015-{1000 + n}", any_of(vulnerable(f"cpe:2.3:a:v:p{n % 30}:1:*:*:*:*:*:*:*")))
            for n in range(90)
        ),
    )
    components = [component(f"cpe:2.3:a:v:p{n}:1:*:*:*:*:*:*:*") for n in range(30)]
    told = []
    result = match(sessions, *components, on_progress=lambda current, total: told.append((current, total)))
    assert len(result.matches) == 90
    assert (result.criteria, result.candidates) == (30, 90)
    assert told == [(min(90, 7 * step), 90) for step in range(1, 14)]
    assert pairs(result) == sorted(pairs(result))


def test_whoever_follows_the_progress_can_stop_it(sessions):
    fill(sessions, cve("CVE-2014-0160", RANGE))

    def stop(_current, _total):
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        match(sessions, component(OPENSSL.format("1.0.1f")), on_progress=stop)


def test_a_reader_sees_one_snapshot_while_the_mirror_moves_on(sessions):
    fill(sessions, cve("CVE-2014-0160", RANGE))
    affected = component(OPENSSL.format("1.0.1f"))
    with database.reading(sessions) as session:
        assert mirror.snapshot(session) == 1
        fill(sessions, cve("CVE-2015-0001", RANGE))
        result = mirror.match(session, [affected])
        assert (result.snapshot, len(result.matches)) == (1, 1)
    assert (match(sessions, affected).snapshot, len(match(sessions, affected).matches)) == (2, 2)


def test_why_and_why_not(sessions):
    fill(sessions, cve("CVE-2014-0160", RANGE), cve("CVE-2026-0001", vulnStatus="Received"))
    openssl = [component(OPENSSL.format("1.0.1f")), component(OPENSSL.format("1.0.1g"))]
    with database.reading(sessions) as session:
        assert mirror.explain(session, openssl, 0, "CVE-2014-0160").matches
        assert mirror.explain(session, openssl, 1, "CVE-2014-0160").reason is Reason.VERSION_OUTSIDE
        assert mirror.explain(session, openssl, 0, "CVE-2026-0001").reason is Reason.NOT_ANALYSED
        with pytest.raises(NotFound, match="CVE-1999-0001"):
            mirror.explain(session, openssl, 0, "CVE-1999-0001")


def test_the_lookups_use_their_indexes(sessions):
    """The plan is what keeps the cost independent of the mirror's size; PostgreSQL knows nothing of these tables."""
    fill(sessions, cve("CVE-2014-0160", RANGE))
    openssl = [component(OPENSSL.format("1.0.1f"))]
    with database.reading(sessions) as session:
        text = "\n".join(plans(session, lambda: mirror.match(session, openssl)))
    for way in WAYS[session.get_bind().dialect.name]:
        assert way in text
    for way in ("SCAN criterion", "SCAN vulnerability", "Seq Scan", "Hash Join"):
        assert way not in text


WAYS = {
    "sqlite": (
        "SEARCH criterion USING INDEX ix_criterion_product_key_version_key (product_key=? AND version_key=?)",
        "SEARCH criterion_use USING PRIMARY KEY (criterion_id=?)",
        "SEARCH vulnerability USING INTEGER PRIMARY KEY (rowid=?)",
    ),
    "postgresql": ("ix_criterion_product_key_version_key", "pk_criterion_use", "pk_vulnerability"),
}


def test_planning_is_as_before_after_the_lookups(postgres_engine):
    sessions = database.make_sessions(postgres_engine)
    with database.reading(sessions) as session:
        mirror.match(session, [component(OPENSSL.format("1.0.1f"))])
        settings = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")
        assert [session.execute(sa.text(f"SHOW {name}")).scalar_one() for name in settings] == ["on"] * 4


@pytest.mark.parametrize("count", [1, 300])
def test_as_many_lookups_whatever_the_number_of_components(sessions, count):
    fill(sessions, cve("CVE-2014-0160", RANGE))
    components = [component(OPENSSL.format("1.0.1f"), name=f"openssl{number}") for number in range(count)]
    with database.reading(sessions) as session:
        seen = plans(session, lambda: mirror.match(session, components))
    assert len(seen) == 3  # criteria, who uses them, those vulnerabilities


def plans(session, work):
    """How the database goes about each look-up that `work` has it do, in its own words."""
    driver = session.connection().connection.driver_connection
    seen = []
    if session.get_bind().dialect.name == "sqlite":
        driver.set_trace_callback(seen.append)
        work()
        driver.set_trace_callback(None)
        return [steps(driver, "EXPLAIN QUERY PLAN", each) for each in seen if "snapshot" not in each]

    class Explaining(psycopg.Cursor):
        def execute(self, query, params=None, **options):
            if "snapshot" not in query and "SET LOCAL" not in query:
                driver.cursor_factory = psycopg.Cursor
                seen.append(steps(driver, "EXPLAIN (COSTS OFF)", query, params))
                driver.cursor_factory = Explaining
            return super().execute(query, params, **options)

    driver.cursor_factory = Explaining
    try:
        work()
    finally:
        driver.cursor_factory = psycopg.Cursor
    return seen


def steps(driver, explain, statement, parameters=()):
    return "\n".join(row[-1] for row in driver.execute(f"{explain} {statement}", parameters))
