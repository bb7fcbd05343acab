"""Importing feed files: what the mirror holds afterwards, on both databases."""

import gzip
import json
import threading
import uuid
from types import SimpleNamespace

import msgspec
import pytest
import sqlalchemy as sa

from shared import database, mirror
from shared.errors import Cancelled, Permanent
from shared.models import mirror as models
from shared.models.mirror import ChangeKind, unpack_ids, vulnerability_id
from worker_service.handlers.nvd import batches, feeds, files, records

OPENSSL = "cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*"
NGINX = "cpe:2.3:a:f5:nginx:*:*:*:*:*:*:*:*"
TABLES = (
    models.Vulnerability,
    models.VulnerabilityRecord,
    models.Criterion,
    models.CriterionUse,
    models.VulnerabilityCwe,
)


class Work:
    """A claimed task's handle, without the claim."""

    def __init__(self, sessions):
        self.task_id = uuid.uuid4()
        self.sessions = sessions
        self.reported = []
        self.checkpoints = 0
        self.stop_at = None

    def progress(self, stage, current, total=None):
        self.reported.append((stage, current, total))
        self.raise_if_cancelled()

    def raise_if_cancelled(self):
        self.checkpoints += 1
        if self.stop_at is not None and self.checkpoints >= self.stop_at:
            raise Cancelled("somebody asked")

    def transaction(self):
        return database.transaction(self.sessions)

    def reading(self):
        return database.reading(self.sessions)


def cve(number, modified="2020-01-01T00:00:00.000", criteria=(OPENSSL,), **fields):
    matches = [{"vulnerable": True, "criteria": text} if isinstance(text, str) else text for text in criteria]
    return {
        "id": f"CVE-2020-{number:04}",
        "published": "2020-01-01T00:00:00.000",
        "lastModified": modified,
        "vulnStatus": "Analyzed",
        "descriptions": [{"lang": "en", "value": f"Flaw {number}"}],
        "weaknesses": [{"description": [{"lang": "en", "value": "CWE-79"}]}],
        "configurations": [{"nodes": [{"operator": "OR", "cpeMatch": matches}]}],
        **fields,
    }


def feed(path, records):
    elements = [each if isinstance(each, bytes) else json.dumps({"cve": each}).encode() for each in records]
    head = json.dumps({"totalResults": len(records), "timestamp": "2026-03-09T03:00:23.4065184"}).encode()
    path.write_bytes(head[:-1] + b', "vulnerabilities": [' + b", ".join(elements) + b"]}")
    return path


def run(sessions, path, work=None):
    work = work or Work(sessions)
    effect = feeds.import_feed(work, str(path))
    with work.transaction() as session:
        return effect(session)


def rows(sessions, *tables):
    """The tables' content, but for what says when and by which batch."""
    content = {}
    with database.reading(sessions) as session:
        for table in tables or TABLES:
            columns = [each for each in table.__table__.c if each.name not in {"snapshot"}]
            content[table.__tablename__] = sorted(map(tuple, session.execute(sa.select(*columns))), key=repr)
    return content


def scalars(sessions, statement):
    with database.reading(sessions) as session:
        return list(session.scalars(statement))


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(files, "BATCH", 3)


def test_an_import_fills_the_mirror(sessions, tmp_path):
    platform = {"vulnerable": False, "criteria": NGINX, "versionEndExcluding": "1.2", "matchCriteriaId": "A0"}
    result = run(sessions, feed(tmp_path / "feed.json", [cve(1), cve(2, criteria=[OPENSSL, platform])]))
    assert result == {
        "source": "feed.json",
        "already_imported": False,
        "read": 2,
        "changed": 2,
        "unchanged": 0,
        "quarantined": 0,
    }
    with database.reading(sessions) as session:
        criteria = {each.criteria: each for each in session.scalars(sa.select(models.Criterion))}
        assert set(criteria) == {OPENSSL, NGINX}
        nginx = criteria[NGINX]
        assert (nginx.version_end_excluding, nginx.match_criteria_id, nginx.version_key) == ("1.2", "A0", "")
        uses = session.execute(
            sa.select(
                models.CriterionUse.criterion_id,
                models.CriterionUse.vulnerability_id,
                models.CriterionUse.vulnerable,
            )
        ).all()
        first, second = vulnerability_id("CVE-2020-0001"), vulnerability_id("CVE-2020-0002")
        openssl = criteria[OPENSSL].id
        assert set(uses) == {(openssl, first, True), (openssl, second, True), (nginx.id, second, False)}
        assert json.loads(mirror.record(session, first)) == {"cve": cve(1)}
        assert mirror.record(session, 1) is None
        vulnerability = session.get_one(models.Vulnerability, first)
        assert (vulnerability.cve_id, vulnerability.description, vulnerability.snapshot) == (
            "CVE-2020-0001",
            "Flaw 1",
            1,
        )
        assert mirror.snapshot(session) == 1
        sync = session.scalars(sa.select(models.Sync)).one()
        assert (sync.upstream_total, sync.source) == (2, "feed.json")
        assert sync.upstream_timestamp.isoformat() == "2026-03-09T03:00:23.406518+00:00"


