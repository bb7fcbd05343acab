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
