"""Every error is a problem."""

import json

import pytest

from api_service.blueprint import JSON_LIMIT
from api_service.errors import STATUS, status_of
from shared import errors
from shared.errors import VedetteError


def is_problem(answer, status):
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert set(answer.json) - {"errors"} == {"type", "title", "status", "detail", "request_id"}
    assert answer.json["status"] == status
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert "Traceback" not in answer.text
    return True


def test_what_is_nowhere_is_404(nobody):
    assert is_problem(nobody.client.get("/nowhere"), 404)
    assert is_problem(nobody.get("/nowhere"), 404)


def test_a_wrong_method_is_405_with_those_that_are_right(admin):
    answer = admin.put("/users")
    assert is_problem(answer, 405)
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b"\xff\xfe",
        b'"\xed\xa0\x80"',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 5000,
    ],
)
def test_what_is_no_json_is_400(admin, body):
    answer = admin.post("/users", data=body, content_type="application/json")
    assert is_problem(answer, 400)


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"1", b"{}"])
def test_json_of_another_shape_is_422(admin, body):
    assert is_problem(admin.post("/users", data=body, content_type="application/json"), 422)


def test_no_body_is_422(admin):
    assert is_problem(admin.post("/users"), 422)
    assert is_problem(admin.post("/users", data=b"", content_type="application/json"), 422)
    assert is_problem(admin.ask("PATCH", f"/users/{admin.user_id}"), 422)


@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800", "\\udfff\\ud800"])
@pytest.mark.parametrize("template", ['{"name": "a%s"}', '{"%s": 1}', '{"x": [{"y": "%s"}]}'])
def test_what_no_database_can_store_is_422(admin, template, escape):
    answer = admin.post("/users", data=template % escape, content_type="application/json")
    assert is_problem(answer, 422)
    assert "NUL" in answer.json["detail"]


def test_a_pair_of_surrogates_is_a_character(admin):
    body = '{"email": "a@example.org", "role": "viewer", "name": "\\ud83d\\ude00"}'
    answer = admin.post("/users", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["name"]) == (201, "\N{GRINNING FACE}")


def test_another_type_is_415(admin):
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/xml", "x"):
        assert is_problem(admin.post("/users", data=b"{}", content_type=content_type), 415)


def test_a_large_body_is_413_for_ordinary_operations(admin):
    body = json.dumps({"name": "x" * JSON_LIMIT})
    assert is_problem(admin.post("/users", data=body, content_type="application/json"), 413)


def test_an_unexpected_failure_is_500_and_tells_nothing(app, viewer):
    secret = "the database's password"

    def fail():
        raise RuntimeError(secret)

    app.add_url_rule("/fail", "fail", fail)
    answer = viewer.client.get("/fail")
    assert is_problem(answer, 500)
    assert secret not in answer.text


def test_every_exception_has_a_status():
    def tree(kind):
        yield kind
        for child in kind.__subclasses__():
            yield from tree(child)

    workers_own = {errors.VedetteError, errors.Transient, errors.Permanent, errors.Interrupted}
    for kind in tree(VedetteError):
        if kind.__module__ == "shared.errors" and not issubclass(kind, tuple(workers_own - {VedetteError})):
            assert kind in STATUS, f"{kind.__name__} has no status of its own"
        assert (status_of(kind) == 500) == any(
            issubclass(kind, own) for own in workers_own - {VedetteError}
        ) or (kind is VedetteError)
