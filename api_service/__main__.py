"""`python -m api_service`: the HTTP service under gunicorn, one process with threads.

The state of the service is in the database, so that more of it is more processes or containers, each with its own port.
"""

import contextlib
import gc
import logging
import socket
import threading
import time
import uuid
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response
from gunicorn.app.base import BaseApplication
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    NoMoreData,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker
from sqlalchemy.exc import SQLAlchemyError

from api_service.app import create_app, make_first_admin
from api_service.errors import CONTENT_TYPE, problem, problem_body
from shared import logs
from shared.database import Sessions, make_engine, make_sessions
from shared.doorbell import open_doorbell
from shared.settings import Settings

log = structlog.get_logger(__name__)

GRACE_SECONDS = 35
"""How long a stopping server lets requests end; a ?wait= lasts up to 30 s."""
RETRY_SECONDS = 2
"""How often to look for a database that was away at the start."""


class RootLogger(Logger):
    """Gunicorn's log through the root logger, that is, through structlog; requests are logged by `api_service.hooks`."""

    def setup(self, cfg: Config) -> None:  # noqa: ARG002
        """Keep gunicorn from adding handlers of its own."""
        self.error_log.propagate = True
        self.error_log.setLevel(logging.INFO)
        self.access_log.disabled = True


class Worker(ThreadWorker):
    """Gunicorn's threaded worker; what it refuses before there is a request is a problem too, like every error."""

    def handle_error(self, req: object, client: socket.socket, addr: object, exc: Exception) -> None:  # noqa: ARG002
        """Answer a request that could not be read."""
        if isinstance(exc, ParseException):
            status, detail = _STATUS.get(type(exc), HTTPStatus.BAD_REQUEST), str(exc)
            log.info("request_refused", status=int(status), error=detail)
        else:
            status, detail = HTTPStatus.INTERNAL_SERVER_ERROR, "The service failed to answer."
            log.error("request_failed", exc_info=exc)
        body = problem_body(status, detail, uuid.uuid4().hex).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Type: {CONTENT_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            write_nonblock(client, head.encode() + body)


_STATUS = {
    LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}
"""The status of what cannot be read; 400 for the rest."""


class Server(BaseApplication):
    """Gunicorn with options from our settings instead of its command line."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Set the options."""
        for name, value in options(self._settings).items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The WSGI application, made in the process that serves it."""
        settings = self._settings
        sessions = make_sessions(make_engine(settings.sqlalchemy_url), open_doorbell(settings.redis_url))
        _let_first_admin_in(settings, sessions)
        app = create_app(settings, sessions)
        for kind in (ParseException, NoMoreData):
            app.register_error_handler(kind, _broken_body)
        gc.freeze()  # what stands by now stays: it need not be looked through again and again
        return app


def _broken_body(error: Exception) -> Response:
    """Answer a request whose chunks cannot be read: gunicorn finds that out only while the body is being read."""
    answer = problem(HTTPStatus.BAD_REQUEST, f"The body cannot be read: {error}.")
    answer.headers["Connection"] = "close"  # where the next request would begin is unknown
    return answer


def options(settings: Settings) -> dict[str, Any]:
    """Gunicorn's options."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return {
        "bind": f"{host}:{settings.port}",
        "worker_class": Worker,
        "workers": 1,
        "threads": settings.api_threads,
        "timeout": 120,
        "graceful_timeout": GRACE_SECONDS,
        "keepalive": 15,
        "limit_request_line": 8190,
        "logger_class": RootLogger,
        "proc_name": "vedette-api",
        "control_socket_disable": True,
    }


def _let_first_admin_in(settings: Settings, sessions: Sessions) -> None:
    """Now if the database is there, otherwise as soon as it is: the service starts without it, and says it is not ready."""
    try:
        make_first_admin(settings, sessions)
    except SQLAlchemyError as error:
        log.warning("first_admin_postponed", error=str(error).splitlines()[0])
        threading.Thread(target=_retry_first_admin, args=(settings, sessions), daemon=True).start()


def _retry_first_admin(settings: Settings, sessions: Sessions) -> None:
    while True:
        time.sleep(RETRY_SECONDS)
        with contextlib.suppress(SQLAlchemyError):
            make_first_admin(settings, sessions)
            return


def main() -> None:
    """Serve until a signal says stop; requests under way are answered first."""
    settings = Settings()
    logs.configure(settings.log_format)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every look at the revision
    Server(settings).run()


if __name__ == "__main__":
    main()