@pytest.mark.usefixtures("small_batches")
def test_the_same_content_twice_changes_nothing(sessions, tmp_path):
    records = [cve(number) for number in range(1, 8)]
    path = feed(tmp_path / "feed.json", records)
    run(sessions, path)
    before = rows(sessions, *TABLES, models.MirrorChange, models.Snapshot)
    # The same file is known as a whole; the same records in another file, spaced and packed otherwise, one by one.
    assert run(sessions, path)["already_imported"]
    other = tmp_path / "other.json.gz"
    other.write_bytes(gzip.compress(msgspec.json.format(path.read_bytes(), indent=3)))
    again = run(sessions, other)
    assert (again["read"], again["changed"], again["unchanged"]) == (7, 0, 7)
    assert rows(sessions, *TABLES, models.MirrorChange, models.Snapshot) == before
    with database.reading(sessions) as session:
        assert mirror.snapshot(session) == 3


def test_fields_in_another_order_are_no_change(sessions, tmp_path):
    run(sessions, feed(tmp_path / "one.json", [cve(1)]))
    turned = dict(reversed(cve(1).items()))
    assert run(sessions, feed(tmp_path / "two.json", [turned]))["changed"] == 0
    assert scalars(sessions, sa.select(models.MirrorChange.kind)) == [ChangeKind.ADDED]


def test_a_changed_record_replaces_all_of_the_old_one(sessions, tmp_path):
    run(sessions, feed(tmp_path / "one.json", [cve(1), cve(2)]))
    newer = cve(
        1,
        "2020-01-02T00:00:00.000",
        criteria=[NGINX],
        weaknesses=[{"description": [{"lang": "en", "value": "CWE-20"}]}],
    )
    assert run(sessions, feed(tmp_path / "two.json", [newer, cve(2)]))["changed"] == 1
    fresh = rows(sessions)
    key = vulnerability_id("CVE-2020-0001")
    assert [row for row in fresh["vulnerability_cwe"] if row[0] == key] == [(key, "CWE-20")]
    with database.reading(sessions) as session:
        ids = dict(session.execute(sa.select(models.Criterion.criteria, models.Criterion.id)).all())
        change = session.scalars(
            sa.select(models.MirrorChange).where(models.MirrorChange.snapshot == 2)
        ).one()
        assert (change.vulnerability_id, change.kind) == (key, ChangeKind.CHANGED)
        assert unpack_ids(change.old_criteria) == [ids[OPENSSL]]
        assert unpack_ids(change.new_criteria) == [ids[NGINX]]
        used = session.scalars(
            sa.select(models.CriterionUse.criterion_id).where(models.CriterionUse.vulnerability_id == key)
        )
        assert list(used) == [ids[NGINX]]
        assert session.get_one(models.Vulnerability, key).snapshot == 2
        assert session.get_one(models.Vulnerability, vulnerability_id("CVE-2020-0002")).snapshot == 1


