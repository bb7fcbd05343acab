"""Rules that every operation of the API keeps, new ones too."""

import json

import pytest

from api_service.app import BLUEPRINTS, create_app
from api_service.blueprint import Operation
from api_service.schemas.base import Input, Schema

PUBLIC = {
    "/api/v1/auth/login",
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/docs/assets/<name>",
    "/openapi.json",
}
"""Everything that answers without a token."""


@pytest.fixture
def engine(request):
    """One database is enough: nothing is asked of it."""
    return request.getfixturevalue("sqlite_engine")


@pytest.fixture
def app(settings):
    return create_app(settings)


@pytest.fixture
def document(app):
    return app.test_client().get("/openapi.json").json


def operations(document):
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    ]


def resolved(document, node):
    while "$ref" in node:
        found = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def test_every_route_needs_a_role_or_is_meant_to_be_public(app):
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        role = getattr(view, "required_role", None)
        assert (role is None) == (rule.rule in PUBLIC), rule.rule


def test_every_route_without_a_token_is_401(app):
    client = app.test_client()
    for rule in app.url_map.iter_rules():
        if rule.rule in PUBLIC:
            continue
        path = rule.rule
        for argument in rule.arguments:
            converter = rule._converters[argument]
            value = "0b6f9c1e-8f5b-4b57-9d0c-3a3d5a1c7e42" if "UUID" in type(converter).__name__ else "x"
            path = path.replace(f"<{argument}>", value).replace(f"<uuid:{argument}>", value)
        for method in rule.methods - {"OPTIONS", "HEAD"}:
            assert client.open(path, method=method).status_code == 401, f"{method} {path}"


def test_every_route_of_ours_is_in_the_document(app, document):
    documented = {path.replace("{", "<").replace("}", ">") for path in document["paths"]}
    for rule in app.url_map.iter_rules():
        plain = rule.rule.replace("<uuid:", "<")
        assert plain in documented or rule.rule in PUBLIC, rule.rule


def test_every_operation_is_described(document):
    ids = []
    for name, operation in operations(document):
        ids.append(operation["operationId"])
        assert operation["summary"].endswith("."), name
        assert operation["description"], name
        assert len(operation["tags"]) == 1, name
        assert ("x-role" in operation) == bool(operation["security"]), name
    assert len(ids) == len(set(ids))


def test_every_operation_documents_its_answers_and_an_example_of_each(document):
    for name, operation in operations(document):
        statuses = operation["responses"]
        assert any(status < "300" for status in statuses), name
        assert {"500", "503"} <= set(statuses), name
        if operation["security"]:
            assert "401" in statuses, name
        if "{" in name:
            assert "404" in statuses, name
        for status, reference in statuses.items():
            answer = resolved(document, reference)
            assert answer["description"], name
            if status == "204":
                continue
            for content_type, content in answer["content"].items():
                assert "example" in content or "examples" in content, f"{name} {status}"
                assert (content_type == "application/problem+json") == (status >= "400"), f"{name} {status}"


def test_every_body_has_an_example(document):
    for name, operation in operations(document):
        for content in operation.get("requestBody", {"content": {}})["content"].values():
            assert "example" in content or "examples" in content, name


def test_every_field_and_parameter_is_described(document):
    for name, schema in document["components"]["schemas"].items():
        for field, properties in schema.get("properties", {}).items():
            assert properties.get("description"), f"{name}.{field}"
    for name, operation in operations(document):
        for reference in operation.get("parameters", ()):
            parameter = resolved(document, reference)
            assert parameter["in"] == "path" or parameter.get("description"), f"{name} {parameter['name']}"


def test_every_example_of_a_body_is_accepted_by_its_schema():
    def tree(kind):
        for child in kind.__subclasses__():
            yield child
            yield from tree(child)

    for schema in tree(Input):
        assert issubclass(schema, Schema)
        schema().load(schema.example())


def test_what_creates_or_starts_takes_an_idempotency_key(document):
    for name, operation in operations(document):
        starts = {"201", "202"} & set(operation["responses"])
        names = {parameter.get("name") for parameter in operation.get("parameters", ())}
        if name.startswith("POST") and starts:
            assert "Idempotency-Key" in names, name


def test_every_operation_is_made_by_the_one_decorator():
    for blueprint in BLUEPRINTS:
        for methods in blueprint._docs.values():
            for method, documented in methods.items():
                assert method == "parameters" or isinstance(documented["operation"], Operation)


def test_the_document_is_the_same_every_time(settings):
    first, second = (create_app(settings).test_client().get("/openapi.json").text for _ in range(2))
    assert first == second
    assert json.loads(first)["openapi"].startswith("3.")
