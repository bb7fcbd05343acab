"""Reading feed files: real shapes, odd shapes, and everything that is no feed."""

import gzip
import json
import tracemalloc

import pytest

from shared.errors import Permanent
from worker_service.clients import nvd_feeds
from worker_service.clients.nvd_feeds import Feed

ENVELOPE = {
    "resultsPerPage": 2,
    "startIndex": 0,
    "totalResults": 2,
    "format": "NVD_CVE",
    "version": "2.0",
    "timestamp": "2026-03-09T03:00:23.4065184",
}


def element(number, **more):
    return {"cve": {"id": f"CVE-2020-{number:04}", "note": 'braces }, { "cve" and \\" quotes', **more}}


def document(elements, **options):
    return json.dumps({**ENVELOPE, "vulnerabilities": elements}, **options).encode()


def write(path, content):
    path.write_bytes(content)
    return path


def read(path):
    with Feed(path) as feed:
        return list(feed.records())


def parsed(records):
    return [json.loads(record) for record in records]


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(nvd_feeds, "BLOCK", 256)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    "options",
    [{}, {"indent": 2}, {"indent": 2, "separators": (" , ", " : ")}, {"separators": (",", ":")}],
    ids=["default", "indented", "spaced", "minified"],
)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
def test_every_record_in_order_however_it_is_spaced(tmp_path, options, count):
    elements = [element(number, nested=[{"cve": {"a": [number]}}, []]) for number in range(count)]
    assert parsed(read(write(tmp_path / "feed.json", document(elements, **options)))) == elements


def test_white_space_between_values_goes_and_nothing_else_changes(tmp_path):
    record = b'{ "cve" : { "id" : "x\\u00e9 \\/ y" , "n" : 1.50, "e": 1E5, "id" : "twice" } }'
    path = write(tmp_path / "feed.json", b'{"vulnerabilities": [' + record + b"]}")
    assert read(path) == [b'{"cve":{"id":"x\\u00e9 \\/ y","n":1.50,"e":1E5,"id":"twice"}}']


@pytest.mark.usefixtures("small_blocks")
def test_records_that_begin_differently_than_the_first_two(tmp_path):
    elements = [element(number) if number < 5 else {"new": [1], **element(number)} for number in range(40)]
    assert parsed(read(write(tmp_path / "feed.json", document(elements, indent=1)))) == elements


@pytest.mark.usefixtures("small_blocks")
def test_a_record_longer_than_many_blocks(tmp_path):
    elements = [element(1), element(2), element(3, description="}, {" * 2000), element(4)]
    assert parsed(read(write(tmp_path / "feed.json", document(elements)))) == elements


def test_gzip_is_known_by_its_content_not_its_name(tmp_path):
    path = write(tmp_path / "feed.json", gzip.compress(document([element(1)])))
    assert parsed(read(path)) == [element(1)]


def test_fields_after_the_records_and_elements_that_are_no_records(tmp_path):
    content = (
        b'{"format": "NVD_CVE", "vulnerabilities": [null, 5, "}", {"cve": {}}], "after": {"x": [1, {}]}}'
    )
    assert parsed(read(write(tmp_path / "feed.json", content))) == [None, 5, "}", {"cve": {}}]


@pytest.mark.usefixtures("small_blocks")
def test_a_record_that_is_no_json_is_handed_on_as_it_came_and_the_others_are_read(tmp_path):
    broken = b'{"cve": {"id": "CVE-2020-0007", oops}}'
    parts = [json.dumps(element(number)).encode() for number in range(20)]
    parts.insert(7, broken)
    records = read(write(tmp_path / "feed.json", b'{"vulnerabilities": [' + b", ".join(parts) + b"]}"))
    assert len(records) == 21
    assert records[7].strip() == broken
    assert parsed(records[:7] + records[8:]) == [element(number) for number in range(20)]


def test_the_head_says_what_the_feed_holds(tmp_path):
    with Feed(write(tmp_path / "feed.json", document([element(1), element(2)]))) as feed:
        assert feed.head.total == 2
        assert feed.head.timestamp == "2026-03-09T03:00:23.4065184"
        assert (feed.head.format, feed.head.version) == ("NVD_CVE", "2.0")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><title>Maintenance</title>", "it is HTML or XML"),
        (b'{"CVE_data_type": "CVE", "CVE_Items": []}', "the 1.1 feeds"),
        (b'{"message": "no"}', "no array `vulnerabilities`"),
        (b'["vulnerabilities", {"a": 1, "vulnerabilities": [{}]}', "before its records"),
        (gzip.compress(b"<html>", mtime=0)[:12], "cut off"),
        (b"\x1f\x8b" + b"no gzip at all", "cannot be read"),
    ],
)
def test_what_is_no_feed_is_refused_with_what_it_is(tmp_path, content, says):
    with pytest.raises(Permanent, match=says):
        Feed(write(tmp_path / "feed.json", content))


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(Permanent, match="No such file"):
        Feed(tmp_path / "nothing.json")
    with pytest.raises(Permanent, match="Is a directory"):
        Feed(tmp_path)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_breaks_off_gives_what_was_whole_and_says_so(tmp_path, packed):
    whole = document([element(number) for number in range(30)])
    content = gzip.compress(whole)[:-20] if packed else whole[:-400]
    records = []
    with (
        Feed(write(tmp_path / "feed", content)) as feed,
        pytest.raises(Permanent, match=r"cut off|not complete"),
    ):
        records.extend(feed.records())
    assert 20 <= len(records) <= 30
    assert parsed(records) == [element(number) for number in range(len(records))]


def test_a_record_without_an_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(nvd_feeds, "LARGEST_RECORD", 5000)
    monkeypatch.setattr(nvd_feeds, "BLOCK", 1000)
    content = b'{"vulnerabilities": [{"cve": {"id": "' + b"x" * 100_000
    with pytest.raises(Permanent, match="record 0 has no end"):
        read(write(tmp_path / "feed.json", content))


def test_stray_brackets_are_damage(tmp_path):
    with pytest.raises(Permanent, match="after record 1"):
        read(write(tmp_path / "feed.json", b'{"vulnerabilities": [{"cve": {}}, }'))


def test_memory_does_not_grow_with_the_file(tmp_path):
    def peak(count):
        path = write(
            tmp_path / f"{count}.json.gz",
            gzip.compress(document([element(n, text="x" * 2000) for n in range(count)])),
        )
        tracemalloc.start()
        with Feed(path) as feed:
            assert sum(1 for _ in feed.records()) == count
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result

    assert peak(12_000) < 1.2 * peak(3_000)


@pytest.mark.parametrize("year", [2003, 2011, 2018, 2026])
def test_real_feeds_are_read_whole(data_dir, year):
    with Feed(data_dir / "nvd" / f"nvdcve-2.0-{year}.json.gz") as feed:
        ids = [json.loads(record)["cve"]["id"] for record in feed.records()]
    assert len(ids) == len(set(ids)) == feed.head.total