def test_a_use_that_turns_into_a_platform(sessions, tmp_path):
    run(sessions, feed(tmp_path / "one.json", [cve(1)]))
    newer = cve(1, "2020-01-02T00:00:00.000", criteria=[{"vulnerable": False, "criteria": OPENSSL}, NGINX])
    run(sessions, feed(tmp_path / "two.json", [newer]))
    pairs = sa.select(models.Criterion.criteria, models.CriterionUse.vulnerable).join(
        models.CriterionUse, models.CriterionUse.criterion_id == models.Criterion.id
    )
    with database.reading(sessions) as session:
        assert set(session.execute(pairs).all()) == {(OPENSSL, False), (NGINX, True)}


def test_never_back_to_an_older_record(sessions, tmp_path):
    run(sessions, feed(tmp_path / "new.json", [cve(1, "2021-01-01T00:00:00.000", criteria=[NGINX])]))
    before = rows(sessions)
    assert run(sessions, feed(tmp_path / "old.json", [cve(1)]))["unchanged"] == 1
    assert rows(sessions) == before


def test_other_content_under_the_same_time_is_taken(sessions, tmp_path):
    run(sessions, feed(tmp_path / "one.json", [cve(1)]))
    assert run(sessions, feed(tmp_path / "two.json", [cve(1, criteria=[NGINX])]))["changed"] == 1


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_cve_twice_in_one_batch_is_the_newer_one(sessions, tmp_path, newest_first):
    versions = [cve(1), cve(1, "2021-01-01T00:00:00.000", criteria=[NGINX])]
    if newest_first:
        versions.reverse()
    assert run(sessions, feed(tmp_path / "feed.json", versions))["changed"] == 1
    with database.reading(sessions) as session:
        assert (
            json.loads(mirror.record(session, vulnerability_id("CVE-2020-0001")))["cve"]["lastModified"][:4]
            == "2021"
        )


def test_a_rejected_record_stays_and_is_used_by_nothing(sessions, tmp_path):
    run(sessions, feed(tmp_path / "one.json", [cve(1)]))
    rejected = cve(1, "2020-01-02T00:00:00.000", vulnStatus="Rejected")
    again = cve(1, "2020-01-03T00:00:00.000", vulnStatus="Rejected", published="2020-01-01T00:00:00.001")
    run(sessions, feed(tmp_path / "two.json", [rejected]))
    run(sessions, feed(tmp_path / "three.json", [again]))
    run(sessions, feed(tmp_path / "four.json", [cve(1, "2020-01-04T00:00:00.000")]))
    kinds = sa.select(models.MirrorChange.kind).order_by(models.MirrorChange.snapshot)
    assert scalars(sessions, kinds) == [
        ChangeKind.ADDED,
        ChangeKind.REJECTED,
        ChangeKind.CHANGED,
        ChangeKind.CHANGED,
    ]
    assert len(rows(sessions)["criterion_use"]) == 1


def test_records_that_cannot_be_used_are_kept_aside(sessions, tmp_path):
    broken = b'{"cve": {"id": "CVE-2020-0003", oops}}'
    nameless = {"no": "id"}
    unusable = cve(2, criteria=[{"vulnerable": True, "criteria": 7}])
    path = feed(tmp_path / "feed.json", [cve(1), unusable, broken, nameless, cve(4)])
    result = run(sessions, path)
    assert (result["read"], result["changed"], result["quarantined"]) == (5, 2, 3)
    with database.reading(sessions) as session:
        kept = {each.position: each for each in session.scalars(sa.select(models.Quarantine))}
        assert set(kept) == {1, 2, 3}
        assert (kept[1].key, kept[1].cve_id) == ("CVE-2020-0002", "CVE-2020-0002")
        assert "no criterion that can be read" in kept[1].reason
        assert (
            mirror.quarantined_record(session, "CVE-2020-0002")
            == json.dumps({"cve": unusable}, separators=(",", ":")).encode()
        )
        assert mirror.quarantined_record(session, kept[2].key).strip() == broken
        assert kept[2].key.startswith("sha256:")
        assert {each.source for each in kept.values()} == {"feed.json"}
        assert "not a CVE id" in kept[3].reason


