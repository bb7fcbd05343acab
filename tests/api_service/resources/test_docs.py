"""Swagger UI."""

import re

import pytest


@pytest.fixture
def engine(request):
    """One database is enough: the page asks none."""
    return request.getfixturevalue("sqlite_engine")


def test_every_script_is_our_own_or_bears_the_nonce_of_its_answer(nobody):
    answers = [nobody.client.get("/docs") for _ in range(2)]
    nonces = []
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        nonces += re.findall(r"script-src 'self' 'nonce-([^']+)';", policy)
        assert "http" not in policy
        for attributes in re.findall(r"<script([^>]*)>", answer.text):
            assert f'nonce="{nonces[-1]}"' in attributes or 'src="/docs/assets/' in attributes
    assert len(set(nonces)) == 2


def test_what_the_page_names_is_there(nobody):
    page = nobody.client.get("/docs").text
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert "/openapi.json" in named
    for path in named:
        assert path.startswith("/")
        with nobody.client.get(path) as answer:
            assert answer.status_code == 200


@pytest.mark.parametrize("name", ["index.html", "swagger-ui.js", "..%2f__init__.py", "%2e%2e/x"])
def test_nothing_else_is_served(nobody, name):
    assert nobody.client.get(f"/docs/assets/{name}").status_code == 404


def _as_filled_in(value):
    """A default or an example as Swagger UI sends it."""
    return str(value).lower() if isinstance(value, bool) else value


def test_every_question_is_taken_as_the_page_fills_it_in(nobody, admin):
    asked = []
    for path, methods in nobody.client.get("/openapi.json").json["paths"].items():
        parameters = [*methods.get("parameters", []), *methods.get("get", {}).get("parameters", [])]
        names = {each["name"]: each.get("example") for each in parameters if each["in"] == "path"}
        if "get" not in methods or None in names.values():
            continue
        query = {
            each["name"]: _as_filled_in(each.get("example", each["schema"].get("default")))
            for each in parameters
            if each["in"] == "query" and ("example" in each or "default" in each["schema"])
        }
        answer = admin.get(path.format(**names), query_string=query)
        refused = {400, 404, 422} if path.startswith("/rest/") else {400, 422}  # the first as the NVD refuses
        assert answer.status_code not in refused, (path, query, answer.text)
        asked.append(path)
    assert {"/api/v1/vulnerabilities/{cve_id}", "/api/v1/queues/{queue}/dead", "/rest/json/cves/2.0"} <= {
        *asked
    }
