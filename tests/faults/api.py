"""The HTTP service with faults that a request asks for (`python -m tests.faults.api`).

`X-Fault: after-ask=kill` lets that action strike when this request passes that point (see `points`).
"""

from contextvars import ContextVar
from typing import Any

import sqlalchemy as sa
from flask import Flask, request

import api_service.__main__ as product
from shared import database
from tests.faults import points

HEADER = "X-Fault"
_planned: ContextVar[str] = ContextVar("planned", default="")


def _plan(point: str) -> str | None:
    planned, _, action = _planned.get().partition("=")
    return action if point == planned else None


def _make_engine(url: str) -> sa.Engine:
    engine = database.make_engine(url)
    points.install(engine, _plan)
    return engine


class Server(product.Server):
    """The service, asked for faults by its requests."""

    def load(self) -> Flask:
        app = super().load()

        def look() -> None:
            _planned.set(request.headers.get(HEADER, ""))

        def forget(_error: Any) -> None:
            _planned.set("")

        app.before_request_funcs.setdefault(None, []).insert(0, look)
        app.teardown_request(forget)
        return app


if __name__ == "__main__":
    product.make_engine = _make_engine  # type: ignore[attr-defined]
    product.Server = Server  # type: ignore[misc]
    product.main()
