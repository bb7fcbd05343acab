"""What happens around every request."""

import pytest


@pytest.fixture
def engine(request):
    """One database is enough."""
    return request.getfixturevalue("sqlite_engine")


def test_a_request_id_is_taken_over(nobody):
    assert (
        nobody.get("/healthz", headers={"X-Request-Id": "abc-1.2_3"}).headers["X-Request-Id"] == "abc-1.2_3"
    )


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, "\xe9", "<script>"])
def test_a_strange_request_id_is_replaced(nobody, sent):
    assert len(nobody.get("/healthz", headers={"X-Request-Id": sent}).headers["X-Request-Id"]) == 32


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/docs", "/openapi.json", "/api/v1/users"])
def test_every_answer_has_the_security_headers(nobody, path):
    headers = nobody.client.get(path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