def test_a_quarantined_record_leaves_when_a_usable_one_comes(sessions, tmp_path):
    unusable = cve(2, criteria=[{"vulnerable": True, "criteria": 7}])
    run(sessions, feed(tmp_path / "feed.json", [unusable, {"no": "id"}]))
    first = rows(sessions, models.Quarantine)
    # The same again keeps its place in history; a repaired one leaves, and so does the nameless one that is gone.
    run(sessions, feed(tmp_path / "feed.json", [unusable, {"no": "id"}, cve(1)]))
    assert [row[:7] for row in rows(sessions, models.Quarantine)["quarantine"]] == [
        row[:7] for row in first["quarantine"]
    ]
    run(sessions, feed(tmp_path / "feed.json", [cve(2), cve(1)]))
    assert rows(sessions, models.Quarantine) == {"quarantine": []}


def test_a_usable_record_stays_when_its_successor_cannot_be_used(sessions, tmp_path):
    run(sessions, feed(tmp_path / "one.json", [cve(1)]))
    before = rows(sessions)
    odd = cve(1, "2021-01-01T00:00:00.000", criteria=[{"vulnerable": True, "criteria": 7}])
    run(sessions, feed(tmp_path / "two.json", [odd]))
    assert rows(sessions) == before
    assert scalars(sessions, sa.select(models.Quarantine.key)) == ["CVE-2020-0001"]


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "No such file"), (b"<html>", "HTML"), (b"\x1f\x8b" + b"garbage" * 9, "cannot be read")],
)
def test_what_is_no_feed_fails_for_good_and_is_on_record(sessions, tmp_path, content, says):
    path = tmp_path / "feed.json.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Permanent, match=says):
        run(sessions, path)
    with database.reading(sessions) as session:
        sync = session.scalars(sa.select(models.Sync)).one()
        assert sync.read == 0


