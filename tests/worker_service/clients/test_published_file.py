"""A published file over HTTP: fetched whole or not at all, and only when it has changed."""

import gzip
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Permanent, Transient
from tests.upstream import faults, quick
from tests.upstream.faults import Answer
from tests.upstream.published import Publisher
from tests.upstream.server import serving
from worker_service.clients import published_file
from worker_service.clients.http import Spoiled
from worker_service.clients.published_file import Fetched, Validators, unpacked

NOTHING = Validators()
BODY = b"as it was published\n" * 1000


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with serving(Publisher({"/plain": BODY, "/packed": gzip.compress(BODY)})) as fake:
        yield fake


@pytest.fixture
def fetch(publisher):
    def fetch(path="/packed", known=NOTHING, patience=quick.PATIENCE) -> Fetched[bytes] | None:
        caller = quick.caller("the publisher", patience)
        return published_file.fetch(caller, publisher.url + path, "SOME_URL", b"".join, known)

    return fetch


@pytest.mark.parametrize("path", ["/plain", "/packed"])
def test_a_file_is_fetched_and_unpacked(fetch, path):
    assert fetch(path).content == BODY


def test_a_file_that_is_known_is_not_fetched_again(publisher, fetch):
    first = fetch()
    assert first.validators.etag
    assert fetch(known=first.validators) is None
    publisher.files["/packed"] = gzip.compress(b"another")
    assert fetch(known=first.validators).content == b"another"
    assert publisher.statuses == [200, 304, 200]


def test_what_a_publisher_does_not_say_is_not_sent_back(publisher, fetch):
    publisher.validators = False
    assert fetch().validators == Validators()
    assert not {"if-none-match", "if-modified-since"} & set(publisher.headers[0])


def test_an_unchanged_that_nobody_asked_for_is_not_believed(publisher, fetch):
    publisher.down = lambda _right: Answer(304)
    with pytest.raises(Permanent, match="answered 304"):
        fetch()


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (faults.forbidden, "the publisher answered 403 with an HTML page"),
        (faults.unavailable, "the publisher answered 503 with an HTML page"),
        (faults.hung_up, "hung up without an answer"),
        (faults.cut, "broke off in the middle"),
        (faults.truncated, "a gzip file that breaks off"),
    ],
    ids=["403", "503", "hung up", "cut", "truncated"],
)
def test_what_passes_is_asked_for_again(publisher, fetch, fault, text):
    publisher.faults = [fault, fault]
    assert fetch().content == BODY
    publisher.down = fault
    with pytest.raises(Transient, match=text):
        fetch()


def test_what_does_not_pass_names_the_setting(fetch):
    with pytest.raises(Permanent, match="the publisher answered 404 with an HTML page; is SOME_URL right"):
        fetch("/elsewhere")


def test_a_redirect_is_followed(publisher, fetch):
    publisher.faults = [lambda _right: Answer(302, b"", {"Location": "/plain"})]
    assert fetch("/current").content == BODY


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_unpacked_or_spoiled(data, size):
    try:
        b"".join(unpacked(data[start : start + size] for start in range(0, len(data), size)))
    except Spoiled:
        assert data.startswith(b"\x1f\x8b")


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=3), st.integers(1, 64))
def test_gzip_files_in_any_pieces_are_unpacked(parts, size):
    data = b"".join(gzip.compress(part) for part in parts)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert b"".join(unpacked(pieces)) == b"".join(parts)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_a_gzip_file_that_breaks_off_is_spoiled(body, data):
    packed = gzip.compress(body)
    end = data.draw(st.integers(2, len(packed) - 1))
    with pytest.raises(Spoiled):
        list(unpacked([packed[:end]]))


def test_a_file_that_never_ends_is_spoiled(monkeypatch):
    monkeypatch.setattr(published_file, "LARGEST", 1_000_000)
    with pytest.raises(Spoiled, match="too large"):
        list(unpacked([gzip.compress(b"\0" * 10_000_000)]))
