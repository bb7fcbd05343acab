"""Pages of a Select."""

import json

import pytest

from api_service.paging import Page, PageRequest
from shared.models.user import Role


@pytest.mark.parametrize(
    ("total", "page", "size", "expected"),
    [
        (0, 1, 10, {"total_pages": 0}),
        (10, 1, 10, {"total_pages": 1, "first_page": 1, "last_page": 1}),
        (11, 1, 10, {"total_pages": 2, "first_page": 1, "last_page": 2, "next_page": 2}),
        (11, 2, 10, {"total_pages": 2, "first_page": 1, "last_page": 2, "previous_page": 1}),
        (11, 9, 10, {"total_pages": 2, "first_page": 1, "last_page": 2, "previous_page": 2}),
        (0, 9, 10, {"total_pages": 0}),
    ],
)
def test_the_numbers_of_a_page(total, page, size, expected):
    assert Page([], total, PageRequest(page, size)).metadata() == {"total": total, "page": page, **expected}


def test_pages_follow_each_other_without_gap_or_repetition(admin, caller):
    made = {str(caller(Role.VIEWER).user_id) for _ in range(6)} | {str(admin.user_id)}
    seen, page = [], 1
    while page:
        answer = admin.get(f"/users?page_size=3&page={page}")
        seen += [user["id"] for user in answer.json]
        page = json.loads(answer.headers["X-Pagination"]).get("next_page")
    assert len(seen) == 7
    assert set(seen) == made