@pytest.mark.usefixtures("small_batches")
def test_a_feed_that_breaks_off_keeps_what_came_before(sessions, tmp_path):
    records = [cve(number) for number in range(1, 9)]
    whole = feed(tmp_path / "whole.json", records).read_bytes()
    path = tmp_path / "feed.json"
    path.write_bytes(whole[: whole.index(b"CVE-2020-0008")])
    with pytest.raises(Permanent, match="within record 7"):
        run(sessions, path)
    held = scalars(sessions, sa.select(models.Vulnerability.cve_id).order_by(models.Vulnerability.id))
    assert held == [f"CVE-2020-{number:04}" for number in range(1, 8)]
    assert scalars(sessions, sa.select(models.Sync.read)) == [7]
    # The whole file then is another one, and only what is missing changes.
    assert run(sessions, tmp_path / "whole.json")["changed"] == 1


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("stop_at", range(1, 8))
def test_stopped_at_any_checkpoint_it_goes_on_and_ends_the_same(sessions, tmp_path, stop_at):
    path = feed(tmp_path / "feed.json", [cve(number) for number in range(1, 9)] + [{"no": "id"}])
    work = Work(sessions)
    work.stop_at = stop_at
    with pytest.raises(Cancelled):
        run(sessions, path, work)
    held = len(scalars(sessions, sa.select(models.Vulnerability.id)))
    assert sum(scalars(sessions, sa.select(models.Sync.changed))) == held
    committed = scalars(sessions, sa.select(models.FeedCheckpoint.position))
    work.stop_at, work.reported = None, []
    result = run(sessions, path, work)
    assert (result["read"], result["changed"], result["quarantined"]) == (9, 8, 1)
    assert work.reported[0] == ("importing", sum(committed), 9)
    assert scalars(sessions, sa.select(models.Snapshot.number).order_by(models.Snapshot.number)) == [1, 2, 3]
    assert len(scalars(sessions, sa.select(models.MirrorChange.vulnerability_id))) == 8


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("fault", ["_advance", "_write_uses", "_write_vulnerabilities"])
def test_a_fault_within_a_batch_undoes_the_whole_batch(sessions, tmp_path, monkeypatch, fault):
    module = files if fault == "_advance" else batches
    original, calls = getattr(module, fault), []

    def fail_at_the_second(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise RuntimeError("killed")
        return original(*arguments)

    monkeypatch.setattr(module, fault, fail_at_the_second)
    path = feed(tmp_path / "feed.json", [cve(number) for number in range(1, 9)])
    work = Work(sessions)
    with pytest.raises(RuntimeError):
        run(sessions, path, work)
    assert len(scalars(sessions, sa.select(models.Vulnerability.id))) == 3
    assert scalars(sessions, sa.select(models.FeedCheckpoint.position)) == [3]
    assert scalars(sessions, sa.select(models.SnapshotCounter.number)) == [1]
    assert run(sessions, path, work)["changed"] == 8
    assert scalars(sessions, sa.select(models.Snapshot.number).order_by(models.Snapshot.number)) == [1, 2, 3]


@pytest.mark.usefixtures("small_batches")
def test_progress_counts_records_against_what_the_feed_says(sessions, tmp_path):
    work = Work(sessions)
    run(sessions, feed(tmp_path / "feed.json", [cve(number) for number in range(1, 9)]), work)
    assert work.reported == [("importing", done, 8) for done in (0, 3, 6, 8)]


@pytest.mark.usefixtures("small_batches")
def test_two_imports_at_once_leave_one_true_mirror(sessions, tmp_path):
    older = [cve(number, criteria=[OPENSSL, NGINX]) for number in range(1, 40)]
    newer = [cve(number, "2020-01-02T00:00:00.000", criteria=[NGINX]) for number in range(20, 60)]
    paths = [feed(tmp_path / "older.json", older), feed(tmp_path / "newer.json", newer)]
    failures = []

    def import_one(path):
        try:
            run(sessions, path)
        except Exception as error:  # a thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=import_one, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    numbers = scalars(sessions, sa.select(models.Snapshot.number).order_by(models.Snapshot.number))
    assert numbers == list(range(1, len(numbers) + 1))
    assert scalars(sessions, sa.select(models.SnapshotCounter.number)) == [len(numbers)]
    assert sum(scalars(sessions, sa.select(models.Snapshot.changed))) == len(
        scalars(sessions, sa.select(models.MirrorChange.snapshot))
    )
    content = rows(sessions)
    assert len(content["vulnerability"]) == 59
    nginx = next(row[0] for row in content["criterion"] if row[1] == NGINX)
    openssl = next(row[0] for row in content["criterion"] if row[1] == OPENSSL)
    users = {
        criterion: {row[1] for row in content["criterion_use"] if row[0] == criterion}
        for criterion in (nginx, openssl)
    }
    assert len(users[nginx]) == 59
    assert users[openssl] == {vulnerability_id(f"CVE-2020-{number:04}") for number in range(1, 20)}


def test_a_new_conversion_takes_an_imported_file_again(sessions, tmp_path, monkeypatch):
    path = feed(tmp_path / "feed.json", [cve(1)])
    run(sessions, path)
    monkeypatch.setattr(records, "CONVERSION", b"next")
    result = run(sessions, path)
    assert not result["already_imported"]
    assert result["read"] == 1


def test_two_criteria_with_one_id_are_noticed(sessions, tmp_path, monkeypatch):
    run(sessions, feed(tmp_path / "one.json", [cve(1)]))
    records._file.cache_clear()
    taken = scalars(sessions, sa.select(models.Criterion.id))[0]
    monkeypatch.setattr(records, "criterion_id", lambda *_: taken)
    with pytest.raises(Permanent, match="two different criteria have the same id"):
        run(sessions, feed(tmp_path / "two.json", [cve(2, criteria=[NGINX])]))
    records._file.cache_clear()


def test_real_feeds_on_top_of_each_other(sessions, data_dir):
    first = run(sessions, data_dir / "nvd" / "nvdcve-2.0-2003.json.gz")
    assert (first["read"], first["changed"], first["quarantined"]) == (1555, 1555, 0)
    second = run(sessions, data_dir / "nvd" / "nvdcve-2.0-modified.json.gz")
    assert (second["read"], second["quarantined"]) == (2286, 0)
    held = {row[0] for row in rows(sessions, models.Vulnerability)["vulnerability"]}
    assert first["changed"] <= len(held) <= first["read"] + second["changed"]
    changed = scalars(sessions, sa.select(sa.func.count()).select_from(models.MirrorChange))[0]
    assert changed == first["changed"] + second["changed"]


@pytest.fixture(autouse=True)
def _own_cache():
    """Ids are cached by content; a test that replaces how they are made must not leave its own behind."""
    yield SimpleNamespace()
    records._file.cache_clear()
