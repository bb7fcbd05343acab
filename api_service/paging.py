"""Pages of a Select, with the numbers that the X-Pagination header tells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

T = TypeVar("T")
U = TypeVar("U")

MAX_PAGE_SIZE = 200
MAX_PAGE = 2**31 - 1


@dataclass(frozen=True)
class PageRequest:
    """Which page is asked for, counted from 1."""

    page: int = 1
    page_size: int = 50


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list, and how long the list is."""

    items: Sequence[T]
    total: int
    request: PageRequest

    def map(self, function: Callable[[T], U]) -> "Page[U]":
        """The same page of other things, one made of each item."""
        return Page([function(item) for item in self.items], self.total, self.request)

    def metadata(self) -> dict[str, int]:
        """The content of X-Pagination; what does not exist (a next page after the last) is left out."""
        last = -(-self.total // self.request.page_size)
        page = self.request.page
        numbers = {"total": self.total, "total_pages": last, "page": page}
        if last:
            numbers |= {"first_page": 1, "last_page": last}
        if last and page > 1:
            numbers["previous_page"] = min(page - 1, last)
        if page < last:
            numbers["next_page"] = page + 1
        return numbers


def fetch(session: Session, statement: sa.Select[T], request: PageRequest) -> Page[T]:
    """One page of a statement that selects one thing a row; the statement must order by something unique in the end."""
    page = fetch_rows(session, statement, request)
    return page.map(lambda row: row[0])


def fetch_rows(session: Session, statement: sa.Select[Any], request: PageRequest) -> Page[sa.Row[Any]]:
    """One page of a statement's rows."""
    counted = statement.order_by(None).with_only_columns(sa.literal(1), maintain_column_froms=True)
    total = session.scalar(sa.select(sa.func.count()).select_from(counted.subquery())) or 0
    offset = (request.page - 1) * request.page_size
    if offset >= total:  # also where the number would be too large for an OFFSET
        return Page([], total, request)
    rows = session.execute(statement.limit(request.page_size).offset(offset)).all()
    return Page(rows, total, request)
